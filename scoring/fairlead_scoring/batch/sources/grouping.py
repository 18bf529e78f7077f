"""Rows with the same keys together. The plan makes buckets; a shard is one of them: it reads all of the input and keeps its own rows.

So nothing is written on the way, a worker anywhere can do it, and memory holds one bucket. The price is that the input is read once for each bucket;
keys that are folders' names (name=value, partition_format) cost nothing, and are the better choice for large inputs.
"""

from __future__ import annotations

import bisect
import itertools
import zlib
from typing import Any, Iterator, List, Optional, Sequence, Tuple

import pyarrow as pa
import pyarrow.compute as pc

from fairlead_scoring.batch.shards import Slice
from fairlead_scoring.batch.sources.folders import NOTHING
from fairlead_scoring.batch.sources.pieces import Piece
from fairlead_scoring.batch.sources.sifting import cut_at_gaps, kept

Group = Tuple[str, ...]


def grouped(pieces: Iterator[Any], keys: Sequence[str], bucket: int, buckets: int) -> Iterator[Tuple[Slice, Piece, Group]]:
    """The rows of a bucket: groups in order of appearance, rows in that of the input. Bad rows are the first bucket's."""
    taken: List[Tuple[Slice, Piece]] = []
    for part, piece in pieces:
        if piece is None:
            continue
        mine = _of_bucket(piece, keys, bucket, buckets)
        if mine.bad and bucket == 0:
            yield part, Piece(mine.table.slice(0, 0), [], mine.bad), ()
        if mine.table.num_rows:
            taken.append((part, Piece(mine.table, mine.runs)))
    if taken:
        yield from _sorted(taken, keys)


def _of_bucket(piece: Piece, keys: Sequence[str], bucket: int, buckets: int) -> Piece:
    """The same keys fall into the same bucket on every machine."""
    codes, words = _coded(piece.table, keys)
    chosen = [number for number, word in enumerate(words) if zlib.crc32("\0".join(word).encode("utf-8", "surrogatepass")) % buckets == bucket]
    return kept(piece, pc.is_in(codes, pa.array(chosen, codes.type)))


def _sorted(taken: Sequence[Tuple[Slice, Piece]], keys: Sequence[str]) -> Iterator[Tuple[Slice, Piece, Group]]:
    table = pa.concat_tables([piece.table for _, piece in taken])
    codes, words = _coded(table, keys)
    order = pc.array_sort_indices(codes)  # stable
    table, rows, codes = table.take(order), order.to_pylist(), codes.take(order).to_pylist()
    starts = [0, *itertools.accumulate(piece.table.num_rows for _, piece in taken)]
    numbers = [number for _, piece in taken for number in _numbers(piece)]
    position = 0
    while position < len(rows):
        owner, code = bisect.bisect_right(starts, rows[position]) - 1, codes[position]
        stop = position
        while stop < len(rows) and rows[stop] < starts[owner + 1] and (stop == position or rows[stop] > rows[stop - 1]) and codes[stop] == code:
            stop += 1
        yield taken[owner][0], Piece(table.slice(position, stop - position), _runs(numbers, rows[position:stop])), words[code]
        position = stop


def _numbers(piece: Piece) -> Iterator[Optional[int]]:
    for first, count in piece.runs:
        yield from itertools.repeat(None, count) if first is None else range(first, first + count)


def _runs(numbers: Sequence[Optional[int]], rows: Sequence[int]) -> List[Tuple[Optional[int], int]]:
    own = [numbers[row] for row in rows]
    known = [number for number in own if number is not None]
    return cut_at_gaps(known, 0) if len(known) == len(own) else [(None, len(own))]


def _coded(table: pa.Table, keys: Sequence[str]) -> Tuple[pa.Array, List[Group]]:
    """A number for each row, the same for rows with the same keys, in order of first appearance; and the keys as texts by number."""
    texts = [_as_text(table[key]) for key in keys]
    joined = pc.binary_join_element_wise(*texts, "\0") if len(texts) > 1 else texts[0]
    coded = (joined.combine_chunks() if isinstance(joined, pa.ChunkedArray) else joined).dictionary_encode()
    return coded.indices, [tuple(word.split("\0")) for word in coded.dictionary.to_pylist()]


def _as_text(column: Any) -> Any:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return pc.fill_null(column.cast(pa.string()), NOTHING)
