"""Columns for formats that know fewer types than Arrow: whole columns at once where Arrow can, values one by one where it cannot."""

from __future__ import annotations

import base64
import json
import math
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any, Callable, List

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

_TO_ESCAPE = r'["\\\x00-\x1f]'


def flat_table(table: pa.Table) -> pa.Table:
    """For CSV: lists and records as JSON, bytes as base64, times as ISO 8601."""
    return _mapped(table, _flat)


def json_rows(table: pa.Table) -> bytes:
    """A line of JSON for each row. What is no finite number is null, bytes are base64, times are ISO 8601, decimals are text."""
    pieces: List[Any] = []
    for name, column in zip(table.column_names, table.columns):
        pieces += [("," if pieces else "{") + json.dumps(name, ensure_ascii=False) + ":", _json_texts(column)]
    rows = pc.binary_join_element_wise(*pieces, "}\n", "")
    return b"".join([bytes(chunk.buffers()[2]) for chunk in rows.chunks])


def schema_text(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name}: {field.type}" for field in schema)


def _mapped(table: pa.Table, change: Callable[[pa.ChunkedArray], pa.ChunkedArray]) -> pa.Table:
    return pa.table([change(column) for column in table.columns], names=table.column_names)


def _flat(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if types.is_nested(kind):
        dump = _dumper()
        return pa.chunked_array([[None if value is None else dump(value).decode().rstrip("\n") for value in column.to_pylist()]], pa.string())
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return pa.chunked_array([[None if value is None else _plain(value) for value in column.to_pylist()]], pa.string())
    return _timed(column)


def _timed(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if types.is_dictionary(kind):
        return _timed(column.cast(kind.value_type))
    if types.is_timestamp(kind):
        return pc.replace_substring(column.cast(pa.string()), " ", "T", max_replacements=1)
    if types.is_date(kind) or types.is_time(kind) or types.is_decimal(kind):
        return column.cast(pa.string())
    if types.is_duration(kind):
        return pc.divide(column.cast(pa.int64()).cast(pa.float64()), float({"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[kind.unit]))
    return column


def _json_texts(column: Any) -> Any:
    column = _timed(column)
    kind = column.type
    if types.is_floating(kind):
        digits = pc.if_else(pc.is_finite(column), column, pa.scalar(None, kind)).cast(pa.string())
        texts = pc.replace_substring_regex(digits, r"^(-?\d+)$", r"\1.0")  # a reader tells by it that the column is no integer
    elif types.is_integer(kind) or types.is_boolean(kind):
        texts = column.cast(pa.string())
    elif types.is_large_string(kind):
        texts = _json_texts(column.cast(pa.string()))
    elif types.is_string(kind) and not pc.any(pc.match_substring_regex(column, _TO_ESCAPE)).as_py():
        texts = pc.binary_join_element_wise('"', column, '"', "")
    else:
        dump = _dumper()
        texts = pa.chunked_array([[None if value is None else dump(value).decode().rstrip("\n") for value in column.to_pylist()]], pa.string())
    return pc.fill_null(texts, "null")


def _dumper() -> Callable[[Any], bytes]:
    """With and without orjson the same text."""
    try:
        import orjson
    except ImportError:
        return _dump
    option = orjson.OPT_APPEND_NEWLINE | orjson.OPT_PASSTHROUGH_DATETIME

    def dump(value: Any) -> bytes:
        try:
            return orjson.dumps(value, default=_plain, option=option)
        except TypeError:  # keys that are no text, integers beyond 64 bits, lone surrogates
            return _dump(value)

    return dump


def _dump(value: Any) -> bytes:
    try:
        text = json.dumps(value, default=_plain, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(value), default=_plain, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace") + b"\n"


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} is nothing that JSON has")
