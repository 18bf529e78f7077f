"""Rows as they come, cut into mini-batches: where, follows from the rows and the order alone."""

from __future__ import annotations

from typing import Iterator, List, NamedTuple, Optional, Tuple

import pyarrow as pa

from fairlead_scoring.batch.shards import Bad
from fairlead_scoring.batch.sources.batch import Batch
from fairlead_scoring.batch.sources.pieces import Piece, Run

Origin = Tuple[str, Optional[int], int]


class Size(NamedTuple):
    """rows: of a mini-batch at most. files: whole files of a mini-batch, where the order says so."""

    rows: int
    files: Optional[int] = None


class Cutter:
    """Holds what is not yet a mini-batch: less than one, and what one piece has beyond it."""

    def __init__(self, size: Size, empty: pa.Table) -> None:
        self._size = size
        self._empty = empty
        self._index = 0
        self._files = 0
        self._group: Tuple[str, ...] = ()
        self._clear()

    def take(self, piece: Piece, url: str) -> Iterator[Batch]:
        """The mini-batches that are complete with it."""
        self._bad += piece.bad
        table, runs, position = piece.table, list(reversed(piece.runs)), 0
        while position < table.num_rows:
            room = table.num_rows - position if self._size.files else self._size.rows - self._rows
            count = min(room, table.num_rows - position)
            self._tables.append(table.slice(position, count))
            self._note(url, runs, count)
            position += count
            if not self._size.files and self._rows == self._size.rows:
                yield self._made()
        if not self._size.files and len(self._bad) >= self._size.rows:
            yield self._made()

    def enter(self, group: Tuple[str, ...]) -> Iterator[Batch]:
        """What comes next is of that group; a mini-batch holds one."""
        if group != self._group:
            yield from self.end()
            self._group = group

    def file_ends(self) -> Iterator[Batch]:
        self._files += 1
        if self._size.files and self._files >= self._size.files:
            yield from self.end()

    def end(self) -> Iterator[Batch]:
        """The last one, if anything is left."""
        if self._rows or self._bad:
            yield self._made()

    def _note(self, url: str, runs: List[Run], count: int) -> None:
        """Takes `count` rows off the runs, of which the last is the next."""
        self._rows += count
        while count:
            first, length = runs.pop()
            used = min(count, length)
            self._add(url, first, used)
            count -= used
            if used < length:
                runs.append((None if first is None else first + used, length - used))

    def _add(self, url: str, first: Optional[int], count: int) -> None:
        if self._origins and first is not None:
            before, start, length = self._origins[-1]
            if before == url and start is not None and start + length == first:
                self._origins[-1] = (url, start, length + count)
                return
        self._origins.append((url, first, count))

    def _made(self) -> Batch:
        table = pa.concat_tables(self._tables) if self._tables else self._empty
        if len(self._tables) > 16:
            table = table.combine_chunks()
        items = table.num_rows + len(self._bad)
        batch = Batch(self._index, table=table, origins=self._origins, bad=self._bad, items=items, group=self._group)
        self._index += 1
        self._clear()
        return batch

    def _clear(self) -> None:
        self._tables: List[pa.Table] = []
        self._origins: List[Origin] = []
        self._bad: List[Bad] = []
        self._rows = 0
        self._files = 0
