"""Does a parsed JSON body fit what was declared? Fast when it does; where it does not, every mismatch up to ten."""

from __future__ import annotations

import json
import re
from itertools import chain, islice
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple, Union

from fairlead_scoring.schema.declared import Field, Table, Tensor
from fairlead_scoring.schema.keywords import ABSENT, violations

MOST = 10
SHOWN = 80

_ITEM = re.compile(r"\[(\d+)\]\.?(.*)", re.DOTALL)  # a path that starts at an item of the whole: that item is a row
_LIST = {list}
_DICT = {dict}


class Mismatch(ValueError):
    """A value that does not fit its declaration: the caller's mistake.

    row: index in the data, from 0. column: name, index, or path inside the value. got: JSON text, at most 80 characters.
    others: further mismatches of the same field; `errors()` lists all, this one first.
    """

    def __init__(self, field: str, expected: str, got: str, row: Optional[int] = None, column: Union[int, str, None] = None) -> None:
        super().__init__(field, expected, got, row, column)
        self.field = field
        self.row = row
        self.column = column
        self.expected = expected
        self.got = got
        self.others: Tuple[Mismatch, ...] = ()

    def __str__(self) -> str:
        where = [self.field]
        if self.row is not None:
            where.append(f"row {self.row}")
        if self.column is not None:
            where.append("column {}".format(self.column if isinstance(self.column, int) else f"'{self.column}'"))
        return "{}: expected {}, got {}.".format(", ".join(where), self.expected, self.got)

    def errors(self) -> List[Dict[str, Any]]:
        """All mismatches as they go on the wire."""
        return [{"field": each.field, "row": each.row, "column": each.column, "expected": each.expected, "got": each.got} for each in (self, *self.others)]


def check(field: Field, value: Any) -> None:
    """Silent when the value (as a JSON parser made it) fits. Raises Mismatch, which carries up to ten of them."""
    declared = field.type
    if isinstance(declared, Tensor):
        if _tensor_fits(declared, value):
            return
        found = _tensor_mismatches(field.name, declared, value)
    elif isinstance(declared, Table):
        if _table_fits(declared, value):
            return
        found = _table_mismatches(field.name, declared, value)
    else:
        found = _value_mismatches(field.name, declared.schema, value)
    first = list(islice(found, MOST))
    if first:
        first[0].others = tuple(first[1:])
        raise first[0]


def shorten(value: Any) -> str:
    """The value as JSON text of at most 80 characters that can always be encoded; costs little however large the value is."""
    if value is ABSENT:
        return "nothing"
    if isinstance(value, list):
        text = "[" + ", ".join(map(shorten, value[:SHOWN])) + ("]" if len(value) <= SHOWN else ", ...")
    elif isinstance(value, dict):
        text = "{" + ", ".join(_quoted(key) + ": " + shorten(value[key]) for key in islice(value, SHOWN)) + "}"
    elif isinstance(value, int) and value.bit_length() > 256:
        text = f"an integer of {value.bit_length()} bits"
    else:
        text = _quoted(value[: SHOWN + 1]) if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).encode("utf-8", "backslashreplace").decode("utf-8")


def _tensor_fits(tensor: Tensor, value: Any) -> bool:
    level: Sequence[Any] = [value]
    if tensor.shape is None:
        while level and set(map(type, level)) == _LIST:
            if len(set(map(len, level))) != 1:
                return False
            level = list(chain.from_iterable(level))
        return tensor.cell.admits(level)
    for size in tensor.shape:
        if set(map(type, level)) != _LIST:
            return False
        widths = set(map(len, level))
        width = widths.pop()
        if widths or (width != size if size >= 0 else not width):
            return False
        level = level[0] if len(level) == 1 else list(chain.from_iterable(level))
        if not level:
            return True
    return tensor.cell.admits(level)


def _tensor_mismatches(name: str, tensor: Tensor, value: Any) -> Iterator[Mismatch]:
    for index, expected, got in _walk(tensor, _resolved(tensor.shape, value), value, ()):
        row = index[0] if index else None
        rest = index[1:]
        column = None if not rest else rest[0] if len(rest) == 1 else ",".join(map(str, rest))
        yield Mismatch(name, expected, got, row, column)


def _resolved(shape: Optional[Tuple[int, ...]], value: Any) -> Tuple[int, ...]:
    """The sizes that free dimensions take in this value, from its first elements, so that ragged rows show."""
    sizes: List[int] = []
    while isinstance(value, list) and (shape is None or len(sizes) < len(shape)):
        free = shape is None or shape[len(sizes)] < 0
        sizes.append(len(value) if free and (value or shape is None) else -1 if shape is None else shape[len(sizes)])
        value = value[0] if value else None
    return tuple(sizes) + (() if shape is None else shape[len(sizes) :])


def _walk(tensor: Tensor, shape: Tuple[int, ...], value: Any, index: Tuple[int, ...]) -> Iterator[Tuple[Tuple[int, ...], str, str]]:
    if not shape:
        expected = tensor.cell.refusal(value)
        if expected is not None:
            yield index, expected, shorten(value)
        return
    size = shape[0]
    if not isinstance(value, list):
        yield index, _array_words(shape), shorten(value)
    elif size < 0 and not value:
        yield index, "at least one row" if not index else "at least one value", "none"
    elif 0 <= size != len(value):
        yield index, _count(size), _count(len(value))
    else:
        for position, item in enumerate(value):
            yield from _walk(tensor, shape[1:], item, (*index, position))


def _array_words(shape: Tuple[int, ...]) -> str:
    if len(shape) == 1:
        return "a list of values" if shape[0] < 0 else "a list of " + _count(shape[0])
    return "an array of shape ({})".format(", ".join("*" if size < 0 else str(size) for size in shape))


def _count(size: int) -> str:
    return "1 value" if size == 1 else f"{size} values"


def _table_fits(table: Table, value: Any) -> bool:
    """True when the form is plainly right and every cell fits."""
    if type(value) is dict:
        header = value.get("columns")
        if type(header) is not list or not value.keys() <= _SPLIT or sorted(map(str, header)) != sorted(table.names):
            return False
        return _lists_fit(table, value.get("data"), header)
    if type(value) is not list or not value:
        return False
    if set(map(type, value)) != _DICT:
        return _lists_fit(table, value, table.names)
    wanted = dict.fromkeys(table.names).keys()
    if not all(row.keys() == wanted for row in value):
        return False
    return all(cell.admits([row[name] for row in value for name in names]) for cell, names in table.groups)


_SPLIT = frozenset(["columns", "index", "data"])


def _lists_fit(table: Table, rows: Any, order: Sequence[str]) -> bool:
    if type(rows) is not list or set(map(type, rows)) != _LIST or set(map(len, rows)) != {len(order)}:
        return False
    if len(table.groups) == 1:
        return table.groups[0][0].admits(list(chain.from_iterable(rows)))
    place = {name: index for index, name in enumerate(order)}
    return all(cell.admits([row[place[name]] for row in rows for name in names]) for cell, names in table.groups)


def _table_mismatches(name: str, table: Table, value: Any) -> Iterator[Mismatch]:
    rows, order = value, list(table.names)
    if isinstance(value, dict):
        found = list(_header_mismatches(name, table, value))
        if found:
            yield from found
            return
        rows, order = value["data"], value["columns"]
    if not isinstance(rows, list) or not rows:
        got = "none" if rows == [] else shorten(rows)
        yield Mismatch(name, "at least one row" if rows == [] else "a list of rows", got)
        return
    for index, row in enumerate(rows):
        if isinstance(row, list):
            yield from _list_mismatches(name, table, order, index, row)
        elif isinstance(row, dict) and not isinstance(value, dict):
            yield from _record_mismatches(name, table, index, row)
        else:
            yield Mismatch(name, "an object or a list of " + _count(len(order)), shorten(row), index)


def _header_mismatches(name: str, table: Table, value: Dict[str, Any]) -> Iterator[Mismatch]:
    header = value.get("columns")
    if not isinstance(header, list) or "data" not in value or not value.keys() <= _SPLIT:
        yield Mismatch(name, 'rows, or an object of "columns" and "data"', shorten(value))
        return
    for column in table.names:
        if header.count(column) != 1:
            yield Mismatch(name, "this column once in columns", "nothing" if column not in header else "it twice", column=column)
    for given in header:
        if given not in table.names:
            yield Mismatch(name, _only(table), shorten(given), column="columns")


def _only(table: Table) -> str:
    words = ", ".join(table.names[:MOST]) + (", ..." if len(table.names) > MOST else "")
    return "only the columns " + words


def _record_mismatches(name: str, table: Table, index: int, row: Dict[str, Any]) -> Iterator[Mismatch]:
    for column in table.columns:
        cell = row.get(column.name, ABSENT)
        expected = column.cell.expected() if cell is ABSENT else column.cell.refusal(cell)
        if expected is not None:
            yield Mismatch(name, expected, shorten(cell), index, column.name)
    for given, cell in row.items():
        if given not in table.names:
            yield Mismatch(name, _only(table), shorten(cell), index, _quoted(given)[1:-1])


def _list_mismatches(name: str, table: Table, order: List[str], index: int, row: List[Any]) -> Iterator[Mismatch]:
    if len(row) != len(order):
        yield Mismatch(name, "{}, in the order {}".format(_count(len(order)), ", ".join(order[:MOST])), _count(len(row)), index)
        return
    cells = {column.name: column.cell for column in table.columns}
    for column, value in zip(order, row):
        expected = cells[column].refusal(value)
        if expected is not None:
            yield Mismatch(name, expected, shorten(value), index, column)


def _value_mismatches(name: str, schema: Dict[str, Any], value: Any) -> Iterator[Mismatch]:
    for found in violations(schema, value):
        item = _ITEM.match(found.path)
        row, column = (int(item.group(1)), item.group(2)) if item else (None, found.path)
        yield Mismatch(name, found.expected, shorten(found.value), row, column or None)
