"""What a model or a `run()` declares about its inputs and its output, as facts that travel as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple, Union

from fairlead_scoring.schema.documents import OPENAPI_31, SWAGGER_2, DeclarationError, Schema, any_of, shown
from fairlead_scoring.schema.keywords import declare
from fairlead_scoring.schema.scalars import Number, Scalar

ORIENTS = ("records", "values", "split")
_UNSAID = object()


@dataclass(frozen=True)
class Tensor:
    """An N-dimensional array, sent as nested JSON lists.

    dtype: numpy's name. shape: -1 is any size from 1 up; () is a bare scalar; None is any rectangular array.
    nulls: null (and NaN, Infinity, which JSON lacks) is allowed as a cell.
    """

    dtype: str = "float64"
    shape: Optional[Tuple[int, ...]] = None
    nulls: bool = False
    cell: Scalar = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "cell", Scalar(self.dtype, self.nulls))
        object.__setattr__(self, "dtype", self.cell.dtype)
        if self.shape is None:
            return
        object.__setattr__(self, "shape", tuple(self.shape))
        if any(type(size) is not int or size < -1 for size in self.shape):
            raise DeclarationError(f"shape {list(self.shape)} must hold whole numbers, -1 where any size will do.")

    def to_json(self) -> Dict[str, Any]:
        shape = None if self.shape is None else list(self.shape)
        return {"kind": "tensor", "dtype": self.dtype, "shape": shape, "nulls": self.nulls}

    def json_schema(self, version: str = OPENAPI_31) -> Schema:
        out = self.cell.json_schema(version)
        if self.shape is None:
            return any_of([{"type": "array", "items": {}}, out], version)
        for size in reversed(self.shape):
            out = {"type": "array", "items": out, "minItems": abs(size)}
            if size >= 0:
                out["maxItems"] = size
        return out


@dataclass(frozen=True)
class Column:
    """One column of a table; `minimum`, `maximum` are inclusive, `categories` lists every value allowed."""

    name: str
    dtype: str
    nullable: bool = False
    minimum: Optional[Number] = None
    maximum: Optional[Number] = None
    categories: Optional[Tuple[Any, ...]] = None
    cell: Scalar = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise DeclarationError(f"column name {self.name!r} must be a string, as keys are in JSON.")
        if self.categories is not None:
            object.__setattr__(self, "categories", tuple(self.categories))
        try:
            cell = Scalar(self.dtype, self.nullable, self.minimum, self.maximum, self.categories)
        except DeclarationError as fault:
            raise DeclarationError(f"column {self.name!r}: {fault}") from None
        object.__setattr__(self, "cell", cell)
        object.__setattr__(self, "dtype", cell.dtype)

    def to_json(self) -> Dict[str, Any]:
        out: Dict[str, Any] = {"name": self.name, "dtype": self.dtype, "nullable": self.nullable}
        limits = {"minimum": self.minimum, "maximum": self.maximum}
        out.update({key: limit for key, limit in limits.items() if limit is not None})
        if self.categories is not None:
            out["categories"] = list(self.categories)
        return out


@dataclass(frozen=True)
class Table:
    """Rows with named columns, one at least. Accepted as records, as lists in column order, or as {"columns", "data"}.

    orient: which of these a document shows first. Every column must be there and no other; only nulls may be missing from a cell.
    """

    columns: Tuple[Column, ...]
    orient: str = "records"
    names: Tuple[str, ...] = field(init=False, repr=False, compare=False)
    groups: Tuple[Tuple[Scalar, Tuple[str, ...]], ...] = field(init=False, repr=False, compare=False)  # columns of one kind are checked at once

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", tuple(self.columns))
        names = tuple(column.name for column in self.columns)
        object.__setattr__(self, "names", names)
        cells = dict.fromkeys(column.cell for column in self.columns)
        groups = tuple((cell, tuple(column.name for column in self.columns if column.cell == cell)) for cell in cells)
        object.__setattr__(self, "groups", groups)
        if not names:
            raise DeclarationError("a table needs at least one column.")
        if len(set(names)) < len(names):
            twice = sorted(name for name in set(names) if names.count(name) > 1)
            raise DeclarationError(f"column {twice[0]!r} is declared twice.")
        if self.orient not in ORIENTS:
            raise DeclarationError("orient {!r} is unknown; write one of {}.".format(self.orient, ", ".join(ORIENTS)))

    def to_json(self) -> Dict[str, Any]:
        return {"kind": "table", "columns": [column.to_json() for column in self.columns], "orient": self.orient}

    def json_schema(self, version: str = OPENAPI_31) -> Schema:
        """Every accepted form, the declared orient first; 3.0 cannot show mixed lists, Swagger 2.0 shows one form only."""
        cells = {column.name: column.cell.json_schema(version) for column in self.columns}
        record = {"type": "object", "properties": cells, "required": list(self.names), "additionalProperties": False}
        row = self._row_schema(list(cells.values()), version)
        forms = {"records": _rows(record)}
        if row is not None:
            header: Schema = {"type": "array", "items": {"type": "string", "enum": list(self.names)}}
            header.update({"minItems": len(self.names), "maxItems": len(self.names), "uniqueItems": True})
            split = {"columns": header, "index": {"type": "array", "items": {}}, "data": _rows(self._any_order(row))}
            forms["values"] = _rows(row)
            forms["split"] = {"type": "object", "properties": split, "required": ["columns", "data"], "additionalProperties": False}
        first = self.orient if self.orient in forms else "records"
        return any_of([forms.pop(first), *list(forms.values())], version)

    def _row_schema(self, cells: List[Schema], version: str) -> Optional[Schema]:
        size = {"minItems": len(cells), "maxItems": len(cells)}
        if all(cell == cells[0] for cell in cells):
            return dict({"type": "array", "items": cells[0]}, **size)
        if version == OPENAPI_31:
            return dict({"type": "array", "prefixItems": cells}, **size)
        return dict({"type": "array", "items": {}}, **size) if version == SWAGGER_2 else None

    def _any_order(self, row: Schema) -> Schema:
        if "items" in row or len(self.names) == 1:
            return row
        return {"type": "array", "items": {}, "minItems": len(self.names), "maxItems": len(self.names)}


@dataclass(frozen=True)
class Value:
    """Any other JSON value, described by a JSON Schema subset (`keywords`); it reaches `run()` as it was sent, so 3.0 is no integer."""

    schema: Schema = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "schema", declare(self.schema))

    def to_json(self) -> Dict[str, Any]:
        return {"kind": "value", "schema": self.schema}

    def json_schema(self, version: str = OPENAPI_31) -> Schema:
        return shown(self.schema, version)


Type = Union[Tensor, Table, Value]


@dataclass(frozen=True)
class Field:
    """One named input (a key of the body) or the output. `default` counts only when the field is not required."""

    name: str
    type: Type
    required: bool = True
    default: Any = None
    example: Any = None

    def to_json(self) -> Dict[str, Any]:
        out: Dict[str, Any] = {"name": self.name, "type": self.type.to_json(), "required": self.required}
        if not self.required:
            out["default"] = self.default
        if self.example is not None:
            out["example"] = self.example
        return out

    @staticmethod
    def from_json(said: Any) -> Field:
        """Reads what `to_json` wrote, or a person; raises DeclarationError, never guesses."""
        part = _Part(said, "field")
        name = part.take("name", str)
        part.where = f"field {name!r}"
        out = Field(
            name,
            _type_from_json(part.take("type", dict), part.where),
            required=part.take("required", bool, True),
            default=part.take("default", object, None),
            example=part.take("example", object, None),
        )
        part.finish()
        return out

    def json_schema(self, version: str = OPENAPI_31) -> Schema:
        """The field in an OpenAPI document of version "2.0", "3.0" or "3.1", with its default and its example."""
        out = dict(self.type.json_schema(version))
        if not self.required and self.default is not None:
            out["default"] = self.default
        if self.example is not None:
            out["example"] = self.example
        return out


@dataclass(frozen=True)
class Signature:
    """The inputs by name, and the output when it is known."""

    inputs: Tuple[Field, ...]
    output: Optional[Field] = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", tuple(self.inputs))
        names = [each.name for each in self.inputs]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise DeclarationError(f"input {twice[0]!r} is declared twice.")

    def to_json(self) -> Dict[str, Any]:
        output = None if self.output is None else self.output.to_json()
        return {"inputs": [each.to_json() for each in self.inputs], "output": output}

    @staticmethod
    def from_json(said: Any) -> Signature:
        part = _Part(said, "schema")
        inputs = part.take("inputs", list)
        output = part.take("output", object, None)
        part.finish()
        return Signature(tuple(map(Field.from_json, inputs)), None if output is None else Field.from_json(output))


def _rows(row: Schema) -> Schema:
    return {"type": "array", "items": row, "minItems": 1}


class _Part:
    """A JSON object that is read key by key; what nobody asked for is refused."""

    def __init__(self, said: Any, where: str) -> None:
        if not isinstance(said, dict):
            raise DeclarationError(f"{where} must be an object, got {type(said).__name__}.")
        self._said = said
        self.where = where
        self._taken: List[str] = []

    def take(self, key: str, kind: Any, default: Any = _UNSAID) -> Any:
        self._taken.append(key)
        value = self._said.get(key, default)
        if value is _UNSAID:
            raise DeclarationError(f"{self.where}: {key!r} is missing.")
        if not isinstance(value, kind) and value is not default:
            raise DeclarationError("{}: {!r} is {!r}, a {} is needed.".format(self.where, key, value, getattr(kind, "__name__", "number")))
        return value

    def finish(self) -> None:
        unknown = [str(key) for key in self._said if key not in self._taken]
        if unknown:
            raise DeclarationError("{}: {!r} is unknown; the keys are {}.".format(self.where, unknown[0], ", ".join(self._taken)))


def _type_from_json(said: Any, where: str) -> Type:
    kind = said.get("kind")
    if kind not in _READERS:
        raise DeclarationError("{}: kind {!r} is unknown; write one of {}.".format(where, kind, ", ".join(_READERS)))
    part = _Part({key: value for key, value in said.items() if key != "kind"}, where)
    try:
        out = _READERS[kind](part)
    except DeclarationError as fault:
        text = str(fault)
        raise DeclarationError(text if text.startswith(where) else f"{where}: {text}") from None
    part.finish()
    return out


def _read_tensor(part: _Part) -> Tensor:
    dtype = part.take("dtype", str, "float64")
    shape: Optional[Iterable[int]] = part.take("shape", list, None)
    return Tensor(dtype, None if shape is None else tuple(shape), part.take("nulls", bool, False))


def _read_table(part: _Part) -> Table:
    columns = [_read_column(_Part(each, "column")) for each in part.take("columns", list)]
    return Table(tuple(columns), part.take("orient", str, "records"))


def _read_column(part: _Part) -> Column:
    categories = part.take("categories", list, None)
    out = Column(
        part.take("name", str),
        part.take("dtype", str),
        nullable=part.take("nullable", bool, False),
        minimum=part.take("minimum", (int, float), None),
        maximum=part.take("maximum", (int, float), None),
        categories=None if categories is None else tuple(categories),
    )
    part.finish()
    return out


def _read_value(part: _Part) -> Value:
    return Value(part.take("schema", dict, {}))


_READERS: Dict[str, Callable[[_Part], Type]] = {"tensor": _read_tensor, "table": _read_table, "value": _read_value}
