"""Declared inputs as `run()` is handed them, from JSON that fits.

Tensor: a numpy array. Table: a pandas DataFrame, columns in declared order. Value: as it was sent. Without numpy and pandas: lists, and
lists of dicts. The dtype never depends on whether a request happens to hold a null, so that requests can share a `run()`:

    declared                     array or column
    float, int, bool             that dtype
    float with nulls             that dtype, NaN for null (and for Infinity, which JSON lacks)
    int with nulls               float64, NaN for null
    bool with nulls, str, object object, None for null
    datetime64                   datetime64[us] in UTC, NaT for null
"""

from __future__ import annotations

import copy
import importlib
import re
from datetime import datetime, timedelta
from itertools import chain
from operator import itemgetter
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from fairlead_scoring.schema import Field, Mismatch, Signature, Table, Tensor, check
from fairlead_scoring.schema.scalars import DATE_TIME, FLOATS, INTEGERS, Scalar
from fairlead_scoring.worker.exchange import BadInput
from fairlead_scoring.worker.json_text import too_deep
from fairlead_scoring.worker.reading import DEPTH_LIMIT

Convert = Callable[[Any], Any]
_FRACTION = re.compile(r"\.(\d{1,6})")


class ValueReader:
    """Any other JSON. convert: makes what the script annotated of it, such as a dataclass."""

    def __init__(self, field: Field, convert: Optional[Convert] = None) -> None:
        self.field = field
        self._convert = convert

    def read(self, value: Any) -> Any:
        """Raises BadInput."""
        if too_deep(value):
            raise BadInput(f"{self.field.name} is nested more than {DEPTH_LIMIT} levels deep.")
        checked(self.field, value)
        return value if self._convert is None or value is None else self._convert(value)


class TensorReader:
    def __init__(self, field: Field, declared: Tensor) -> None:
        self.field = field
        self.declared = declared
        self.cells = Cells(declared.cell)

    def read(self, value: Any) -> Any:
        """Nested lists. Raises BadInput."""
        checked(self.field, value)
        return self.cells.array(value, depth=None if self.declared.shape is None else len(self.declared.shape))


class TableReader:
    def __init__(self, field: Field, declared: Table) -> None:
        self.field = field
        self.declared = declared
        self.names = list(declared.names)
        self.cells = [Cells(column.cell) for column in declared.columns]
        kinds = {cells.dtype for cells in self.cells}
        nullable = {cells.nan_for_infinity for cells in self.cells}
        self._one = self.cells[0] if len(kinds) == len(nullable) == 1 else None
        self._pick = itemgetter(*self.names) if len(self.names) > 1 else lambda row: (row[self.names[0]],)
        self._pandas = optional("pandas")
        self.index = self._pandas.Index(self.names, dtype=object) if self._pandas else None  # of every frame: making one takes a tenth of a millisecond
        self._joins_fast = self._pandas is not None and self._agree_on_joining()

    def read(self, value: Any) -> Any:
        """Records, lists in column order, or {"columns", "data"}. Raises BadInput."""
        checked(self.field, value)
        if isinstance(value, dict):
            place = {name: index for index, name in enumerate(value["columns"])}
            order = [place[name] for name in self.names]
            return self.frame([self._ordered(row, order) for row in value["data"]])
        return self.frame([self._pick(row) if isinstance(row, dict) else row for row in value])

    @property
    def is_uniform(self) -> bool:
        """Every column is declared alike."""
        return len(self.declared.groups) == 1

    def framed(self, flat: Any, shape: Tuple[int, ...]) -> Any:
        """From row-major cells that fit, every column declared alike."""
        if self._pandas is None:
            return self.frame(nested(flat, shape))
        return self._pandas.DataFrame(self.cells[0].shaped(flat, shape), columns=self.index, copy=False)

    def frame(self, rows: Sequence[Sequence[Any]]) -> Any:
        """From rows in declared order that fit."""
        if self._pandas is None:
            return [dict(zip(self.names, row)) for row in rows]
        if self._one is not None:
            return self._pandas.DataFrame(self._one.array(rows, depth=2), columns=self.index, copy=False)
        return self.joined([list(column) for column in zip(*rows)])

    def joined(self, columns: Sequence[Any]) -> Any:
        """From columns in declared order (lists or arrays) that fit."""
        if self._pandas is None:
            return [dict(zip(self.names, row)) for row in zip(*map(plain_list, columns))]
        if self._one is not None and all(type(column) is list for column in columns):
            return self.frame(list(zip(*columns)))
        arrays = [cells.array(column, depth=1) for cells, column in zip(self.cells, columns)]
        if self._one is not None:
            return self._pandas.DataFrame(optional("numpy").stack(arrays, axis=1), columns=self.index, copy=False)
        return self._join_fast(arrays) if self._joins_fast else self._join(arrays)

    def _join(self, arrays: List[Any]) -> Any:
        series = [self._pandas.Series(array, dtype=object) if array.dtype == object else array for array in arrays]
        out = self._pandas.DataFrame(dict(enumerate(series)), copy=False)
        out.columns = self.index
        return out

    def _join_fast(self, arrays: List[Any]) -> Any:
        """Seven times as fast as the public way, which looks at every cell again."""
        rows = self._pandas.RangeIndex(len(arrays[0]))
        return self._pandas.DataFrame._from_arrays(arrays, columns=self.index, index=rows, verify_integrity=False)

    def _agree_on_joining(self) -> bool:
        """Whether this version of pandas still gives the same frame both ways."""
        numpy = optional("numpy")
        arrays = [numpy.full(2, "x", dtype=object) if cells.dtype == "object" else numpy.zeros(2, dtype=cells.dtype) for cells in self.cells]
        try:
            fast, slow = self._join_fast(arrays), self._join(arrays)
            return bool(fast.equals(slow) and (fast.dtypes == slow.dtypes).all())
        except Exception:  # noqa: BLE001  (a private name may be gone, or take something else, in any way)
            return False

    @staticmethod
    def _ordered(row: Any, order: List[int]) -> List[Any]:
        return [row[index] for index in order]


ArrayReader = Union[TensorReader, TableReader]
Reader = Union[ArrayReader, ValueReader]


class Cells:
    """Cells of one declared type as an array."""

    def __init__(self, scalar: Scalar) -> None:
        self.scalar = scalar
        self.dtype = array_dtype(scalar)
        self.nan_for_infinity = scalar.nullable and scalar.dtype in FLOATS
        self._numpy = optional("numpy")

    def array(self, values: Any, depth: Optional[int]) -> Any:
        """values: nested sequences of that depth, or an array. Without numpy they stay what they are."""
        numpy = self._numpy
        if numpy is None:
            return plain_list(values)
        if self.scalar.dtype in ("datetime64", "object"):
            return self._from_objects(values, depth)
        out = numpy.asarray(values, dtype=self.dtype)
        if self.nan_for_infinity:
            infinite = numpy.isinf(out)
            if infinite.any():
                out = numpy.where(infinite, numpy.array(numpy.nan, dtype=out.dtype), out)
        return out

    def shaped(self, flat: Any, shape: Sequence[int]) -> Any:
        """From row-major cells that fit."""
        if self._numpy is None:
            return nested(flat, shape)
        return self.array(flat, depth=1).reshape(shape)

    def _from_objects(self, values: Any, depth: Optional[int]) -> Any:
        shape: Tuple[int, ...] = ()
        flat = [plain_list(values)]
        while isinstance(flat[0], (list, tuple)) and (depth is None or len(shape) < depth):
            shape += (len(flat[0]),)
            flat = list(chain.from_iterable(flat))
            if not flat:
                break
        if self.scalar.dtype == "datetime64":
            moments = [None if text is None else self._moment(text) for text in flat]
            return self._numpy.array(moments, dtype=self.dtype).reshape(shape)
        out = self._numpy.empty(len(flat), dtype=object)
        for place, cell in enumerate(flat):  # one by one: a cell may be a list itself
            out[place] = cell
        return out.reshape(shape)

    @staticmethod
    def _moment(text: str) -> datetime:
        try:
            return moment(text)
        except OverflowError:
            raise BadInput(f"The moment {text} lies outside the calendar.") from None


class Inputs:
    """All declared inputs of a `run()`. defaults: per dialect, values that count before those of the fields. converters: per Value."""

    def __init__(
        self,
        signature: Signature,
        defaults: Optional[Mapping[str, Mapping[str, Any]]] = None,
        converters: Optional[Mapping[str, Convert]] = None,
    ) -> None:
        self.signature = signature
        self.values: Dict[str, ValueReader] = {}
        self.arrays: Dict[str, ArrayReader] = {}
        for field in signature.inputs:
            if isinstance(field.type, Tensor):
                self.arrays[field.name] = TensorReader(field, field.type)
            elif isinstance(field.type, Table):
                self.arrays[field.name] = TableReader(field, field.type)
            else:
                self.values[field.name] = ValueReader(field, (converters or {}).get(field.name))
        self.readers: Dict[str, Reader] = {field.name: self.arrays.get(field.name) or self.values[field.name] for field in signature.inputs}
        self.array = next(iter(self.arrays.values()), None)
        required = [each for each in self.values.values() if each.field.required]
        self.rows: Optional[Reader] = self.array or (required[0] if len(required) == 1 else None)  # what rows without a name are
        self._defaults = {dialect: dict(said) for dialect, said in (defaults or {}).items()}
        self._own = {field.name: self._default(field) for field in signature.inputs if not field.required}

    @property
    def names(self) -> str:
        return ", ".join(self.readers) or "none"

    def read(self, said: Mapping[str, Any], dialect: str) -> Dict[str, Any]:
        """Arguments from a JSON object keyed by input. Raises BadInput."""
        unknown = [name for name in said if name not in self.readers]
        if unknown:
            raise BadInput(f"{unknown[0][:80]!r} is no input of this service; its inputs are: {self.names}.")
        return self.complete({name: self.readers[name].read(value) for name, value in said.items()}, dialect)

    def complete(self, arguments: Dict[str, Any], dialect: str) -> Dict[str, Any]:
        """With the defaults of what is not there. Raises BadInput where there is none."""
        if len(arguments) == len(self.readers):
            return arguments
        special = self._defaults.get(dialect, {})
        for name in self.readers:
            if name in arguments:
                continue
            if name in special:
                arguments[name] = _fresh(special[name])
            elif name in self._own:
                arguments[name] = _fresh(self._own[name])
            else:
                raise BadInput(f"{name!r} is missing; the inputs are: {self.names}.", detail=_missing(name))
        return arguments

    def _default(self, field: Field) -> Any:
        """A Value's may be what Python code said: a dataclass, an Enum."""
        array = self.arrays.get(field.name)
        return field.default if array is None or field.default is None else array.read(field.default)


def checked(field: Field, value: Any) -> None:
    """Raises BadInput that carries every mismatch."""
    try:
        check(field, value)
    except Mismatch as mismatch:
        raise BadInput(str(mismatch), detail={"errors": mismatch.errors()}) from None
    except RecursionError:
        raise BadInput(f"{field.name} is nested more than {DEPTH_LIMIT} levels deep.") from None


def array_dtype(scalar: Scalar) -> str:
    if scalar.dtype == "datetime64":
        return "datetime64[us]"
    if scalar.dtype in ("str", "object") or (scalar.dtype == "bool" and scalar.nullable):
        return "object"
    return "float64" if scalar.dtype in INTEGERS and scalar.nullable else scalar.dtype


def moment(text: str) -> datetime:
    """ISO 8601 text that fits a datetime64, as a moment in UTC without a zone; a leap second counts as the one before it."""
    found = DATE_TIME.match(text)
    assert found is not None
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    fraction = _FRACTION.search(text)
    out = datetime(year, month, day, hour, minute, min(second, 59), int(fraction.group(1).ljust(6, "0")) if fraction else 0)  # noqa: DTZ001
    if found.group(7) is not None:
        offset = timedelta(hours=int(found.group(7)), minutes=int(found.group(8)))
        out += offset if text[found.start(7) - 1] == "-" else -offset
    return out


def nested(data: Any, shape: Sequence[int]) -> Any:
    """Flat, row-major data (as many as the shape holds, one at least) as nested lists."""
    flat = data if isinstance(data, list) else data.tolist()
    if not shape:
        return flat[0]
    for size in reversed(shape[1:]):
        flat = [flat[start : start + size] for start in range(0, len(flat), size)]
    return flat


def plain_list(values: Any) -> Any:
    return values.tolist() if hasattr(values, "tolist") else values


def optional(name: str) -> Any:
    """numpy or pandas, None where the user's environment lacks it."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _missing(name: str) -> Dict[str, Any]:
    return {"errors": [{"field": name, "row": None, "column": None, "expected": "a value", "got": "nothing"}]}


def _fresh(value: Any) -> Any:
    """A default of its own for each request, where a script could change it."""
    if isinstance(value, (list, dict)):
        return copy.deepcopy(value)
    return value.copy() if hasattr(value, "dtype") or hasattr(value, "dtypes") else value
