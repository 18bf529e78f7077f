"""Where rows of text end, with line ends inside of quotes, in blocks as they come. As pyarrow's parser sees it: a quote opens only where a field begins."""

from __future__ import annotations

import re
from typing import BinaryIO, Iterator, List, NamedTuple, Optional, Tuple

from fairlead_scoring.batch.sources.pieces import ROW_LIMIT

_BLANK = {b"\n": re.compile(rb"(?<![^\n])\r*\n"), b"\r": re.compile(rb"(?<![^\r])\r")}
BLOCK = 1 << 20


class Marks(NamedTuple):
    """The bytes that decide. quote, escape: empty where there is none."""

    delimiter: bytes = b","
    quote: bytes = b'"'
    escape: bytes = b""
    newline: bytes = b"\n"


LINES = Marks(quote=b"")  # JSON lines: whatever is quoted, a line end is none of it


class RowEnds:
    """`feed` blocks of one text in order; it is told where in each the last row ends, and asked how many rows did (blank lines are none)."""

    def __init__(self, marks: Marks) -> None:
        self._marks = marks
        self._escapes = re.compile(re.escape(marks.escape) + rb"[\s\S]") if marks.escape else None
        self.quoted = False
        self._escaped = False
        self._blank = True  # the line that a block begins in, so far
        self._before = marks.newline  # the byte before the block; a quote that closed counts as itself

    def feed(self, block: bytes, count: bool = False) -> Tuple[int, int]:
        """How many rows end in the block (0 unless `count`), and the offset after the last end, 0 for none."""
        if not block:
            return 0, 0
        text = self._without_escapes(block)
        outside = self._outside(text)
        rows = self._rows(outside) if count else 0
        end = self._last_end(outside, len(text))
        self._before = b"_" if outside[-1].endswith(self._marks.quote or b"\0") else text[-1:]  # a stray quote is a letter
        self.quoted = len(outside) % 2 == 0
        return rows, end

    def _without_escapes(self, block: bytes) -> bytes:
        if self._escapes is None:
            return block
        if self._escaped:
            block = b"_" + block[1:]
        text = self._escapes.sub(b"__", block)
        self._escaped = text.endswith(self._marks.escape)
        return text[:-1] + b"_" if self._escaped else text

    def _outside(self, text: bytes) -> List[bytes]:
        """The text cut at its quotes: outside, inside, outside, …"""
        quote = self._marks.quote
        if not quote or (quote not in text and not self.quoted):
            return [text]
        parts = text.split(quote)
        if self.quoted:
            parts.insert(0, b"")
        return parts if self._is_regular(parts) else self._walked(text)

    def _is_regular(self, parts: List[bytes]) -> bool:
        """Each quote that opens stands where a field begins: after a delimiter, a line end, or right after the one that closed (a doubled one)."""
        openers = (self._marks.delimiter, b"\n", b"\r")
        distinct = set(parts[2:-1:2])
        first = b"" if self.quoted or len(parts) == 1 else self._before + parts[0]
        return all(not part or part.endswith(openers) for part in distinct) and (not first or first.endswith((*openers, self._marks.quote)))

    def _walked(self, text: bytes) -> List[bytes]:
        """As `_outside`, quote by quote: those within an unquoted field are letters."""
        quote, openers = self._marks.quote, (self._marks.delimiter, b"\n", b"\r")
        parts: List[bytes] = [b""] if self.quoted else []
        inside, start, position = self.quoted, 0, text.find(quote)
        while position >= 0:
            before = text[position - 1 : position] if position else self._before
            doubled = start == position and (position > 0 or before == quote)  # right after the one that closed
            if inside or before in openers or doubled:
                parts.append(text[start:position])
                inside, start = not inside, position + 1
            position = text.find(quote, position + 1)
        return [*parts, text[start:]]

    def _rows(self, outside: List[bytes]) -> int:
        newline = self._marks.newline
        text = outside[0] if len(outside) == 1 else self._marks.quote.join(outside[::2])
        text = text if self._blank and not self.quoted else b"_" + text
        self._blank = len(outside) % 2 == 1 and not text[text.rfind(newline) + 1 :].strip(b"\r")
        rows = text.count(newline)
        may_be_blank = text.startswith((newline, b"\r")) or newline * 2 in text or b"\n\r" in text
        return rows - len(_BLANK[newline].findall(text)) if may_be_blank else rows

    def _last_end(self, outside: List[bytes], stop: int) -> int:
        for index in range(len(outside) - 1, -1, -1):
            if index % 2 == 0:
                found = outside[index].rfind(self._marks.newline)
                if found >= 0:
                    return stop - len(outside[index]) + found + 1
            stop -= len(outside[index]) + 1
        return 0


class Block(NamedTuple):
    """Whole rows. complaint: it is one row, and none that can be read."""

    data: bytes
    complaint: Optional[str] = None


def row_blocks(stream: BinaryIO, length: int, marks: Marks) -> Iterator[Block]:
    """The next `length` bytes (-1: all) in blocks of whole rows; the last may lack its line end.

    A quote that is not closed spoils its line, not what it swallows.
    """
    kept, ends, portions = b"", RowEnds(marks), _portions(stream, length)
    data = next(portions, b"")
    while data:
        _, end = ends.feed(data)
        if end:
            yield Block(kept + data[:end])
        kept = data[end:] if end else kept + data
        data = next(portions, b"")
        if len(kept) > ROW_LIMIT or (kept and ends.quoted and not data):
            spoilt = kept.find(marks.newline) + 1 or len(kept)
            yield Block(kept[:spoilt], _complaint(len(kept), spoilt))
            data = kept[spoilt:] + (data if spoilt < len(kept) else _past_the_line(data, portions, marks))
            kept, ends = b"", RowEnds(marks)
    if kept:
        yield Block(kept)


def _complaint(kept: int, spoilt: int) -> str:
    return f"The row is longer than {ROW_LIMIT >> 20} MiB." if kept == spoilt > ROW_LIMIT else "A quote that opens in this row is not closed."


def _past_the_line(data: bytes, portions: Iterator[bytes], marks: Marks) -> bytes:
    while data and marks.newline not in data:
        data = next(portions, b"")
    return data.partition(marks.newline)[2] or next(portions, b"")


def _portions(stream: BinaryIO, length: int) -> Iterator[bytes]:
    left = length
    while left:
        data = stream.read(BLOCK if left < 0 else min(BLOCK, left))
        if not data:
            return
        left -= len(data) if left > 0 else 0
        yield data


def first_row(data: bytes, marks: Marks) -> int:
    """Where the first row of `data` ends: an offset, 0 where it does not."""
    ends, position = RowEnds(marks), 0
    while True:
        found = data.find(marks.newline, position) + 1
        if not found:
            return 0
        rows, _ = ends.feed(data[position:found], count=True)
        position = found
        if rows:
            return position
