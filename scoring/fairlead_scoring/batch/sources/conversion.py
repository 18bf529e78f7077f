"""Texts to typed values, exactly as pyarrow's CSV reader converts them, but one that cannot be converted does not end the others."""

from __future__ import annotations

import difflib
import re
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from fairlead_scoring.batch.sources.pieces import Parsed, Trouble, Unusable, line_of

_DECIMAL = re.compile(r"decimal(?:128|256)?\((\d+), ?(-?\d+)\)")
_TIMESTAMP = re.compile(r"timestamp\[(s|ms|us|ns), ?(?:tz=)?([A-Za-z0-9_+:/-]+)\]")


def type_named(name: str) -> pa.DataType:
    """An Arrow type by its name as pyarrow prints it: int64, double, string, bool, date32, timestamp[us], timestamp[us, tz=UTC], decimal128(10, 2)."""
    found = _DECIMAL.fullmatch(name)
    if found:
        return pa.decimal128(int(found[1]), int(found[2]))
    found = _TIMESTAMP.fullmatch(name)
    if found:
        return pa.timestamp(found[1], found[2])
    try:
        return pa.type_for_alias(name.replace("[day]", "").replace("date32[day]", "date32"))
    except ValueError:
        known = "int64, double, string, bool, date32, timestamp[us], decimal128(10, 2)"
        raise Unusable(f"{name!r} is no type that is known; write one as pyarrow names it: {known}, …") from None


def told_types(options: Mapping[str, Any], names: Sequence[str], where: str) -> Dict[str, pa.DataType]:
    """Of the option `types`. Raises Unusable for a column that is none."""
    told = {name: type_named(kind) for name, kind in (options.get("types") or {}).items()}
    for name in told:
        if name not in names:
            near = difflib.get_close_matches(name, names, 1, 0.5)
            cure = f"; is {near[0]!r} meant?" if near else "."
            raise Unusable(f"The option types names the column {name!r}, and {where} has {', '.join(names[:20])}{cure}")
    return told


def convert_rows(texts: pa.Table, types: Mapping[str, pa.DataType], options: Mapping[str, Any]) -> Parsed:
    """Rows of a table of binary columns, those that cannot be converted apart. options: of pyarrow.csv.ConvertOptions."""
    columns: Dict[str, pa.Array] = {}
    bad: Dict[int, Trouble] = {}
    for name in texts.column_names:
        columns[name], failed = _column(texts[name].combine_chunks(), types[name], options)
        for row, reason in failed:
            bad.setdefault(row, Trouble(row, name, reason))
    table = pa.table(columns)
    if not bad:
        return Parsed(table)
    rows = sorted(bad)
    spoilt = texts.take(rows).to_pylist()
    troubles = [Trouble(row, bad[row].column, bad[row].reason, _text(values)) for row, values in zip(rows, spoilt)]
    return Parsed(without_rows(table, rows), troubles)


def without_rows(table: pa.Table, rows: Sequence[int]) -> pa.Table:
    kept = pc.invert(pc.is_in(pa.array(range(table.num_rows), pa.int64()), pa.array(rows, pa.int64())))
    return table.filter(kept)


def isolate(items: Sequence[Any], attempt: Callable[[Sequence[Any]], Any]) -> Tuple[List[Any], List[Tuple[int, Exception]]]:
    """What `attempt` makes of the runs of items that it takes, and the items (by number) that it refuses alone. Halves what raises ValueError."""
    made: List[Any] = []
    refused: List[Tuple[int, Exception]] = []
    waiting = [(0, len(items))] if items else []
    while waiting:
        start, stop = waiting.pop()
        try:
            made.append(attempt(items[start:stop]))
        except (ValueError, pa.ArrowException) as fault:
            if stop - start == 1:
                refused.append((start, fault))
                continue
            middle = (start + stop) // 2
            waiting += [(middle, stop), (start, middle)]  # the first half is next
    return made, refused


def _column(texts: pa.Array, kind: pa.DataType, options: Mapping[str, Any]) -> Tuple[pa.Array, List[Tuple[int, str]]]:
    """Each distinct text is converted once: what spoils a column is often the same word."""
    coded = texts.dictionary_encode()
    words, codes = coded.dictionary, coded.indices
    made, refused = isolate(words, lambda some: _converted(some, kind, options))
    if not refused:
        values = pa.chunked_array(made, kind).combine_chunks() if made else pa.array([], kind)
        return values.take(codes), []
    wrong = pa.array([number for number, _ in refused], codes.type)
    right = pc.invert(pc.is_in(pa.array(range(len(words)), codes.type), wrong))
    place = pc.if_else(right, pc.subtract(pc.cumulative_sum(pc.cast(right, pa.int32())), 1), pa.scalar(None, pa.int32()))
    values = pa.chunked_array(made, kind).combine_chunks() if made else pa.array([], kind)
    reasons = {number: line_of(fault).partition("Row #1: ")[2] or line_of(fault) for number, fault in refused}
    rows = pc.indices_nonzero(pc.fill_null(pc.is_in(codes, wrong), False)).to_pylist()
    return values.take(place.take(codes)), [(row, reasons[codes[row].as_py()]) for row in rows]


def _converted(words: pa.Array, kind: pa.DataType, options: Mapping[str, Any]) -> pa.Array:
    """Through the CSV reader itself, so that one word is read alike wherever it stands."""
    text = b'"' + b'"\n"'.join(word.replace(b'"', b'""') for word in words.to_pylist()) + b'"\n'
    read = pyarrow.csv.ReadOptions(column_names=["it"], use_threads=False, block_size=len(text) + 1)
    parse = pyarrow.csv.ParseOptions(delimiter="\x01", newlines_in_values=True)
    settled = pyarrow.csv.ConvertOptions(column_types={"it": kind}, **options)
    return pyarrow.csv.read_csv(pa.BufferReader(text), read, parse, settled)["it"].combine_chunks()


def _text(values: Mapping[str, Optional[bytes]]) -> str:
    return ",".join("" if value is None else value.decode("utf-8", "backslashreplace") for value in values.values())
