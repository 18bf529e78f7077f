"""Chunks of a streamed answer, with a window: the front says what it has passed on, so a slow client slows the script."""

from __future__ import annotations

import json
import select
import traceback
from typing import Iterator, cast

from fairlead_scoring.worker import link
from fairlead_scoring.worker.control import Control
from fairlead_scoring.worker.exchange import Answer
from fairlead_scoring.worker.step import SCRIPT_FAILED, Overdue

WINDOW = 16  # pieces on their way
PIECE = 1 << 16


class _Cancelled(Exception):
    """The client has gone."""


def send_stream(front: link.Link, ident: int, answer: Answer, control: Control) -> None:
    """Iterate the script's generator and send each chunk; a client that has gone closes the generator."""
    chunks = cast("Iterator[bytes]", answer.body)
    window = Window(front, ident, control)
    try:
        for chunk in chunks:
            for piece in pieces(chunk):
                front.send(link.CHUNK, piece, ident=ident)
                window.sent()
        front.send(link.END, ident=ident)
    except link.LinkClosed:
        raise
    except _Cancelled:
        front.send(link.END, ident=ident)
    except (Exception, Overdue) as error:  # noqa: BLE001  (the edge: whatever user code raises)
        send_break(front, ident, answer, error)
    finally:
        _close(chunks, answer)


def send_break(front: link.Link, ident: int, answer: Answer, error: BaseException) -> None:
    """The script failed after the first chunk: a stream of events ends with an `error` event, any other is cut."""
    answer.report(error)
    if is_event_stream(answer):
        front.send(link.CHUNK, error_event(), ident=ident)
        front.send(link.END, ident=ident)
    else:
        front.send(link.END, describe(error), ident=ident, flags=link.ERROR)


class Window:
    """How many pieces the front has not yet passed on; waits when they are too many."""

    def __init__(self, front: link.Link, ident: int, control: Control) -> None:
        self._front, self._ident, self._control = front, ident, control
        self._unacknowledged = 0

    def sent(self) -> None:
        """Raises _Cancelled."""
        self._unacknowledged += 1
        while self._unacknowledged >= WINDOW or self._has_news():
            self._hear(self._front.receive())

    def _hear(self, frame: link.Frame) -> None:
        if frame.kind == link.CONTROL:
            self._control.adopt(frame.fds[0])
        elif frame.ident != self._ident:
            return  # about a stream that is over
        elif frame.kind == link.CANCEL:
            raise _Cancelled
        elif frame.kind == link.ACK:
            self._unacknowledged -= 1

    def _has_news(self) -> bool:
        return self._front.has_frame or bool(select.select([self._front.sock], [], [], 0)[0])


def pieces(chunk: bytes) -> Iterator[memoryview]:
    """Small enough for the window to bound what is held, whatever the script yields."""
    view = memoryview(chunk)
    for start in range(0, len(view), PIECE):
        yield view[start : start + PIECE]


def _close(chunks: Iterator[bytes], answer: Answer) -> None:
    close = getattr(chunks, "close", None)
    try:
        if close is not None:
            close()
    except (Exception, Overdue) as error:  # noqa: BLE001  (the edge: whatever user code raises)
        answer.report(error)


def is_event_stream(answer: Answer) -> bool:
    return answer.content_type.startswith("text/event-stream")


def error_event() -> bytes:
    """Server-sent events can say that they failed; the connection need not be cut (DECISIONS 13)."""
    return b"event: error\ndata: " + json.dumps({"message": SCRIPT_FAILED}).encode() + b"\n\n"


def describe(error: BaseException) -> bytes:
    return "".join(traceback.format_exception_only(type(error), error)).strip().encode()
