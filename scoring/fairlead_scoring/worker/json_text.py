"""JSON in and out with what the user's environment has: orjson when it is there, else the standard library. Both give the same."""

from __future__ import annotations

import json
import math
from functools import lru_cache
from itertools import chain
from typing import Any, List, Optional, Union

from fairlead_scoring.worker.encoding import native
from fairlead_scoring.worker.exchange import BadInput, EncodeFault
from fairlead_scoring.worker.reading import DEPTH_LIMIT


def parse(body: Union[bytes, memoryview]) -> Any:
    """The value of a body. NaN and Infinity, which Python clients write, are read as the floats they are. Raises BadInput."""
    fast = _orjson()
    if fast is not None:
        try:
            return fast.loads(body)
        except ValueError:
            pass  # the slow way reads more, or says where the fault is
    return _parse_slowly(bytes(body))


def dump(value: Any) -> bytes:
    """JSON text; arrays and frames are lists, NaN is null. Raises EncodeFault."""
    fast = _orjson()
    try:
        if fast is not None:
            try:
                return bytes(fast.dumps(value, _plain, fast.OPT_SERIALIZE_NUMPY))
            except TypeError:
                pass  # keys that are numbers, integers above 64 bits
        return _dump_slowly(value)
    except Exception as fault:  # whatever a value's own methods raise
        raise EncodeFault(f"run() returned a {type(value).__name__} that cannot be written as JSON: {fault}.") from fault


def too_deep(value: Any) -> bool:
    """Nested more than 100 levels."""
    level: List[Any] = [value]
    for _ in range(DEPTH_LIMIT + 1):
        level = [inner for inner in level if type(inner) in (list, dict)]
        if not level:
            return False
        level = list(chain.from_iterable(inner.values() if type(inner) is dict else inner for inner in level))
    return True


@lru_cache(maxsize=None)
def _orjson() -> Optional[Any]:
    try:
        import orjson
    except ImportError:
        return None
    return orjson


def _parse_slowly(body: bytes) -> Any:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise BadInput(f"The body is not UTF-8 (byte {fault.start}): {fault.reason}.") from None
    if not text.strip():
        raise BadInput("The body is empty; JSON is expected.")
    try:
        value = json.loads(text)
        if "\\ud" in text or "\\uD" in text:
            json.dumps(value, ensure_ascii=False).encode()
        return value
    except UnicodeEncodeError:
        raise BadInput("The body holds half of a surrogate pair (\\ud800 to \\udfff), which is no character.") from None
    except RecursionError:
        raise BadInput(f"The body is nested more than {DEPTH_LIMIT} levels deep.") from None
    except ValueError as fault:
        raise BadInput(f"The body is not JSON: {fault}.") from None


def _dump_slowly(value: Any) -> bytes:
    try:
        text = json.dumps(value, default=_plain, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError):
        text = json.dumps(_without_nan(value), allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return text.encode()


def _without_nan(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, dict):
        return {key if isinstance(key, str) else _key(key): _without_nan(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(each) for each in value]
    return _without_nan(_plain(value))


def _plain(value: Any) -> Any:
    """Floats of 16 and 32 bits have the digits that tell them apart, as orjson writes them, not those of the double that Python makes of them."""
    dtype = getattr(value, "dtype", None)
    if type(value).__module__ == "numpy" and dtype is not None and dtype.kind == "f" and dtype.itemsize < 8:
        value = value.astype("float32").astype("U32").astype("float64")
    return native(value)


def _key(key: Any) -> str:
    plain = key.item() if hasattr(key, "item") else key
    return plain if isinstance(plain, str) else json.dumps(plain) if plain is None or isinstance(plain, (bool, int, float)) else str(plain)
