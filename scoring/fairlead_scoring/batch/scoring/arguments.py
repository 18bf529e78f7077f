"""A mini-batch as the arguments of a `run()` that was written for requests: declared tables and tensors straight from Arrow, the rest as JSON would give it."""

from __future__ import annotations

import sys
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import pyarrow as pa

from fairlead_scoring.batch.scoring.blocks import Refused, block_dtype, convert
from fairlead_scoring.errors import BootFault
from fairlead_scoring.schema import Tensor
from fairlead_scoring.worker.arguments import ArrayReader, TableReader, TensorReader, ValueReader, optional
from fairlead_scoring.worker.exchange import BadInput

NUMBERS = (pa.types.is_floating, pa.types.is_integer, pa.types.is_boolean, pa.types.is_decimal)
NAMED = 10


class Prepared(NamedTuple):
    """What one parameter gets, and the rows that may not be in it."""

    value: Any
    refused: List[Refused]


class NoFit(BootFault):
    """The input as a whole is not what the model takes: no row of it can be scored."""

    cause = "input-unfit"


Maker = Callable[[pa.Table], Prepared]


def maker_of(reader: ArrayReader, kept: Sequence[str], *, is_named: bool = False) -> Maker:
    """kept: columns that only stand beside the answers, unless the model asks for them. is_named: the input is the column of that name."""
    if isinstance(reader, TableReader):
        return lambda table: _framed(reader, table)
    return lambda table: _array(reader, [reader.field.name] if is_named else _columns_for(reader, table, kept), table)


def list_maker(reader: ValueReader, kept: Sequence[str]) -> Maker:
    """A parameter that is a list: rows as objects, as lists, or as bare values of the one column, as its items are declared."""
    items = reader.field.type.schema.get("items", {})  # type: ignore[union-attr]

    def make(table: pa.Table) -> Prepared:
        table = table.select([name for name in table.column_names if name not in kept])
        rows = table.to_pylist()
        if isinstance(items, Mapping) and items.get("type") == "array":
            rows = [list(row.values()) for row in rows]
        elif table.num_columns == 1 and not (isinstance(items, Mapping) and items.get("type") in ("object", None) and items):
            rows = [next(iter(row.values())) for row in rows]
        return _read_rows(reader, rows)

    return make


def row_maker(readers: Mapping[str, Any], kept: Sequence[str]) -> Maker:
    """A `run()` of one row: a list of arguments, by column name."""

    def make(table: pa.Table) -> Prepared:
        missing = [name for name, reader in readers.items() if reader.field.required and name not in table.column_names]
        if missing:
            raise NoFit(f"run() needs {_enumerated(missing)}, and the input has no such column; its columns are {_enumerated(table.column_names)}.")
        found, refused = [], []
        for place, row in enumerate(table.select([name for name in readers if name in table.column_names]).to_pylist()):
            try:
                found.append({name: readers[name].read(value) for name, value in row.items()})
            except BadInput as bad:
                refused.append(_refusal(bad, place))
        return Prepared(found, refused)

    del kept
    return make


def _read_rows(reader: ValueReader, rows: List[Any]) -> Prepared:
    try:
        return Prepared(reader.read(rows), [])
    except BadInput as bad:
        whole = bad
    refused = []
    for place, row in enumerate(rows):
        try:
            reader.read([row])
        except BadInput as bad:
            refused.append(_refusal(bad, place))
    if not refused:
        raise whole
    return Prepared(None, refused)


def _refusal(bad: BadInput, place: int) -> Refused:
    errors = bad.detail.get("errors") or [{}]
    return Refused(place, errors[0].get("column") or "", bad.message)


def _framed(reader: TableReader, table: pa.Table) -> Prepared:
    places = {name: place for place, name in enumerate(table.column_names)}
    missing = [name for name in reader.names if name not in places]
    if missing:
        raise NoFit(
            f"The input has no column {_enumerated(missing)}, which the model needs; its columns are {_enumerated(table.column_names)}. "
            "Columns are matched by name: rename them in the file."
        )
    cells = [column.cell for column in reader.declared.columns]
    pandas = optional("pandas")
    dtype = block_dtype(cells)
    columns = [table.column(places[name]) for name in reader.names]  # by name it takes five times as long
    if pandas is None or dtype is None:
        made = [convert(name, column, cell) for name, column, cell in zip(reader.names, columns, cells)]
        refused = [each for one in made for each in one.refused]
        return Prepared(reader.joined([one.array for one in made]) if not refused else None, refused)
    block, refused = _block(reader.names, columns, cells, dtype)
    return Prepared(pandas.DataFrame(block.T, columns=reader.index, copy=False), refused)


def _block(names: Sequence[str], columns: Sequence[Any], cells: Sequence[Any], dtype: str) -> Tuple[Any, List[Refused]]:
    """One row of memory per column, as pandas keeps its frames."""
    import numpy as np

    out = np.empty((len(columns), len(columns[0])), dtype)
    refused: List[Refused] = []
    for place, (name, column, cell) in enumerate(zip(names, columns, cells)):
        refused += convert(name, column, cell, out[place]).refused
    return out, refused


def _columns_for(reader: TensorReader, table: pa.Table, kept: Sequence[str]) -> List[str]:
    """The columns that make up a row of the array, in the order of the input."""
    declared = reader.declared
    takes_any = declared.dtype in ("str", "object", "datetime64")
    others = [name for name in table.column_names if name not in kept]
    lists = [name for name in others if _is_list(table.schema.field(name).type)]
    if len(lists) == 1:
        return lists
    width = declared.shape[1] if declared.shape is not None and len(declared.shape) == 2 else 1 if declared.shape == (-1,) else -1
    every = [name for name in table.column_names if takes_any or _is_number(table.schema.field(name).type)]
    found = [name for name in every if name not in kept]
    for chosen in (found, every):
        if width in (-1, len(chosen)) and chosen:
            return chosen
    what = "columns" if declared.dtype in ("str", "object") else "columns of numbers"
    raise NoFit(
        f"The model takes {width} values per row, and the input has {len(found)} {what}: {_enumerated(found)}. Name those that it needs with --columns."
    )


def _array(reader: TensorReader, names: List[str], table: pa.Table) -> Prepared:
    declared = reader.declared
    missing = [name for name in names if name not in table.column_names]
    if missing:
        raise NoFit(f"The input has no column {_enumerated(missing)}, which run() needs; its columns are {_enumerated(table.column_names)}.")
    if _is_list(table.schema.field(names[0]).type):
        return _nested(reader, names[0], table)
    cells = [declared.cell] * len(names)
    columns = [table.column(name) for name in names]
    dtype = block_dtype([declared.cell])
    if dtype is None:
        made = [convert(name, column, cell) for name, column, cell in zip(names, columns, cells)]
        block, refused = sys.modules["numpy"].stack([one.array for one in made]), [each for one in made for each in one.refused]
    else:
        block, refused = _block(names, columns, cells, dtype)
    is_flat = declared.shape is not None and len(declared.shape) == 1
    return Prepared(block[0] if is_flat else block.T, refused)


def _nested(reader: TensorReader, name: str, table: pa.Table) -> Prepared:
    """One column of lists: each is a row of the array, of as many dimensions as declared."""
    import numpy as np

    declared = reader.declared
    rows = table.column(name).to_pylist()
    shape = None if declared.shape is None else tuple(declared.shape[1:])
    one = TensorReader(reader.field, Tensor(declared.dtype, shape, declared.nulls))
    made, refused = [], []
    for place, row in enumerate(rows):
        try:
            made.append(one.read(row))
        except BadInput as bad:
            refused.append(Refused(place, name, bad.message))
    return Prepared(np.stack(made) if made and not refused else None, refused)


def _is_number(kind: Any) -> bool:
    return any(test(kind) for test in NUMBERS)


def _is_list(kind: Any) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _enumerated(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(map(repr, names[:NAMED])) + (f" and {more} more" if more > 0 else "") if names else "none"


def others_of(inputs: Any, taken: Sequence[str], method: Optional[str]) -> Dict[str, Any]:
    """Arguments that are no data, such as the method of a no-code model. Raises NoFit."""
    said: Dict[str, Any] = {}
    if method is not None:
        if "method" not in inputs.values:
            raise NoFit(f"The method {method!r} was asked for, and this model's run() has no parameter 'method'; leave it out.")
        try:
            said["method"] = inputs.values["method"].read(method)
        except BadInput as bad:
            raise NoFit(f"The model has no method {method!r}: {bad.message}") from None
    given = dict.fromkeys(taken)
    try:
        inputs.complete({**given, **said}, "invocations")
    except BadInput as bad:
        raise NoFit(f"{bad.message} A batch gives run() only rows; give the other parameters a default.") from None
    complete = inputs.complete({**given, **said}, "invocations")
    return {name: value for name, value in complete.items() if name not in given}
