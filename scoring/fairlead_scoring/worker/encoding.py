"""What `run()` returned, as bytes: `json.dumps` as the Azure server does it, and natively what that server cannot encode."""

from __future__ import annotations

import base64
import collections.abc
import dataclasses
import datetime as dt
import decimal
import enum
import json
import sys
import uuid
from typing import Any

from fairlead_scoring.worker.chunks import is_stream, streamed
from fairlead_scoring.worker.exchange import Answer, EncodeFault, Request


def encode(result: Any, request: Request) -> Answer:
    """Raises EncodeFault. None is `{}`, a str becomes a JSON string, a generator is streamed."""
    if result is None:
        return Answer(b"{}")
    if is_stream(result):
        return streamed(result, request, to_json)
    return Answer(to_json(result))


def to_json(result: Any) -> bytes:
    """ASCII, default separators, NaN bare: byte for byte what existing clients get today."""
    try:
        return _dumped(result)
    except Exception as error:
        raise EncodeFault(f"run() returned {type(result).__name__}, which cannot be encoded as JSON: {error}") from error


def _dumped(result: Any) -> bytes:
    try:
        return json.dumps(result, default=native).encode("ascii")
    except TypeError as error:
        if not str(error).startswith("keys must be"):
            raise
        return json.dumps(_with_plain_keys(result), default=native).encode("ascii")


def _with_plain_keys(value: Any) -> Any:
    """`value_counts().to_dict()` and its like have keys of numpy; json.dumps asks `default` about values only."""
    if isinstance(value, dict):
        return {_plain_key(key): _with_plain_keys(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_plain_keys(one) for one in value]
    return value


def _plain_key(key: Any) -> Any:
    plain = key if isinstance(key, (str, int, float, bool, type(None), tuple)) else native(key)
    return plain if isinstance(plain, (str, int, float, bool, type(None))) else str(plain)


def native(value: Any) -> Any:  # noqa: PLR0911  (one per kind of value)
    """What JSON lacks: numpy, pandas, dates, decimals, bytes (base64), sets, enums, dataclasses, pydantic models."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, (dt.datetime, dt.date, dt.time)):
        return value.isoformat() if value == value else None  # noqa: PLR0124  (pandas.NaT is a datetime, and unequal to itself)
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    if isinstance(value, decimal.Decimal):
        return int(value) if value == value.to_integral_value() and value.as_tuple().exponent == 0 else float(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(bytes(value)).decode("ascii")
    if isinstance(value, (set, frozenset)):
        return sorted(value) if all(isinstance(one, str) for one in value) else list(value)
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, uuid.UUID):
        return str(value)
    return _of_library(value)


def _of_library(value: Any) -> Any:
    pandas = sys.modules.get("pandas")
    if pandas is not None and (isinstance(value, pandas.DataFrame) or value is pandas.NA):
        return None if value is pandas.NA else _records(value)
    if getattr(getattr(value, "dtype", None), "kind", "") in ("M", "m") and hasattr(value, "astype"):  # numpy's tolist() would give nanoseconds
        value = getattr(value, "to_numpy", value.copy)()
        value = value.astype("datetime64[us]" if value.dtype.kind == "M" else "timedelta64[us]")
    for method in ("model_dump", "tolist", "item"):  # pydantic; arrays and scalars of numpy, pandas, torch
        convert = getattr(value, method, None)
        if callable(convert):
            return convert()
    if hasattr(value, "numpy"):  # tensorflow
        return value.numpy().tolist()
    return _of_protocol(value)


def _records(frame: Any) -> Any:
    """Rows as objects; a missing number is null. (to_json() would say so, too, but cuts floats to ten decimals.)"""
    rows = frame.to_dict(orient="records")
    return [{name: None if isinstance(cell, float) and cell != cell else cell for name, cell in row.items()} for row in rows]  # noqa: PLR0124


def _of_protocol(value: Any) -> Any:
    if isinstance(value, collections.abc.Mapping) or hasattr(value, "__fields__"):  # the latter: pydantic 1
        return dict(value)
    if isinstance(value, collections.abc.Collection):
        return list(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")
