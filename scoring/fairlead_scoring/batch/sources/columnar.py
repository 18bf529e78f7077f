"""Parquet and Arrow IPC: read a few thousand rows at a time, never a whole file."""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from typing import Any, Callable, Iterator, List, Mapping, Optional, Sequence, Tuple

import pyarrow as pa
import pyarrow.parquet as pq

from fairlead_scoring.batch.shards import Slice
from fairlead_scoring.batch.sources.files import File
from fairlead_scoring.batch.sources.pieces import Piece, Unusable, line_of, readable
from fairlead_scoring.batch.sources.schemas import Facts, conformed, schema_from_text, schema_to_text, taken

AT_ONCE = 1 << 16  # rows
WHOLE = 64 << 20  # bytes of a row group, unpacked
BUFFER = 1 << 20  # bytes that are read of a column at a time
_Cut = Tuple[int, int, Optional[int], Optional[int], int]
_FILE = b"ARROW1"


def parquet_facts(file: File, _options: Mapping[str, Any], columns: Optional[Sequence[str]]) -> Facts:
    """Raises Unusable."""
    with ExitStack() as held:
        footer = _judged(file, lambda: _parquet(file, held))
        schema = footer.schema_arrow
        schema = pa.schema([schema.field(name) for name in taken(columns, schema.names, file.url)])
        sizes = [(footer.metadata.row_group(number).num_rows, _bytes(footer.metadata, number, schema.names)) for number in range(footer.num_row_groups)]
    rows, size = sum(rows for rows, _ in sizes), sum(size for _, size in sizes)
    return {"schema": schema_to_text(schema), "row_bytes": max(1, size // max(1, rows)), "options": {}}


def split_parquet(file: File, noted: Facts, target: int, most_rows: int) -> List[_Cut]:
    """Parts are runs of row groups; the sizes are those of the columns that are read, unpacked."""
    names = schema_from_text(noted["schema"]).names
    with ExitStack() as held:
        footer = readable(lambda: _parquet(file, held), file.fault).metadata
    sizes = [(footer.row_group(number).num_rows, _bytes(footer, number, names)) for number in range(footer.num_row_groups)]
    return _runs(sizes, target, most_rows)


def read_parquet(file: File, noted: Facts, part: Slice) -> Iterator[Piece]:
    """The rows of row groups."""
    schema = schema_from_text(noted["schema"])
    with ExitStack() as held:
        opened = readable(lambda: _parquet(file, held), file.fault)
        groups = list(range(part.start, opened.num_row_groups if part.stop < 0 else min(part.stop, opened.num_row_groups)))
        present = [name for name in schema.names if name in opened.schema_arrow.names]
        yield from _pieces(_of_groups(opened, groups, present), file, schema, part)


def arrow_facts(file: File, _options: Mapping[str, Any], columns: Optional[Sequence[str]]) -> Facts:
    """Raises Unusable."""
    with ExitStack() as held:
        opened = _judged(file, lambda: _arrow(file, held))
        first = _judged(file, lambda: next(_batches(opened, 0, -1), None))
        schema = pa.schema([opened.schema.field(name) for name in taken(columns, opened.schema.names, file.url)])
        table = None if first is None else first.select(schema.names)
    row_bytes = 64 if table is None or not table.num_rows else table.nbytes // table.num_rows
    return {"schema": schema_to_text(schema), "row_bytes": max(1, row_bytes), "options": {}}


def split_arrow(file: File, _noted: Facts, target: int, most_rows: int) -> List[_Cut]:
    """Parts are runs of record batches. A stream, and a file that is far away, stay whole: to count their rows is to read them."""
    if file.local is None:
        return []
    with ExitStack() as held:
        opened = readable(lambda: _arrow(file, held), file.fault)
        if not hasattr(opened, "num_record_batches"):
            return []
        batches = (_batch(opened, number) for number in range(opened.num_record_batches))
        return _runs([(batch.num_rows, batch.nbytes) for batch in batches], target, most_rows)


def read_arrow(file: File, noted: Facts, part: Slice) -> Iterator[Piece]:
    """The rows of record batches."""
    schema = schema_from_text(noted["schema"])
    with ExitStack() as held:
        opened = readable(lambda: _arrow(file, held), file.fault)
        yield from _pieces(_batches(opened, part.start, part.stop), file, schema, part)


def _of_groups(opened: Any, groups: Sequence[int], names: Sequence[str]) -> Iterator[Any]:
    """A row group at once is a quarter faster than bit by bit; a large one is read bit by bit."""
    for group in groups:
        if _bytes(opened.metadata, group, names) <= WHOLE:
            yield from opened.read_row_group(group, names, use_threads=False).to_batches()
        else:
            yield from opened.iter_batches(AT_ONCE, [group], names, use_threads=False)


def _pieces(batches: Iterator[Any], file: File, schema: pa.Schema, part: Slice) -> Iterator[Piece]:
    row = part.first_row or 0
    while True:
        batch = readable(lambda: next(batches, None), file.fault)
        if batch is None:
            return
        table = conformed(pa.Table.from_batches([batch]), schema)
        yield Piece(table, [(row, table.num_rows)])
        row += table.num_rows


def _parquet(file: File, held: ExitStack) -> Any:
    source = held.enter_context(_opened(file, held))
    return held.enter_context(pq.ParquetFile(source, buffer_size=BUFFER, pre_buffer=False))


def _arrow(file: File, held: ExitStack) -> Any:
    source = held.enter_context(pa.memory_map(os.fsencode(file.local)) if file.local is not None else _opened(file, held))
    magic = source.read(len(_FILE))
    source.seek(0)
    return held.enter_context(pa.ipc.open_file(source) if magic == _FILE else pa.ipc.open_stream(source))


def _opened(file: File, held: ExitStack) -> Any:
    return file.seekable(held.enter_context(tempfile.TemporaryDirectory(prefix="fairlead-")) if file.packed else "")


def _batches(opened: Any, start: int, stop: int) -> Iterator[Any]:
    if hasattr(opened, "num_record_batches"):
        last = opened.num_record_batches if stop < 0 else stop
        return (opened.get_batch(number) for number in range(start, last))
    return iter(opened)


def _batch(opened: Any, number: int) -> Any:
    return readable(lambda: opened.get_batch(number))


def _bytes(footer: Any, number: int, names: Sequence[str]) -> int:
    """What the columns of one row group are, unpacked."""
    group = footer.row_group(number)
    wanted = set(names)
    columns = (group.column(index) for index in range(group.num_columns))
    return sum(column.total_uncompressed_size for column in columns if column.path_in_schema.split(".")[0] in wanted)


def _runs(sizes: Sequence[Tuple[int, int]], target: int, most_rows: int) -> List[_Cut]:
    """Runs of neighbours of about `target` bytes. sizes: rows and bytes of each."""
    made: List[_Cut] = []
    start = row = rows = size = 0
    for number, (more_rows, more) in enumerate(sizes):
        if number > start and (size + more > target or rows + more_rows > most_rows):
            made.append((start, number, row, rows, size))
            start, row, rows, size = number, row + rows, 0, 0
        rows, size = rows + more_rows, size + more
    if len(sizes) > start:
        made.append((start, len(sizes), row, rows, size))
    return made


def _judged(file: File, act: Callable[[], Any]) -> Any:
    try:
        return readable(act, file.fault)
    except Exception as fault:
        if file.failure is not None:
            raise
        raise Unusable(f"{file.url} cannot be read, and the plan follows from it: {line_of(fault)}") from fault
