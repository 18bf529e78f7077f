"""The main thread of a worker with a plain `run()`: wait for a frame, score it, answer it."""

from __future__ import annotations

import os
import select
import time
from typing import Any, Dict, List

from fairlead_scoring.worker import link
from fairlead_scoring.worker.batch_frame import NOT_RUN, Answered, Asked, pack_answer, unpack_requests
from fairlead_scoring.worker.control import Control
from fairlead_scoring.worker.exchange import Answer
from fairlead_scoring.worker.output import REQUEST_ID
from fairlead_scoring.worker.step import Overdue, Step
from fairlead_scoring.worker.stream import send_stream


def serve(step: Step, control: Control) -> int:
    """Until the supervisor says stop, or nobody is left to serve."""
    fronts: Dict[int, link.Link] = {}
    poll = select.poll()
    poll.register(control.wake_fd, select.POLLIN)
    while True:
        for front in _waiting(poll, fronts, control):
            try:
                _hear(front, step, control)
            except link.LinkClosed:
                poll.unregister(front.fileno())
                del fronts[front.fileno()]
                front.close()
        if control.stopping or (control.orphaned and not fronts):
            return 0


def _waiting(poll: Any, fronts: Dict[int, link.Link], control: Control) -> List[link.Link]:
    found = [front for front in fronts.values() if front.has_frame]
    if found:
        return found
    for fd, _ in poll.poll():
        if fd == control.wake_fd:
            os.read(fd, 64)
            for sock in control.take_links():
                fronts[sock.fileno()] = link.Link(sock)
                poll.register(sock.fileno(), select.POLLIN)
        else:
            found.append(fronts[fd])
    return found


def _hear(front: link.Link, step: Step, control: Control) -> None:
    frame = front.receive()
    if frame.kind == link.SCORE:
        _score(front, unpack_requests(frame), step, control)
    elif frame.kind == link.CONTROL:
        control.adopt(frame.fds[0])


def _score(front: link.Link, asked: List[Asked], step: Step, control: Control) -> None:
    control.running_since = time.monotonic()
    try:
        answers = step.answer([one.request for one in asked])
    except Overdue:  # the order came between two steps: everything here is late
        answers = [step.late() for _ in asked]
    finally:
        control.running_since = None
    send_answers(front, asked, answers)
    for one, answer in zip(asked, answers):
        if not isinstance(answer.body, (bytes, bytearray)):
            REQUEST_ID.set(one.request.request_id)
            control.running_since = time.monotonic()
            try:
                send_stream(front, one.ident, answer, control)
            finally:
                control.running_since = None
    REQUEST_ID.set("")


def send_answers(front: link.Link, asked: List[Asked], answers: List[Answer]) -> None:
    parts: List[bytes] = []
    for one, answer in zip(asked, answers):
        body = answer.body if isinstance(answer.body, (bytes, bytearray)) else b""
        head = pack_answer(_answered(one, answer), len(body))
        if len(body) > link.INLINE_LIMIT:
            _send_large(front, head, body)
        else:
            parts += (head, body)
    if parts:
        front.send(link.ANSWERS, b"".join(parts))


def _send_large(front: link.Link, head: bytes, body: bytes) -> None:
    fd = link.in_memfd([body])
    try:
        front.send(link.ANSWERS, head, flags=link.IN_MEMFD, fd=fd)
    finally:
        os.close(fd)


def _answered(one: Asked, answer: Answer) -> Answered:
    headers = list(answer.headers)
    if answer.content_type != "application/json":
        headers.insert(0, ("content-type", answer.content_type))
    streamed = not isinstance(answer.body, (bytes, bytearray))
    spent = NOT_RUN if answer.exec_ms is None else answer.exec_ms
    return Answered(one.ident, answer.status, answer.failed, streamed, headers, b"", spent, answer.rows)
