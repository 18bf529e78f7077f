"""Columns of Arrow as the arrays that a script declares: checked column by column, copied once, without a step per row.

The types are those of `worker.arguments`: what a request would be refused for puts a row into quarantine here. Conversions that lose nothing
are made: int to float, bool to number, decimal to float, text that reads as a number (CSV) to that number.
"""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional

import pyarrow as pa
import pyarrow.compute as pc

from fairlead_scoring.schema.scalars import FLOATS, INTEGERS, Scalar
from fairlead_scoring.worker.arguments import array_dtype, moment


class Refused(NamedTuple):
    """One cell that does not fit."""

    row: int
    column: str
    reason: str


class Converted(NamedTuple):
    array: Any
    refused: List[Refused]


def convert(name: str, column: pa.ChunkedArray, cell: Scalar, out: Any = None) -> Converted:
    """As an array of the declared dtype, into `out` where given; cells that are refused hold anything."""
    if out is not None and _is_plain(column, cell, out) and _copied(column, out):
        return Converted(out, [])
    if cell.dtype in FLOATS or cell.dtype in INTEGERS:
        return _numbers(name, column, cell, out)
    if cell.dtype == "datetime64":
        return _moments(name, column, cell)
    return _objects(name, column, cell)


def _is_plain(column: pa.ChunkedArray, cell: Scalar, out: Any) -> bool:
    """Floats that need no more than a copy, if they are finite: what most columns are."""
    if cell.dtype not in FLOATS or column.null_count or cell.minimum is not None or cell.maximum is not None or cell.chosen is not None:
        return False
    return bool(column.type == _ARROW.get(out.dtype.name))


_ARROW = {"float16": pa.float16(), "float32": pa.float32(), "float64": pa.float64()}


def _copied(column: pa.ChunkedArray, out: Any) -> bool:
    """False where a cell is not finite: then the sum is not, either."""
    at = 0
    for chunk in column.chunks:
        out[at : at + len(chunk)] = chunk.to_numpy()
        at += len(chunk)
    total = out.sum() if out.dtype.itemsize > 2 else out.sum(dtype="float64")
    return bool(total - total == 0.0)


def block_dtype(cells: List[Scalar]) -> Optional[str]:
    """The one number type of all columns, which can then share one array; None where they differ."""
    kinds = {array_dtype(cell) for cell in cells}
    only = kinds.pop()
    return None if kinds or only in ("object", "bool", "datetime64[us]") else only


def _numbers(name: str, column: pa.ChunkedArray, cell: Scalar, out: Any) -> Converted:
    import numpy as np

    dtype = array_dtype(cell)
    into = np.empty(len(column), dtype) if out is None else out
    plain, unread = _plain(name, column, cell)
    if pa.types.is_floating(plain.type) or pa.types.is_integer(plain.type):
        refused = _fill(name, plain, cell, into)
    else:
        refused = [Refused(row, name, _said(cell, value)) for row, value in enumerate(plain.to_pylist())]
        into.fill(0)
    known = {each.row for each in unread}
    return Converted(into, unread + [each for each in refused if each.row not in known])


def _plain(name: str, column: pa.ChunkedArray, cell: Scalar) -> Any:
    """Numbers where Arrow's type is something else that may hold them, and what could not be read as one."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_boolean(kind):
        return column.cast(pa.uint8()), []
    if pa.types.is_decimal(kind) or pa.types.is_null(kind):
        return column.cast(pa.float64()), []
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return column, []
    try:
        return column.cast(pa.float64()), []
    except pa.ArrowInvalid:
        values = [_number(text) for text in column.to_pylist()]
        unread = [
            Refused(row, name, _said(cell, text)) for row, (text, value) in enumerate(zip(column.to_pylist(), values)) if text is not None and value is None
        ]
        return pa.chunked_array([pa.array(values, pa.float64())]), unread


def _number(text: Optional[str]) -> Optional[float]:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _fill(name: str, column: pa.ChunkedArray, cell: Scalar, into: Any) -> List[Refused]:
    import numpy as np

    bad: List[int] = []
    at = 0
    for chunk in column.chunks:
        values = chunk.to_numpy(zero_copy_only=False)  # nulls of ints: float64 with NaN
        part = into[at : at + len(values)]
        with np.errstate(invalid="ignore", over="ignore"):
            part[...] = values
            if not _fits(values, part, cell, chunk.null_count):
                bad += (np.nonzero(_doubtful(values, part, cell))[0] + at).tolist()
        at += len(values)
    refused = []
    for row in bad:
        value = column[row].as_py()
        why = cell.refusal(value)
        if why is not None:
            refused.append(Refused(row, name, _said(cell, value)))
    return refused


def _fits(values: Any, part: Any, cell: Scalar, nulls: int) -> bool:
    """True when every value certainly fits; the sum is not finite when one of them is not."""
    if not len(part):
        return True
    if cell.minimum is not None or cell.maximum is not None or cell.chosen is not None:
        return False
    if part.dtype.kind == "f":
        if nulls and not cell.nullable:
            return False
        total = part.sum() if part.dtype.itemsize > 2 else part.sum(dtype="float64")
        return bool(total - total == 0.0) and (cell.dtype in FLOATS or values.dtype.kind in "iu")
    return bool(values.dtype == part.dtype)


def _doubtful(values: Any, part: Any, cell: Scalar) -> Any:
    """Rows to be asked about one by one. Infinity in a column with nulls is NaN from here on, as in a request."""
    import numpy as np

    if part.dtype.kind == "f":
        odd = ~np.isfinite(part)
        if cell.nullable:
            lost = odd & np.isfinite(values) if values.dtype.kind == "f" else odd
            part[odd] = np.nan
            odd = lost
    else:
        odd = np.zeros(len(part), dtype=bool) if values.dtype.kind in "iu" else ~np.isfinite(values)
    if cell.dtype in INTEGERS:
        odd |= _no_integers(values, cell)
    for limit, beyond in ((cell.minimum, np.less), (cell.maximum, np.greater)):
        odd |= beyond(values, limit) if limit is not None else False
    if cell.chosen is not None:
        odd |= ~np.isin(values, list(cell.chosen))
    return odd


def _no_integers(values: Any, cell: Scalar) -> Any:
    """NaN is asked about elsewhere."""
    import numpy as np

    odd = (values < cell.low) | (values > cell.high)
    return odd | ((np.floor(values) != values) & ~np.isnan(values)) if values.dtype.kind == "f" else odd


def _moments(name: str, column: pa.ChunkedArray, cell: Scalar) -> Converted:
    import numpy as np

    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        plain = column.cast(pa.timestamp("us"), safe=False) if not getattr(column.type, "tz", None) else column.cast(pa.timestamp("us", tz="UTC"), safe=False)
        array = plain.to_numpy().astype("datetime64[us]")
        missing = [] if cell.nullable or not plain.null_count else np.nonzero(np.isnat(array))[0].tolist()
        return Converted(array, [Refused(row, name, _said(cell, None)) for row in missing])
    values = column.to_pylist()
    refused = [Refused(row, name, _said(cell, value)) for row, value in enumerate(values) if cell.refusal(value) is not None]
    spoilt = {each.row for each in refused}
    moments = [None if value is None or row in spoilt else moment(value) for row, value in enumerate(values)]
    return Converted(np.array(moments, dtype="datetime64[us]"), refused)


def _objects(name: str, column: pa.ChunkedArray, cell: Scalar) -> Converted:
    """str, bool, object."""
    import numpy as np

    if cell.dtype == "bool" and not cell.nullable and pa.types.is_boolean(column.type) and not column.null_count and cell.chosen is None:
        return Converted(column.to_numpy(), [])
    values = column.to_pylist()
    refused = []
    if not _all_admitted(column, values, cell):
        refused = [Refused(row, name, _said(cell, value)) for row, value in enumerate(values) if cell.refusal(value) is not None]
    if cell.dtype == "bool" and not cell.nullable:
        return Converted(np.array([value is True for value in values], dtype=bool), refused)
    array = np.empty(len(values), dtype=object)
    for place, value in enumerate(values):  # one by one: a cell may be a list itself
        array[place] = None if value != value else value  # noqa: PLR0124  (NaN is null)
    return Converted(array, refused)


def _all_admitted(column: pa.ChunkedArray, values: List[Any], cell: Scalar) -> bool:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if cell.dtype != "str" or not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return cell.admits(values)
    return cell.admits(pc.unique(column).to_pylist())


def _said(cell: Scalar, value: Any) -> str:
    shown = "null" if value is None else repr(value)
    return f"expected {cell.expected(value)}, got {shown[:200]}"


def by_row(refused: List[Refused]) -> Dict[int, Refused]:
    """The first of each row."""
    found: Dict[int, Refused] = {}
    for each in refused:
        found.setdefault(each.row, each)
    return found
