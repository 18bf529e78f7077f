"""The main thread of a worker whose `run()` is a coroutine: as many at a time as the script allows, cancelled at their deadline."""

from __future__ import annotations

import asyncio
import inspect
import os
import time
from typing import Any, AsyncGenerator, Dict, Tuple

from fairlead_scoring.worker import link
from fairlead_scoring.worker.batch_frame import Asked, unpack_requests
from fairlead_scoring.worker.control import Control
from fairlead_scoring.worker.exchange import Answer, BadInput, Request
from fairlead_scoring.worker.loop import send_answers
from fairlead_scoring.worker.output import REQUEST_ID
from fairlead_scoring.worker.script import Script
from fairlead_scoring.worker.step import SCRIPT_FAILED, Bound, Step, failure, refusal
from fairlead_scoring.worker.stream import WINDOW, pieces, send_break

Place = Tuple[int, int]  # a front and its own number for the request: while one front drains there are two


def new_loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


def serve_async(script: Script, step: Step, loop: asyncio.AbstractEventLoop, control: Control) -> int:
    """Until the supervisor says stop, or nobody is left to serve."""
    return loop.run_until_complete(AsyncLoop(script, step, control, loop).serve())


def answer_whole(loop: asyncio.AbstractEventLoop, script: Script, step: Step, request: Request) -> Answer:
    """One answer outside of traffic; a stream is read to its end."""

    async def whole() -> Answer:
        answer = await answer_async(script, step, request)
        if not isinstance(answer.body, (bytes, bytearray)):
            answer.body = b"".join([chunk async for chunk in _asynchronous(answer.body)])
        return answer

    return loop.run_until_complete(whole())


async def answer_async(script: Script, step: Step, request: Request) -> Answer:
    """What Step.answer() does, for one request and a coroutine."""
    started = time.perf_counter()
    try:
        arguments = script.bind(request)
    except BadInput as bad:
        return refusal(bad, request)
    except Exception as error:  # noqa: BLE001  (the edge: whatever user code raises)
        return step.internal(error, request)
    try:
        result = script.run(arguments)
        if inspect.isawaitable(result):
            result = await result
    except BadInput as bad:
        return refusal(bad, request)
    except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001  (the edge: whatever user code raises)
        step.report(error)
        return failure(request, SCRIPT_FAILED, failed=True)
    return step.encode(Bound(0, request, arguments, 1), result, (time.perf_counter() - started) * 1000)


class AsyncLoop:
    def __init__(self, script: Script, step: Step, control: Control, loop: asyncio.AbstractEventLoop) -> None:
        self._script, self._step, self._control, self._loop = script, step, control, loop
        self._done: asyncio.Future[int] = loop.create_future()
        self._fronts: Dict[int, link.Link] = {}
        self._running: Dict[Place, asyncio.Task[None]] = {}
        self._windows: Dict[Place, asyncio.Semaphore] = {}

    async def serve(self) -> int:
        self._loop.add_reader(self._control.wake_fd, self._woken)
        self._woken()
        return await self._done

    def _woken(self) -> None:
        try:
            os.read(self._control.wake_fd, 64)
        except BlockingIOError:
            pass  # the first time nobody has called yet
        for sock in self._control.take_links():
            front = link.Link(sock)
            self._fronts[sock.fileno()] = front
            self._loop.add_reader(sock.fileno(), self._readable, front)
        self._end_if_over()

    def _end_if_over(self) -> None:
        over = self._control.stopping or (self._control.orphaned and not self._fronts)
        if over and not self._running and not self._done.done():
            self._done.set_result(0)

    def _readable(self, front: link.Link) -> None:
        try:
            self._hear(front, front.receive())
            while front.has_frame:
                self._hear(front, front.receive())
        except link.LinkClosed:
            self._gone(front)

    def _gone(self, front: link.Link) -> None:
        self._loop.remove_reader(front.fileno())
        del self._fronts[front.fileno()]
        for place, task in self._running.items():
            if place[0] == id(front):
                task.cancel()
        front.close()
        self._end_if_over()

    def _hear(self, front: link.Link, frame: link.Frame) -> None:
        place = (id(front), frame.ident)
        if frame.kind == link.SCORE:
            for asked in unpack_requests(frame):
                self._start(front, asked)
        elif frame.kind == link.CANCEL and place in self._running:
            self._running[place].cancel()
        elif frame.kind == link.ACK and place in self._windows:
            self._windows[place].release()
        elif frame.kind == link.CONTROL:
            self._control.adopt(frame.fds[0])

    def _start(self, front: link.Link, asked: Asked) -> None:
        place = (id(front), asked.ident)
        self._windows[place] = asyncio.Semaphore(WINDOW)
        task = self._running[place] = self._loop.create_task(self._score(front, asked, self._windows[place]))
        task.add_done_callback(lambda _: self._finish(place))

    def _finish(self, place: Place) -> None:
        del self._running[place], self._windows[place]
        if self._control.stopping or self._control.orphaned:
            self._end_if_over()

    async def _score(self, front: link.Link, asked: Asked, window: asyncio.Semaphore) -> None:
        REQUEST_ID.set(asked.request.request_id)
        try:
            answer = await answer_async(self._script, self._step, asked.request)
            send_answers(front, [asked], [answer])
            if not isinstance(answer.body, (bytes, bytearray)):
                await _stream(front, asked.ident, answer, window)
        except asyncio.CancelledError:
            _try_to_send(front, asked, self._step.late())
        except link.LinkClosed:
            pass  # the front is gone, and the client with it


def _try_to_send(front: link.Link, asked: Asked, answer: Answer) -> None:
    """The front may be the one who has gone."""
    try:
        send_answers(front, [asked], [answer])
    except link.LinkClosed:
        pass


async def _stream(front: link.Link, ident: int, answer: Answer, window: asyncio.Semaphore) -> None:
    chunks = _asynchronous(answer.body)
    try:
        async for chunk in chunks:
            for piece in pieces(chunk):
                await window.acquire()
                front.send(link.CHUNK, piece, ident=ident)
        front.send(link.END, ident=ident)
    except asyncio.CancelledError:
        front.send(link.END, ident=ident)
    except link.LinkClosed:
        raise
    except Exception as error:  # noqa: BLE001  (the edge: whatever user code raises)
        send_break(front, ident, answer, error)
    finally:
        await chunks.aclose()


async def _asynchronous(body: Any) -> AsyncGenerator[bytes, None]:
    """A coroutine may return a plain generator, too."""
    try:
        if hasattr(body, "__anext__"):
            async for chunk in body:
                yield chunk
        else:
            for chunk in body:
                yield chunk
    finally:
        close = getattr(body, "aclose", None)
        if close is not None:
            await close()
        elif hasattr(body, "close"):
            body.close()
