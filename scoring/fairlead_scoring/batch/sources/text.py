"""Streams of text on their way to a parser."""

from __future__ import annotations

import codecs
import io
from typing import Any, BinaryIO, Callable, Iterable, Iterator, List, Optional, Tuple, cast

from fairlead_scoring.batch.sources.lexing import Block
from fairlead_scoring.batch.sources.pieces import readable

PLAIN = ("utf-8", "ascii")


class _After(io.RawIOBase):
    """A stream that begins with bytes that were read from it before."""

    def __init__(self, begin: bytes, stream: BinaryIO) -> None:
        super().__init__()
        self._begin = begin
        self._stream = stream

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if not self._begin:
            return self._stream.read(size)
        size = len(self._begin) if size < 0 else size
        data, self._begin = self._begin[:size], self._begin[size:]
        return data


class _Recoded(io.RawIOBase):
    """Any encoding as UTF-8. Raises UnicodeDecodeError, a ValueError."""

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        super().__init__()
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while True:
            data = self._stream.read(size)
            text = self._decoder.decode(data, final=not data)
            if text or not data:
                return text.encode("utf-8")


def after(begin: bytes, stream: BinaryIO) -> BinaryIO:
    return cast(BinaryIO, _After(begin, stream))


def flow(messages: Iterable[Any]) -> BinaryIO:
    return cast(BinaryIO, _Flow(messages))


def recoded(stream: BinaryIO, encoding: str) -> BinaryIO:
    return stream if encoding in PLAIN else cast(BinaryIO, _Recoded(stream, encoding))


def is_utf8(data: bytes) -> bool:
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def begun(stream: BinaryIO, start: int) -> BinaryIO:
    stream.seek(start)
    return stream


def filled(stream: BinaryIO, size: int) -> bytes:
    """The next `size` bytes, fewer only at the end."""
    parts: List[bytes] = []
    while size > 0:
        data = stream.read(size)
        if not data:
            break
        parts.append(data)
        size -= len(data)
    return b"".join(parts)


def faultless(blocks: Iterator[Block], fault: Callable[[], Optional[BaseException]]) -> Iterator[Block]:
    """Blocks as they come; raises Unreadable where the stream's bytes are at fault."""
    while True:
        block = readable(lambda: next(blocks, None), fault)
        if block is None:
            return
        yield block


class Parts:
    """Where one file of text is cut, as blocks of it are looked through."""

    def __init__(self, position: int) -> None:
        self._start = 0
        self._at = position
        self._row = 0
        self._rows = 0
        self._unended = False
        self._made: List[Tuple[int, int, Optional[int], Optional[int], int]] = []

    def take(self, rows: int, end: int, length: int, target: int) -> None:
        """A block of `length` bytes, in which `rows` rows end, the last at `end`."""
        self._rows += rows
        self._unended = length > end if end else self._unended or length > 0
        stop = self._at + end
        if end and stop - self._start >= target:
            self._made.append((self._start, stop, self._row, self._rows, stop - self._start))
            self._start, self._row, self._rows = stop, self._row + self._rows, 0
        self._at += length

    def end(self) -> List[Tuple[int, int, Optional[int], Optional[int], int]]:
        if self._at > self._start:
            self._made.append((self._start, -1, self._row, self._rows + self._unended, self._at - self._start))
        return self._made


class _Flow(io.RawIOBase):
    """Messages of a server as a stream."""

    def __init__(self, messages: Iterable[Any]) -> None:
        super().__init__()
        self._messages = iter(messages)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        parts: List[bytes] = []
        while size > 0:
            message = next(self._messages, b"")
            if not message:
                break
            parts.append(bytes(message))
            size -= len(message)
        return b"".join(parts)
