"""The main thread of a worker whose `run()` is a coroutine: as many at a time as the script allows, cancelled at their deadline."""

from __future__ import annotations

import asyncio
import inspect
import time
from typing import Any, AsyncIterator, Dict

from fairlead_scoring.worker import link
from fairlead_scoring.worker.batch_frame import Asked, unpack_requests
from fairlead_scoring.worker.control import Control
from fairlead_scoring.worker.exchange import Answer, BadInput
from fairlead_scoring.worker.loop import send_answers
from fairlead_scoring.worker.output import REQUEST_ID
from fairlead_scoring.worker.script import Script
from fairlead_scoring.worker.step import INTERNAL_FAILED, SCRIPT_FAILED, Step, failure, refusal
from fairlead_scoring.worker.stream import WINDOW, describe


def serve_async(script: Script, step: Step, control: Control) -> int:
    """Until the supervisor says stop, or nobody is left to serve."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    return loop.run_until_complete(AsyncLoop(script, step, control, loop).serve())


class AsyncLoop:
    def __init__(self, script: Script, step: Step, control: Control, loop: asyncio.AbstractEventLoop) -> None:
        self._script, self._step, self._control, self._loop = script, step, control, loop
        self._done: asyncio.Future[int] = loop.create_future()
        self._fronts: Dict[int, link.Link] = {}
        self._running: Dict[int, asyncio.Task[None]] = {}
        self._windows: Dict[int, asyncio.Semaphore] = {}

    async def serve(self) -> int:
        self._loop.add_reader(self._control.wake_fd, self._woken)
        self._woken()
        return await self._done

    def _woken(self) -> None:
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
            self._loop.remove_reader(front.fileno())
            del self._fronts[front.fileno()]
            front.close()
            for task in self._running.values():
                task.cancel()
            self._end_if_over()

    def _hear(self, front: link.Link, frame: link.Frame) -> None:
        if frame.kind == link.SCORE:
            for asked in unpack_requests(frame):
                self._start(front, asked)
        elif frame.kind == link.CANCEL and frame.ident in self._running:
            self._running[frame.ident].cancel()
        elif frame.kind == link.ACK and frame.ident in self._windows:
            self._windows[frame.ident].release()
        elif frame.kind == link.CONTROL:
            self._control.adopt(frame.fds[0])

    def _start(self, front: link.Link, asked: Asked) -> None:
        task = self._loop.create_task(self._score(front, asked))
        self._running[asked.ident] = task
        task.add_done_callback(lambda _: self._finish(asked.ident))

    def _finish(self, ident: int) -> None:
        del self._running[ident]
        self._windows.pop(ident, None)
        if self._control.stopping or self._control.orphaned:
            self._end_if_over()

    async def _score(self, front: link.Link, asked: Asked) -> None:
        REQUEST_ID.set(asked.request.request_id)
        try:
            answer = await self._answer(asked)
            if hasattr(answer.body, "__anext__"):
                await self._stream(front, asked, answer)
            else:
                send_answers(front, [asked], [answer])
        except asyncio.CancelledError:
            send_answers(front, [asked], [self._step.late()])
        except link.LinkClosed:
            pass  # the front is gone, and the client with it

    async def _answer(self, asked: Asked) -> Answer:
        request = asked.request
        started = time.perf_counter()
        try:
            result = self._script.run(self._script.bind(request))
            if inspect.isawaitable(result):
                result = await result
        except BadInput as bad:
            return refusal(bad, request)
        except Exception as error:  # noqa: BLE001  (the edge: whatever user code raises)
            self._step.report(error)
            return failure(request, SCRIPT_FAILED, failed=True)
        spent = (time.perf_counter() - started) * 1000
        try:
            answer = self._script.encode(result, request)
            answer.exec_ms = spent
            return answer
        except Exception as fault:  # noqa: BLE001  (an answer must go out, or the client waits)
            self._step.report(fault)
            return failure(request, INTERNAL_FAILED, failed=False)

    async def _stream(self, front: link.Link, asked: Asked, answer: Answer) -> None:
        window = self._windows[asked.ident] = asyncio.Semaphore(WINDOW)
        chunks: AsyncIterator[bytes] = answer.body  # type: ignore[assignment]
        send_answers(front, [asked], [answer])
        try:
            async for chunk in chunks:
                if chunk:
                    await window.acquire()
                    front.send(link.CHUNK, chunk, ident=asked.ident)
            front.send(link.END, ident=asked.ident)
        except asyncio.CancelledError:
            await _close(chunks)
            front.send(link.END, ident=asked.ident)
        except link.LinkClosed:
            await _close(chunks)
        except Exception as error:  # noqa: BLE001  (the edge: whatever user code raises)
            self._step.report(error)
            front.send(link.END, describe(error), ident=asked.ident, flags=link.ERROR)


async def _close(chunks: Any) -> None:
    close = getattr(chunks, "aclose", None)
    if close is not None:
        await close()
