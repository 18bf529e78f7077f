"""Many small CSV files at once: to begin a parser for ten rows takes longer than to read them."""

from __future__ import annotations

from typing import Any, Callable, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import pyarrow as pa

from fairlead_scoring.batch.shards import Slice
from fairlead_scoring.batch.sources.delimited import Dialect, Parser, checked, head_of, names_in
from fairlead_scoring.batch.sources.files import Files
from fairlead_scoring.batch.sources.lexing import RowEnds
from fairlead_scoring.batch.sources.pieces import Piece, Unreadable, Unusable
from fairlead_scoring.batch.sources.schemas import schema_from_text
from fairlead_scoring.batch.sources.text import PLAIN, filled

SMALL = 1 << 16  # bytes of a file
FULL = 1 << 20

Alone = Callable[[Slice], Iterator[Piece]]


class _Small(NamedTuple):
    part: Slice
    head: bytes
    body: bytes
    rows: int


def read_together(files: Files, noted: Mapping[str, Any], parts: Sequence[Slice], alone: Alone) -> Iterator[Tuple[Slice, Optional[Piece]]]:
    """(slice, piece), and (slice, None) where it ends. `alone` reads one by itself: a large one, and whatever has a bad row in it."""
    pool = _Pool(noted, alone)
    for part in parts:
        small = _small(files, part, pool.dialect)
        if small is None:
            yield from pool.emptied()
            yield from _by_itself(part, alone)
            continue
        if not pool.takes(small):
            yield from pool.emptied()
        pool.add(small)
    yield from pool.emptied()


class _Pool:
    """Files with the same header."""

    def __init__(self, noted: Mapping[str, Any], alone: Alone) -> None:
        self.dialect = Dialect(noted["options"])
        self._schema = schema_from_text(noted["schema"])
        self._alone = alone
        self._head: Optional[bytes] = None
        self._parser: Optional[Parser] = None
        self._held: List[_Small] = []
        self._size = 0

    def takes(self, small: _Small) -> bool:
        return self._head == small.head and self._size + len(small.body) <= FULL

    def add(self, small: _Small) -> None:
        if self._head != small.head or self._parser is None:
            self._head, self._parser = small.head, self._parser_for(small)
        self._held.append(small)
        self._size += len(small.body)

    def emptied(self) -> Iterator[Tuple[Slice, Optional[Piece]]]:
        held, self._held, self._size = self._held, [], 0
        table = self._table(held)
        position = 0
        for small in held:
            if table is None:
                yield from _by_itself(small.part, self._alone)
                continue
            if small.rows:
                yield small.part, Piece(table.slice(position, small.rows), [(0, small.rows)])
            yield small.part, None
            position += small.rows

    def _table(self, held: Sequence[_Small]) -> Optional[pa.Table]:
        rows = sum(small.rows for small in held)
        if not rows or self._parser is None:
            return self._schema.empty_table() if self._parser else None
        table = self._parser.parse_clean(b"".join(small.body for small in held))
        return table if table is not None and table.num_rows == rows else None

    def _parser_for(self, small: _Small) -> Optional[Parser]:
        try:
            text = small.head + small.body
            return Parser(self.dialect, checked(names_in(head_of(text, self.dialect), text, self.dialect), self._schema), self._schema)
        except (Unreadable, Unusable, ValueError):
            return None  # it is told by whoever reads the file by itself


def _small(files: Files, part: Slice, dialect: Dialect) -> Optional[_Small]:
    file = files.file(part)
    if part.start or part.stop >= 0 or file.packed or dialect.encoding not in PLAIN:
        return None
    with file.stream() as stream:
        text = filled(stream, SMALL)
    if len(text) == SMALL:
        return None
    head = head_of(text, dialect)
    body = text[head.length :]
    if body and not body.endswith(dialect.newline):
        body += dialect.newline
    ends = RowEnds(dialect.marks)
    rows, _ = ends.feed(body, count=True)
    return None if ends.quoted else _Small(part, text[: head.length], body, rows)


def _by_itself(part: Slice, alone: Alone) -> Iterator[Tuple[Slice, Optional[Piece]]]:
    for piece in alone(part):
        yield part, piece
    yield part, None
