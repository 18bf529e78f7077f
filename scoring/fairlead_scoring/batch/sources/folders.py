"""Columns that a file's path says: folders called name=value, and `partition_format`."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple
from urllib.parse import unquote

import pyarrow as pa

from fairlead_scoring.batch.sources.pieces import Unusable

NOTHING = "__HIVE_DEFAULT_PARTITION__"
_FIELD = re.compile(r"\{([^{}:]+)(?::([^{}]*))?\}|(\*)")
_WHOLE = re.compile(r"0|-?[1-9]\d{0,17}")
_DATE_WORDS = (("yyyy", "Y", 4), ("MM", "m", 2), ("dd", "d", 2), ("HH", "H", 2), ("mm", "M", 2), ("ss", "S", 2))


class PartitionFormat:
    """`/{Day:yyyy/MM/dd}/{Department}/data.csv`: {name} is text of one folder, {name:pattern} a time, * is anything in one name."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._dates: Dict[str, Dict[str, str]] = {}  # column -> part of a date -> group
        self._plain: Dict[str, str] = {}
        parts, position = [], 0
        for found in _FIELD.finditer(text):
            parts += [re.escape(text[position : found.start()]), self._field(found)]
            position = found.end()
        self._pattern = re.compile("".join([*parts, re.escape(text[position:])]) + "$")
        if not self._dates and not self._plain:
            raise Unusable(f"partition_format is {text!r} and names no column; write one such as /{{Day:yyyy/MM/dd}}/{{Department}}/data.csv.")

    def values(self, path: str) -> Dict[str, str]:
        """Raises Unusable."""
        found = self._pattern.search(path)
        if not found:
            raise Unusable(f"{path} does not end as partition_format says ({self._text}). Leave it out of the inputs, or change the format.")
        values = {name: unquote(found[group]) for name, group in self._plain.items()}
        for name, groups in self._dates.items():
            values[name] = _moment({part: int(found[group]) for part, group in groups.items()}, path)
        return values

    def types(self) -> Dict[str, pa.DataType]:
        return {**{name: pa.timestamp("us") for name in self._dates}, **{name: pa.string() for name in self._plain}}

    def _field(self, found: Any) -> str:
        if found[3]:
            return "[^/]*"
        name, pattern, number = found[1], found[2], len(self._dates) + len(self._plain)
        if pattern is None:
            self._plain[name] = f"p{number}"
            return f"(?P<p{number}>[^/]+)"
        self._dates[name] = {}
        pieces = re.split("(yyyy|MM|dd|HH|mm|ss)", pattern)
        return "".join(self._date_part(name, number, piece) for piece in pieces)

    def _date_part(self, name: str, number: int, piece: str) -> str:
        for word, part, digits in _DATE_WORDS:
            if piece == word:
                self._dates[name][part] = f"t{number}{part}"
                return f"(?P<t{number}{part}>\\d{{{digits}}})"
        return re.escape(piece)


def hive_values(path: str) -> Dict[str, str]:
    """Of folders called name=value; the file's own name is none."""
    return {unquote(name): unquote(value) for name, _, value in (folder.partition("=") for folder in path.split("/")[:-1] if "=" in folder) if name}


def path_types(values: Sequence[Mapping[str, str]]) -> Dict[str, pa.DataType]:
    """Of hive columns: int64 where each value is a whole number, else string. All files must have the same columns. Raises Unusable."""
    names: Tuple[str, ...] = tuple(values[0]) if values else ()
    distinct: Dict[str, set] = {name: set() for name in names}  # type: ignore[type-arg]  # Python 3.8
    for each in values:
        if tuple(each) != names:
            raise Unusable(f"Some files lie in folders that name the columns {list(names)}, others {list(each)}. Give them as inputs of their own.")
        for name, value in each.items():
            distinct[name].add(value)
    return {name: pa.int64() if all(value == NOTHING or _WHOLE.fullmatch(value) for value in seen) else pa.string() for name, seen in distinct.items()}


def with_path_columns(table: pa.Table, values: Mapping[str, str], schema: pa.Schema) -> pa.Table:
    """The table with a constant column for each of the path's that `schema` has."""
    for name, value in values.items():
        if name in schema.names and name not in table.column_names:
            kind = schema.field(name).type
            table = table.append_column(schema.field(name), pa.repeat(scalar(value, kind), table.num_rows))
    return table


def scalar(value: str, kind: pa.DataType) -> pa.Scalar:
    made: Optional[Any] = value
    if value == NOTHING:
        made = None
    elif pa.types.is_integer(kind):
        made = int(value)
    elif pa.types.is_timestamp(kind):
        made = dt.datetime.fromisoformat(value)
    return pa.scalar(made, kind)


def relative(url: str, base: str) -> str:
    """What follows the folder that was named, with a slash before it."""
    fixed = re.split(r"[*?\[]", base)[0]
    fixed = fixed[: fixed.rfind("/") + 1] if len(fixed) < len(base) else fixed
    fixed = fixed.rstrip("/")
    found = url.find(fixed.split("://")[-1])
    start = found + len(fixed.split("://")[-1]) if found >= 0 and fixed else 0
    return "/" + url[start:].lstrip("/")


def _moment(parts: Mapping[str, int], path: str) -> str:
    order: List[int] = [parts.get(key, least) for key, least in (("Y", 1970), ("m", 1), ("d", 1), ("H", 0), ("M", 0), ("S", 0))]
    try:
        return dt.datetime(*order).isoformat()  # type: ignore[arg-type]  # noqa: DTZ001 - a path says no zone
    except ValueError as fault:
        raise Unusable(f"{path}: {fault}, as partition_format reads it.") from fault
