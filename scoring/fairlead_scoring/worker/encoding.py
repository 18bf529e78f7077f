"""What `run()` returned, as bytes: `json.dumps` as the Azure server does it, and natively what that server cannot encode."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import decimal
import enum
import json
import re
import sys
import uuid
from typing import Any, AsyncIterator, Iterator

from fairlead_scoring.worker.exchange import Answer, EncodeFault, Request
from fairlead_scoring.worker.reading import header

SSE = "text/event-stream"
LINE_ENDS = re.compile(r"\r\n|\n|\r")
FRAMED = re.compile(r"(?:data|event|id|retry)?:[^\0]*\n\n\Z")


def encode(result: Any, request: Request) -> Answer:
    """Raises EncodeFault. None is `{}`, a str becomes a JSON string, a generator is streamed."""
    if result is None:
        return Answer(b"{}")
    if is_stream(result):
        return _streamed(result, request)
    return Answer(to_json(result))


def to_json(result: Any) -> bytes:
    """ASCII, default separators, NaN bare: byte for byte what existing clients get today."""
    try:
        return _dumped(result)
    except (TypeError, ValueError, RecursionError) as error:
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
        return value.isoformat()
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
    if pandas is not None:
        if isinstance(value, pandas.DataFrame):
            return json.loads(value.to_json(orient="records", date_format="iso"))
        if isinstance(value, (pandas.Series, pandas.Index)):
            return value.tolist()
        if value is pandas.NaT or value is pandas.NA:
            return None
    if getattr(getattr(value, "dtype", None), "kind", "") in ("M", "m"):  # tolist() would give nanoseconds as integers
        return value.astype("datetime64[us]" if value.dtype.kind == "M" else "timedelta64[us]").tolist()
    for method in ("model_dump", "tolist", "item"):  # pydantic; arrays and scalars of numpy, torch, tensorflow
        convert = getattr(value, method, None)
        if callable(convert):
            return convert()
    if hasattr(value, "numpy"):
        return value.numpy().tolist()
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def is_stream(result: Any) -> bool:
    return hasattr(result, "__anext__") or (hasattr(result, "__next__") and hasattr(result, "__iter__"))


def _streamed(result: Any, request: Request) -> Answer:
    wants_events = SSE in header(request, b"accept")
    content_type = SSE if wants_events else "application/octet-stream"
    frame = _event if wants_events else _piece
    if hasattr(result, "__anext__"):
        return Answer(_async_chunks(result, frame), content_type=content_type, headers=[("cache-control", "no-cache")])
    return Answer(_Chunks(result, frame), content_type=content_type, headers=[("cache-control", "no-cache")])


class _Chunks:
    """Frames each item; closing it closes the script's generator."""

    def __init__(self, items: Iterator[Any], frame: Any) -> None:
        self._items, self._frame = items, frame

    def __iter__(self) -> _Chunks:
        return self

    def __next__(self) -> bytes:
        chunk: bytes = self._frame(next(self._items))
        return chunk

    def close(self) -> None:
        close = getattr(self._items, "close", None)
        if close is not None:
            close()


async def _async_chunks(items: AsyncIterator[Any], frame: Any) -> AsyncIterator[bytes]:
    try:
        async for item in items:
            yield frame(item)
    finally:
        close = getattr(items, "aclose", None)
        if close is not None:
            await close()


def _piece(item: Any) -> bytes:
    """Text and bytes as they are; anything else as a line of JSON."""
    if isinstance(item, str):
        return item.encode("utf-8")
    if isinstance(item, (bytes, bytearray, memoryview)):
        return bytes(item)
    return to_json(item) + b"\n"


def _event(item: Any) -> bytes:
    """A server-sent event; what the script has framed itself stays as it is."""
    text = _piece(item).decode("utf-8", "replace") if isinstance(item, (str, bytes, bytearray, memoryview)) else to_json(item).decode()
    if FRAMED.match(text):
        return text.encode("utf-8")
    return "".join(f"data: {line}\n" for line in LINE_ENDS.split(text)).encode("utf-8") + b"\n"
