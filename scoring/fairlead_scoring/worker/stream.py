"""Chunks of a streamed answer, with a window: the front says what it has passed on, so a slow client slows the script."""

from __future__ import annotations

import select
import traceback
from typing import Iterator, cast

from fairlead_scoring.worker import link
from fairlead_scoring.worker.exchange import Answer
from fairlead_scoring.worker.step import Overdue

WINDOW = 16


def send_stream(front: link.Link, ident: int, answer: Answer) -> None:
    """Iterate the script's generator and send each chunk; a client that has gone closes the generator."""
    chunks = cast("Iterator[bytes]", answer.body)
    unacknowledged = 0
    try:
        for chunk in chunks:
            if not chunk:
                continue
            front.send(link.CHUNK, chunk, ident=ident)
            unacknowledged += 1
            while unacknowledged and (unacknowledged >= WINDOW or _has_news(front)):
                frame = front.receive()
                if frame.kind == link.CANCEL:
                    front.send(link.END, ident=ident)
                    return
                unacknowledged -= 1
        front.send(link.END, ident=ident)
    except link.LinkClosed:
        raise
    except (Exception, Overdue) as error:  # noqa: BLE001  (the edge: whatever user code raises)
        answer.report(error)
        front.send(link.END, describe(error), ident=ident, flags=link.ERROR)
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()


def _has_news(front: link.Link) -> bool:
    return front.has_frame or bool(select.select([front.sock], [], [], 0)[0])


def describe(error: BaseException) -> bytes:
    return "".join(traceback.format_exception_only(type(error), error)).strip().encode()
