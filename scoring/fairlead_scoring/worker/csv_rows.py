"""CSV bodies as rows of a declared table or tensor, and results as CSV.

MLflow sends a header, SageMaker none. RFC 4180's `text/csv; header=present` (or absent) settles it; else the first row is a header when it
names a column of the table, when it holds something that is no number where the declaration wants numbers, or when it counts 0, 1, 2 …
as pandas does with nameless columns.
"""

from __future__ import annotations

import csv
import io
from math import isnan
from typing import Any, List

from fairlead_scoring.schema.scalars import FLOATS, INTEGERS, Scalar
from fairlead_scoring.worker.arguments import ArrayReader, Reader, TableReader, TensorReader
from fairlead_scoring.worker.exchange import BadInput
from fairlead_scoring.worker.json_text import dump
from fairlead_scoring.worker.results import records

NULLS = frozenset(("", "nan", "null", "na", "n/a", "none", "<na>", "#n/a"))
WANT_NO_TEXT = frozenset((*FLOATS, *INTEGERS, "bool"))
TRUE, FALSE = frozenset(("true", "1")), frozenset(("false", "0"))
ANY = Scalar("object", nullable=True)
LEAST_COUNTED = 3  # columns; 0, 1 may well be a row


def rows_of_csv(text: str, array: Reader, header: str = "") -> Any:
    """A table's rows as {"columns", "data"}, a tensor's as lists, undeclared ones as objects; cells in the declared types. Raises BadInput."""
    rows = _parsed(text)
    named = header == "present" or (header != "absent" and (_has_header(rows, array) if isinstance(array, (TableReader, TensorReader)) else bool(rows)))
    names, rows = (rows[0], rows[1:]) if named else ([], rows)
    if not rows:
        raise BadInput("The CSV body has a header and no rows." if named else "The CSV body is empty.")
    width = len(names or rows[0])
    for place, row in enumerate(rows):
        if len(row) != width:
            raise BadInput(f"{array.field.name}, row {place}: expected {width} values, got {len(row)}.")
    if isinstance(array, TensorReader):
        cells = [[cell_of(text, array.declared.cell) for text in row] for row in rows]
        one_column = array.declared.shape is not None and len(array.declared.shape) == 1
        return [row[0] for row in cells] if one_column and width == 1 else cells
    if isinstance(array, TableReader):
        return _table_rows(array, names, rows)
    cells = [[cell_of(text, ANY) for text in row] for row in rows]
    return [dict(zip(names, row)) for row in cells] if names else cells


def cell_of(text: str, cell: Scalar) -> Any:
    """The JSON value that a CSV cell stands for; text that stands for none stays text, and the check names it."""
    if cell.dtype in ("str", "datetime64"):
        return None if cell.nullable and text == "" else text
    if cell.dtype in FLOATS:
        try:
            number = float(text)
            return None if isnan(number) else number if "_" not in text else text
        except ValueError:
            return None if text.strip().lower() in NULLS else text
    trimmed = text.strip().lower()
    if trimmed in NULLS:
        return None
    if cell.dtype == "bool":
        return True if trimmed in TRUE else False if trimmed in FALSE else text
    found = _number(text)
    return text if found is None else found


def csv_text(result: Any) -> str:
    """One line per row, without a header."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for row in records(result):
        cells = list(row.values()) if isinstance(row, dict) else row if isinstance(row, (list, tuple)) else [row]
        texts = [cell if isinstance(cell, str) else dump(cell).decode() for cell in cells]
        writer.writerow(["" if text == "null" else text for text in texts])
    return out.getvalue()


def _parsed(text: str) -> List[List[str]]:
    try:
        return [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except csv.Error as fault:
        raise BadInput(f"The body is not CSV: {fault}.") from None


def _has_header(rows: List[List[str]], array: ArrayReader) -> bool:
    if not rows:
        return False
    first = [cell.strip() for cell in rows[0]]
    if isinstance(array, TableReader):
        if set(first) & set(array.names):
            return True
        scalars = [column.cell for column in array.declared.columns]
        if len(first) != len(scalars):
            return any(_number(cell) is None for cell in first)
    else:
        scalars = [array.declared.cell] * len(first)
    if len(rows) > 1 and len(first) >= LEAST_COUNTED and first == [str(place) for place in range(len(first))]:
        return True
    return any(isinstance(cell_of(text, cell), str) and cell.dtype in WANT_NO_TEXT for cell, text in zip(scalars, first))


def _table_rows(array: TableReader, names: List[str], rows: List[List[str]]) -> Any:
    cells = {column.name: column.cell for column in array.declared.columns}
    order = [name.strip() for name in names] or array.names
    if len(order) != len(rows[0]):
        raise BadInput(f"{array.field.name}: expected {len(order)} values in a row, got {len(rows[0])}.")
    if not set(order) & cells.keys():  # numbered columns stand for the declared ones in their order
        order = array.names if len(order) == len(array.names) and order == [str(place) for place in range(len(order))] else order
    known = [cells.get(name) for name in order]
    data = [[text if cell is None else cell_of(text, cell) for cell, text in zip(known, row)] for row in rows]
    return {"columns": order, "data": data}


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text) if "_" not in text else None
        except ValueError:
            continue
    return None
