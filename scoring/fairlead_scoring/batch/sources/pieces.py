"""What readers give: rows of one file as they come, and why some of it is none. No reader raises for bad data, and none takes a failing disk for it."""

from __future__ import annotations

import errno
import lzma
import zipfile
import zlib
from dataclasses import dataclass, field
from typing import Any, Callable, Iterator, List, Optional, Sequence, Tuple

import pyarrow as pa

from fairlead_scoring.batch.shards import Bad
from fairlead_scoring.errors import RuntimeFault

LONGEST_VALUE = 1000  # characters of a bad row that are kept
ROW_LIMIT = 64 << 20  # bytes of one row of text

Run = Tuple[Optional[int], int]  # number of the first row in its file, how many follow one another


class Unusable(RuntimeFault):
    """The inputs, or what the order says of them, cannot be planned or are not those that were planned. Ends the job."""

    stage = "reading"
    cause = "inputs-unusable"


class Unreadable(Exception):
    """The rest of a file is no data of its format."""


@dataclass(frozen=True)
class Piece:
    """Rows of one file that follow one another but for the bad ones. runs: where they stand in it."""

    table: pa.Table
    runs: Sequence[Run]
    bad: Sequence[Bad] = ()


@dataclass(frozen=True)
class Trouble:
    """A row that is none, before it is known which file it is of. row: counted from the beginning of what was parsed."""

    row: Optional[int]
    column: Optional[str]
    reason: str
    value: Optional[str] = None

    def bad(self, url: str, first_row: Optional[int]) -> Bad:
        row = None if self.row is None or first_row is None else first_row + self.row
        return Bad(url, row, self.column, self.reason, None if self.value is None else self.value[:LONGEST_VALUE])


@dataclass
class Parsed:
    """A block of text as a table without its bad rows."""

    table: pa.Table
    troubles: List[Trouble] = field(default_factory=list)

    def piece(self, url: str, first_row: Optional[int]) -> Piece:
        rows = self.table.num_rows + len(self.troubles)
        left_out = sorted(trouble.row for trouble in self.troubles if trouble.row is not None)
        return Piece(self.table, list(runs_between(first_row, rows, left_out)), [trouble.bad(url, first_row) for trouble in self.troubles])


def runs_between(first: Optional[int], rows: int, left_out: Sequence[int]) -> Iterator[Run]:
    """The runs that stay of `rows` rows when those numbered (from 0, ascending) are left out."""
    if first is None:
        yield None, rows - len(left_out)
        return
    start = 0
    for gap in [*left_out, rows]:
        if gap > start:
            yield first + start, gap - start
        start = gap + 1


_OF_DATA = (pa.ArrowException, ValueError, EOFError, OverflowError, RuntimeError, lzma.LZMAError, zipfile.BadZipFile, zlib.error)


def readable(act: Callable[[], Any], fault_of_storage: Callable[[], Optional[BaseException]] = lambda: None) -> Any:
    """What `act` gives. Raises Unreadable where the bytes are at fault, and what the storage raised where it is."""
    try:
        return act()
    except (*_OF_DATA, OSError) as fault:
        _judge(fault, fault_of_storage())
        raise Unreadable(line_of(fault)) from fault


def _judge(fault: Exception, of_storage: Optional[BaseException]) -> None:
    if of_storage is not None:
        raise of_storage
    if isinstance(fault, OSError) and fault.errno not in (None, errno.EINVAL):  # Arrow's errors of data have no number; a broken zip seeks to nowhere
        raise fault


def line_of(fault: BaseException) -> str:
    """One line, of a length that a table can show."""
    text = " ".join(str(fault).split()) or type(fault).__name__
    return text[:300]
