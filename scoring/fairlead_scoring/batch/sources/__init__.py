"""Inputs as mini-batches: `batches` gives those of one shard, as the plan cut it."""

from __future__ import annotations

from typing import Any, Callable, Iterator, Mapping, Optional, Tuple

import pyarrow as pa

from fairlead_scoring.batch.job import Input, Order
from fairlead_scoring.batch.shards import Bad, Shard, Slice
from fairlead_scoring.batch.sources import sql
from fairlead_scoring.batch.sources.batch import Batch
from fairlead_scoring.batch.sources.cutting import Cutter, Size
from fairlead_scoring.batch.sources.files import Files
from fairlead_scoring.batch.sources.folders import with_path_columns
from fairlead_scoring.batch.sources.formats import FILES, FORMATS
from fairlead_scoring.batch.sources.grouping import grouped
from fairlead_scoring.batch.sources.paths import batches_of_paths
from fairlead_scoring.batch.sources.pieces import Piece, Unreadable, Unusable, readable
from fairlead_scoring.batch.sources.schemas import schema_from_text
from fairlead_scoring.batch.sources.sifting import by_time
from fairlead_scoring.batch.sources.together import read_together

__all__ = ["Batch", "Unusable", "batches"]

DEFAULT_BYTES = 24 << 20
DEFAULT_FILES = 10
Places = Callable[[Input], Any]


def batches(order: Order, facts: Mapping[str, Any], shard: Shard, places: Places) -> Iterator[Batch]:
    """The mini-batches of a shard, in the order of its rows; each is good until the next is asked for. facts: of the plan.

    places: opens what an input names (a Place; for a database anything whose `url` is its address). Bad data is in the batches. Raises Unusable for inputs
    that are not those of the plan any more, and what storage raises.
    """
    if not shard.slices:
        return
    number = shard.slices[0].input
    said, noted = order.inputs[number], facts["inputs"][number]
    if said.query is not None:
        yield from _cut(_rows_of_query(places(said).url, said, noted, shard), order, noted, shard)
        return
    files = Files(places(said))
    try:
        if noted["format"] == FILES:
            yield from batches_of_paths(files, shard, size_of(order, noted), order.partition_keys, order.mini_batch.bytes or 0)
        else:
            yield from _cut(_pieces(files, said, noted, shard), order, noted, shard)
    finally:
        files.close()


def size_of(order: Order, noted: Mapping[str, Any]) -> Size:
    """How much a mini-batch holds. Bytes become rows by what a row of the first file takes, so that nobody has to measure while reading."""
    wanted = order.mini_batch
    if noted["format"] == FILES:
        return Size(0, wanted.files or wanted.rows or (None if wanted.bytes else DEFAULT_FILES))
    if wanted.files:
        return Size(0, wanted.files)
    return Size(wanted.rows or max(1, (wanted.bytes or DEFAULT_BYTES) // noted["row_bytes"]))


def _rows_of_query(url: str, said: Input, noted: Mapping[str, Any], shard: Shard) -> Iterator[Any]:
    names = schema_from_text(noted["schema"]).names
    for part in shard.slices:
        for piece in sql.read(url, said, {**noted, "schema": noted["read"]}, part):
            filtered = by_time(piece, said) if said.timestamp else piece
            yield part, Piece(filtered.table.select(names), filtered.runs, filtered.bad)
        yield part, None


def _pieces(files: Files, said: Input, noted: Mapping[str, Any], shard: Shard) -> Iterator[Any]:
    """(slice, piece) as they come, (slice, None) where a file ends."""
    schema = schema_from_text(noted["schema"])
    row_filter = said.timestamp is not None and said.timestamp not in noted["path_columns"]
    for part, piece in _of_slices(files, noted, shard):
        if piece is None:
            yield part, None
            continue
        taken = by_time(piece, said) if row_filter else piece
        table = with_path_columns(taken.table, part.values, schema)
        yield part, Piece(table if table.schema.equals(schema) else table.select(schema.names), taken.runs, taken.bad)


def _of_slices(files: Files, noted: Mapping[str, Any], shard: Shard) -> Iterator[Tuple[Slice, Optional[Piece]]]:
    if noted["format"] in ("csv", "tsv") and len(shard.slices) > 1:
        yield from read_together(files, {**noted, "schema": noted["read"]}, shard.slices, lambda part: _of_slice(files, noted, part))
        return
    for part in shard.slices:
        for piece in _of_slice(files, noted, part):
            yield part, piece
        yield part, None


def _of_slice(files: Files, noted: Mapping[str, Any], part: Slice) -> Iterator[Piece]:
    """Its rows; what cannot be read of it is one bad item."""
    read = FORMATS[noted["format"]].read
    seen: Optional[pa.Table] = None
    try:
        file = files.file(part)
        pieces = read(file, {**noted, "schema": noted["read"]}, part)
        while True:
            piece = readable(lambda: next(pieces, None), file.fault)
            if piece is None:
                return
            seen = piece.table
            yield piece
    except Unreadable as fault:
        empty = seen.slice(0, 0) if seen is not None else schema_from_text(noted["read"]).empty_table()
        yield Piece(empty, [], [Bad(_name(part), None, None, f"The rest of the file cannot be read: {fault}")])


def _cut(pieces: Iterator[Any], order: Order, noted: Mapping[str, Any], shard: Shard) -> Iterator[Batch]:
    cutter = Cutter(size_of(order, noted), schema_from_text(noted["schema"]).empty_table())
    for part, piece, group in _labelled(pieces, order, noted, shard):
        if piece is None:
            yield from cutter.file_ends()
            continue
        yield from cutter.enter(group)
        yield from cutter.take(piece, _name(part))
    yield from cutter.end()


def _labelled(pieces: Iterator[Any], order: Order, noted: Mapping[str, Any], shard: Shard) -> Iterator[Any]:
    """(slice, piece, values of the partition keys)."""
    if noted.get("grouping") == "rows":
        yield from grouped(pieces, order.partition_keys, shard.number - noted["first_shard"], noted["buckets"])
        return
    for part, piece in pieces:
        yield part, piece, tuple(part.values.get(key, "") for key in order.partition_keys)


def _name(part: Slice) -> str:
    return f"{part.url}#{part.member}" if part.member else part.url
