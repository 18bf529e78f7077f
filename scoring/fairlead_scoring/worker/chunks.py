"""Streams: what a generator yields becomes chunks of the answer's body, as they come or framed as server-sent events.

The first item is taken while `run()` still counts as running: what fails before it is an ordinary 500, not a broken connection.
"""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any, AsyncIterator, Callable, Iterator, List

from fairlead_scoring.worker.exchange import Answer, Request
from fairlead_scoring.worker.reading import header

if TYPE_CHECKING:
    import asyncio

SSE = "text/event-stream"
LINE_ENDS = re.compile(r"\r\n|\n|\r")
FRAMED = re.compile(r"(?:data|event|id|retry)?:[^\0]*\n\n\Z")
Frame = Callable[[Any], bytes]


def is_stream(result: Any) -> bool:
    return hasattr(result, "__anext__") or (hasattr(result, "__next__") and hasattr(result, "__iter__"))


def begun(result: Any) -> Any:
    """A stream whose first item is there; a coroutine of a plain `run()` is run to its end; anything else as it is."""
    if isinstance(result, (list, dict, str)):  # nearly always
        return result
    if inspect.isawaitable(result) or hasattr(result, "__anext__"):
        return _begun_on_own_loop(result)
    return Items(result) if is_stream(result) else result


class Exited(Exception):
    """The script asked its process to end. It has other requests to answer, and so this is a failure like any other."""


async def begun_async(result: Any) -> Any:
    """The same for an `async def run`."""
    try:
        if inspect.isawaitable(result):
            result = await result
    except (SystemExit, KeyboardInterrupt) as error:
        raise Exited(repr(error)) from error
    if not hasattr(result, "__anext__"):
        return Items(result) if is_stream(result) else result
    items = AsyncItems(result)
    await items.take_first()
    return items


def _begun_on_own_loop(result: Any) -> Any:
    import asyncio  # noqa: PLC0415  (40 ms at the start of every worker, and few scripts have a use for it)

    loop = asyncio.new_event_loop()
    try:
        begun = loop.run_until_complete(begun_async(result))
    except BaseException:
        loop.close()
        raise
    if isinstance(begun, AsyncItems):
        return Items(_driven(begun, loop))
    loop.close()
    return begun


def _driven(items: AsyncItems, loop: asyncio.AbstractEventLoop) -> Iterator[Any]:
    try:
        while True:
            try:
                item = loop.run_until_complete(items.__anext__())
            except StopAsyncIteration:
                return
            yield item
    finally:
        loop.run_until_complete(items.aclose())
        loop.close()


class Items:
    """An iterator whose first item has been taken; closing it closes the script's generator."""

    def __init__(self, items: Iterator[Any]) -> None:
        self._items = items
        self._first: List[Any] = []
        for item in items:  # its first, if there is one
            self._first.append(item)
            break

    def __iter__(self) -> Items:
        return self

    def __next__(self) -> Any:
        try:
            return self._first.pop() if self._first else next(self._items)
        except (SystemExit, KeyboardInterrupt) as error:
            raise Exited(repr(error)) from error

    def close(self) -> None:
        close = getattr(self._items, "close", None)
        if close is not None:
            close()


class AsyncItems:
    """The same, asynchronously; `take_first()` comes first."""

    def __init__(self, items: AsyncIterator[Any]) -> None:
        self._items = items
        self._first: List[Any] = []

    async def take_first(self) -> None:
        async for item in self:
            self._first.append(item)
            break

    def __aiter__(self) -> AsyncItems:
        return self

    async def __anext__(self) -> Any:
        try:
            return self._first.pop() if self._first else await self._items.__anext__()
        except (SystemExit, KeyboardInterrupt) as error:
            raise Exited(repr(error)) from error

    async def aclose(self) -> None:
        close = getattr(self._items, "aclose", None)
        if close is not None:
            await close()


def streamed(items: Any, request: Request, to_json: Frame) -> Answer:
    """`to_json`: how an item that is neither text nor bytes is written."""
    wants_events = SSE in header(request, b"accept")
    content_type = SSE if wants_events else "application/octet-stream"

    def frame(item: Any) -> bytes:
        piece = _piece(item, to_json, b"" if wants_events else b"\n")
        return _event(piece) if wants_events else piece

    body = _AsyncChunks(items, frame) if hasattr(items, "__anext__") else _Chunks(items, frame)
    return Answer(body, content_type=content_type, headers=[("cache-control", "no-cache")])


class _Chunks:
    """Frames each item; closing it closes the items."""

    def __init__(self, items: Any, frame: Frame) -> None:
        self._items, self._frame = items, frame

    def __iter__(self) -> _Chunks:
        return self

    def __next__(self) -> bytes:
        return self._frame(next(self._items))

    def close(self) -> None:
        close = getattr(self._items, "close", None)
        if close is not None:
            close()


class _AsyncChunks:
    def __init__(self, items: Any, frame: Frame) -> None:
        self._items, self._frame = items, frame

    def __aiter__(self) -> _AsyncChunks:
        return self

    async def __anext__(self) -> bytes:
        return self._frame(await self._items.__anext__())

    async def aclose(self) -> None:
        close = getattr(self._items, "aclose", None)
        if close is not None:
            await close()


def _piece(item: Any, to_json: Frame, end: bytes) -> bytes:
    """Text and bytes as they are; anything else as a line of JSON."""
    if isinstance(item, str):
        return item.encode("utf-8")
    if isinstance(item, (bytes, bytearray, memoryview)):
        return bytes(item)
    return to_json(item) + end


def _event(piece: bytes) -> bytes:
    """A server-sent event; what the script has framed itself stays as it is."""
    text = piece.decode("utf-8", "replace")
    if FRAMED.match(text):
        return piece
    return "".join(f"data: {line}\n" for line in LINE_ENDS.split(text)).encode("utf-8") + b"\n"
