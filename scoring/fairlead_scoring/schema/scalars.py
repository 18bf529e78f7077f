"""The scalar types of tensors and columns: numpy's names, what fits in each, and how a document shows them."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import AbstractSet, Any, Dict, FrozenSet, List, Optional, Sequence, Tuple, Union

from fairlead_scoring.schema.documents import ANYTHING, OPENAPI_31, DeclarationError, Schema, with_null

Number = Union[int, float]

FLOATS: Dict[str, float] = {"float16": 65504.0, "float32": 3.4028234663852886e38, "float64": sys.float_info.max}
INTEGERS: Dict[str, Tuple[int, int]] = {
    name: limits for bits in (8, 16, 32, 64) for name, limits in ((f"int{bits}", (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)), (f"uint{bits}", (0, 2**bits - 1)))
}
DTYPES = ("bool", *tuple(INTEGERS), *tuple(FLOATS), "str", "datetime64", "object")

_NAMES = {
    "float": "float64", "double": "float64", "single": "float32", "half": "float16", "int": "int64", "uint": "uint64", "long": "int64",
    "boolean": "bool", "bool_": "bool", "string": "str", "str_": "str", "unicode": "str", "datetime": "datetime64", "o": "object",
}  # fmt: skip
_CODE = re.compile(r"[<>=|]?([fiub])([1248])\Z")
_TEXT = re.compile(r"([<>=|]?U\d*|str\d+)\Z")
_PYTHON: Dict[str, FrozenSet[type]] = {"bool": frozenset([bool]), "str": frozenset([str]), "datetime64": frozenset([str])}
_FLOAT_ONLY = frozenset([float])
_NUMBER = frozenset([float, int])
_INTEGER = frozenset([int])
_NULL = type(None)
_EXACT = 2.0**53

DATE_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?(?:[Zz]| ?[+-]([01]\d|2[0-3]):?([0-5]\d))?)?\Z", re.ASCII)


def canonical(dtype: str) -> str:
    """numpy's plain name of a dtype as numpy, pandas or a person writes it: "<f4", "Int64", "datetime64[ns, UTC]", "double"."""
    name = str(dtype).strip()
    code = _CODE.match(name)
    if code:
        kind = {"f": "float", "i": "int", "u": "uint", "b": "bool"}[code.group(1)]
        plain = kind if kind == "bool" else kind + str(8 * int(code.group(2)))
    elif _TEXT.match(name):
        plain = "str"
    else:
        plain = name.lower().split("[")[0]
        plain = _NAMES.get(plain, plain)
    if plain not in DTYPES:
        raise DeclarationError("dtype {!r} cannot be checked; write one of {}.".format(dtype, ", ".join(DTYPES)))
    return plain


def is_null(value: Any) -> bool:
    """None, and the floats JSON has no word for: NaN and the infinities."""
    return value is None or (type(value) is float and value - value != 0.0)


def is_moment(text: str) -> bool:
    """ISO 8601: a date, or a date and a time, with or without a zone, in the calendar."""
    found = DATE_TIME.match(text)
    if not found:
        return False
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    try:
        datetime(year, month, day, hour, minute, min(second, 59), tzinfo=timezone.utc)
    except ValueError:
        return False
    return second <= 60


@dataclass(frozen=True)
class Scalar:
    """One cell of a tensor or a column. Whole floats (3.0) fit integer cells: the binding casts to the dtype; 3.5 does not."""

    dtype: str
    nullable: bool = False
    minimum: Optional[Number] = None
    maximum: Optional[Number] = None
    categories: Optional[Tuple[Any, ...]] = None
    types: FrozenSet[type] = field(init=False, repr=False, compare=False)
    low: Optional[Number] = field(init=False, repr=False, compare=False)
    high: Optional[Number] = field(init=False, repr=False, compare=False)
    chosen: Optional[FrozenSet[Any]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        keep = object.__setattr__
        keep(self, "dtype", canonical(self.dtype))
        types = _INTEGER if self.dtype in INTEGERS else _NUMBER if self.dtype in FLOATS else _PYTHON.get(self.dtype, frozenset())
        keep(self, "types", types)
        self._refuse_senseless()
        low, high = INTEGERS.get(self.dtype, (None, None))
        keep(self, "low", low if self.minimum is None else self.minimum if low is None else max(low, self.minimum))
        keep(self, "high", high if self.maximum is None else self.maximum if high is None else min(high, self.maximum))
        keep(self, "chosen", frozenset(self.categories) if self.categories is not None else None)

    def _refuse_senseless(self) -> None:
        limits = [limit for limit in (self.minimum, self.maximum) if limit is not None]
        if limits and not (self.types and self.types <= _NUMBER):
            raise DeclarationError(f"minimum and maximum need a number type, dtype is {self.dtype}.")
        if any(type(limit) not in _NUMBER or is_null(limit) for limit in limits):
            raise DeclarationError(f"minimum and maximum of a {self.dtype} must be finite numbers, got {limits}.")
        if len(limits) == 2 and limits[0] > limits[1]:
            raise DeclarationError("minimum {} is above maximum {}.".format(*limits))
        if self.categories is not None and not (self.categories and self.types.issuperset(map(type, self.categories))):
            raise DeclarationError(f"categories of a {self.dtype} must be some values of that type, got {list(self.categories)}.")

    def admits(self, values: Sequence[Any]) -> bool:
        """True when every value certainly fits. False asks for `refusal` of each: it alone decides."""
        kinds = set(map(type, values))
        if self.nullable and _NULL in kinds:
            kinds.discard(_NULL)
            values = [value for value in values if value is not None]
        if self.dtype == "object":
            return self.nullable or not any(map(is_null, values))
        if not kinds <= self.types or self.dtype == "datetime64":
            return False
        if self.chosen is not None and not self.chosen.issuperset(values):
            return False
        if not values or self.types is _PYTHON.get(self.dtype):
            return True
        return self._finite(kinds, values) and self._within(values)

    def _finite(self, kinds: AbstractSet[type], values: Sequence[Any]) -> bool:
        if kinds == _INTEGER and self.types is _INTEGER:
            return True
        try:
            if kinds == _FLOAT_ONLY and self.dtype == "float64":
                total = sum(values)
                return bool(total - total == 0.0)
            return bool(sum(map(abs, values)) <= FLOATS[self.dtype])
        except OverflowError:
            return False

    def _within(self, values: Sequence[Any]) -> bool:
        if self.low is not None and min(values) < self.low:
            return False
        return self.high is None or max(values) <= self.high

    def refusal(self, value: Any) -> Optional[str]:
        """None when the value fits, else what was expected in its place."""
        if is_null(value):
            return None if self.nullable else self.expected(value)
        if self.dtype in FLOATS:
            fits = type(value) in _NUMBER and abs(value) <= FLOATS[self.dtype]
        elif self.dtype in INTEGERS:
            fits = type(value) is int or (type(value) is float and value.is_integer() and abs(value) <= _EXACT)
        else:
            fits = not self.types or type(value) in self.types
        if fits and self.dtype == "datetime64":
            fits = is_moment(value)
        if fits and ((self.low is not None and value < self.low) or (self.high is not None and value > self.high)):
            fits = False
        if fits and self.chosen is not None and value not in self.chosen:
            fits = False
        return None if fits else self.expected(value)

    def expected(self, value: Any = None) -> str:
        """The cell in words, for "expected ..."; the type's own limits are named when the value ran into them."""
        if self.categories is not None:
            words = _one_of(self.categories)
        elif self.dtype in INTEGERS:
            shown = self.dtype not in ("int64", "uint64") or type(value) is int
            words = "an integer" + _between(self.low if shown else self.minimum, self.high if shown else self.maximum)
        elif self.dtype in FLOATS:
            words = "a number" + _between(self.minimum, self.maximum)
            if type(value) in _NUMBER and not is_null(value) and abs(value) > FLOATS[self.dtype]:
                words += " that fits " + self.dtype
        else:
            words = {"bool": "true or false", "str": "a string", "datetime64": "an ISO 8601 date or date and time"}.get(self.dtype, "a value")
        return words + (" or null" if self.nullable else "")

    def json_schema(self, version: str) -> Schema:
        """The cell in an OpenAPI document; types and formats as inference-schema writes them, limits added."""
        out = self._plain_schema(version)
        if self.categories is not None:
            out["enum"] = list(self.categories)
        elif self.dtype in INTEGERS:
            out["minimum"], out["maximum"] = self.low, self.high
        elif self.dtype in FLOATS:
            widest = FLOATS[self.dtype] if self.dtype != "float64" else None
            limits = {
                "minimum": self.minimum if self.minimum is not None or widest is None else -widest,
                "maximum": self.maximum if self.maximum is not None else widest,
            }
            out.update({key: limit for key, limit in limits.items() if limit is not None})
        return with_null(out, version) if self.nullable else out

    def _plain_schema(self, version: str) -> Schema:
        if self.dtype in INTEGERS:
            return {"type": "integer", "format": self.dtype}
        if self.dtype in FLOATS:
            return {"type": "number", "format": "double" if self.dtype == "float64" else "float"}
        if self.dtype == "object":
            return {"type": list(ANYTHING)} if version == OPENAPI_31 else {}
        return {"bool": {"type": "boolean"}, "str": {"type": "string"}, "datetime64": {"type": "string", "format": "date-time"}}[self.dtype]


def _between(low: Optional[Number], high: Optional[Number]) -> str:
    if low is not None and high is not None:
        return f" between {low} and {high}"
    if low is not None:
        return f" of at least {low}"
    return f" of at most {high}" if high is not None else ""


def _one_of(choices: Sequence[Any]) -> str:
    words: List[str] = [json.dumps(choice, ensure_ascii=False) for choice in choices[:10]]
    more = len(choices) - len(words)
    return "one of " + ", ".join(words) + (f" and {more} more" if more else "")
