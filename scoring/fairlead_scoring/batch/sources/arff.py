"""ARFF, as Weka writes it: numeric, nominal, string, date; sparse rows too."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import pyarrow as pa

from fairlead_scoring.batch.shards import Slice
from fairlead_scoring.batch.sources.conversion import told_types
from fairlead_scoring.batch.sources.files import File
from fairlead_scoring.batch.sources.lexing import LINES, row_blocks
from fairlead_scoring.batch.sources.pieces import Parsed, Piece, Trouble, Unusable, readable
from fairlead_scoring.batch.sources.schemas import Facts, conformed, schema_from_text, schema_to_text, taken
from fairlead_scoring.batch.sources.text import faultless, filled

OPTIONS = ("types",)
_CELL = re.compile(r"""\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|([^,'"][^,]*?|))\s*(?:,|$)""")
_PAIR = re.compile(r"""\s*(\d+)\s+(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|([^,'"][^,]*?|))\s*(?:,|$)""")
_ATTRIBUTE = re.compile(r"""@attribute\s+(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|(\S+))\s+(.*)""", re.IGNORECASE)
_NUMERIC = ("numeric", "real", "integer")
_JAVA = (("yyyy", "%Y"), ("yy", "%y"), ("MM", "%m"), ("dd", "%d"), ("HH", "%H"), ("mm", "%M"), ("ss", "%S"), ("SSS", "%f"), ("'T'", "T"))
_AT_HEAD = 1 << 20


class Attribute(NamedTuple):
    """kind: numeric, nominal, string, date. of: the values of a nominal one, the pattern of a date."""

    name: str
    kind: str
    of: Tuple[str, ...] = ()


def facts(file: File, options: Mapping[str, Any], columns: Optional[Sequence[str]]) -> Facts:
    """Raises Unusable."""
    with file.stream() as stream:
        head = readable(lambda: filled(stream, _AT_HEAD), file.fault)
    attributes, begins = _header(head.decode("utf-8", "replace"), file.url)
    known = {"numeric": pa.float64(), "date": pa.timestamp("us")}
    told = told_types(options, [each.name for each in attributes], file.url)
    types = {each.name: told.get(each.name) or known.get(each.kind, pa.string()) for each in attributes}
    schema = pa.schema([(name, types[name]) for name in taken(columns, list(types), file.url)])
    body = head.decode("utf-8", "replace").split("\n")[begins:]
    sizes = [len(line) + 1 for line in body if line.strip() and not line.lstrip().startswith("%")]
    return {"schema": schema_to_text(schema), "row_bytes": max(1, sum(sizes) // max(1, len(sizes))), "options": dict(options)}


def read(file: File, noted: Facts, part: Slice) -> Iterator[Piece]:
    """The rows of a file, in order."""
    schema = schema_from_text(noted["schema"])
    header: List[str] = []
    rows: Optional[_Rows] = None
    row = 0
    with file.stream() as stream:
        for block in faultless(row_blocks(stream, -1, LINES), file.fault):
            lines = [line.rstrip("\r") for line in block.data.decode("utf-8", "surrogateescape").split("\n")]
            if rows is None:
                header += lines
                if not any(line.strip().lower() == "@data" for line in header):
                    continue
                attributes, begins = _header("\n".join(header), part.url)
                rows, lines = _Rows(attributes, schema), header[begins:]
            parsed = rows.parse([line for line in lines if line.strip() and not line.lstrip().startswith("%")])
            if parsed.table.num_rows or parsed.troubles:
                yield parsed.piece(part.url, row)
            row += parsed.table.num_rows + len(parsed.troubles)


class _Rows:
    """Lines after @data as tables."""

    def __init__(self, attributes: Sequence[Attribute], schema: pa.Schema) -> None:
        self._attributes = attributes
        self._schema = schema
        self._file_schema = pa.schema([(each.name, _KINDS[each.kind]) for each in attributes])

    def parse(self, lines: Sequence[str]) -> Parsed:
        good: List[List[Any]] = []
        troubles: List[Trouble] = []
        for number, line in enumerate(lines):
            try:
                good.append(self._values(line))
            except ValueError as fault:
                text = line.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
                column, _, reason = str(fault).rpartition("\0")
                troubles.append(Trouble(number, column or None, reason, text))
        columns = [list(column) for column in zip(*good)] or [[] for _ in self._attributes]
        table = pa.table([pa.array(column, field.type) for column, field in zip(columns, self._file_schema)], schema=self._file_schema)
        return Parsed(conformed(table, self._schema), troubles)

    def _values(self, line: str) -> List[Any]:
        if line.lstrip().startswith("{"):
            cells = self._sparse(line)
        elif "'" in line or '"' in line:
            cells = [_plain(found) for found in _matches(_CELL, line)]
        else:
            cells = [cell.strip() for cell in line.split(",")]
        if len(cells) != len(self._attributes):
            raise ValueError(f"The row has {len(cells)} fields instead of {len(self._attributes)}.")
        return [None if cell == "?" else _value(cell, each) for cell, each in zip(cells, self._attributes)]

    def _sparse(self, line: str) -> List[str]:
        """{index value, …}: what is left out is 0, or the first of the nominal values."""
        cells = [each.of[0] if each.kind == "nominal" else "0" if each.kind == "numeric" else "?" for each in self._attributes]
        inner = line.strip()[1:].rstrip("} \t")
        for found in _matches(_PAIR, inner) if inner.strip() else []:
            if int(found[1]) >= len(cells):
                raise ValueError(f"The row names attribute {found[1]}; there are {len(cells)}.")
            cells[int(found[1])] = _plain(found, 2)
        return cells


_KINDS = {"numeric": pa.float64(), "nominal": pa.string(), "string": pa.string(), "date": pa.timestamp("us")}


def _header(text: str, where: str) -> Tuple[List[Attribute], int]:
    """The attributes, and the number of the line after @data. Raises Unusable."""
    attributes: List[Attribute] = []
    for number, line in enumerate(text.split("\n")):
        word = line.strip().lower()
        if word == "@data":
            return attributes, number + 1
        if word.startswith("@attribute"):
            attributes.append(_attribute(line.strip(), where))
    raise Unusable(f"{where} has no line @data in its first {_AT_HEAD >> 20} MiB; it is no ARFF file.")


def _attribute(line: str, where: str) -> Attribute:
    found = _ATTRIBUTE.match(line)
    if not found:
        raise Unusable(f"{where}: {line[:200]!r} declares no attribute.")
    name, said = _plain(found), found[4].strip()
    if said.startswith("{"):
        return Attribute(name, "nominal", tuple(_plain(each) for each in _matches(_CELL, said[1:].rpartition("}")[0])))
    word, _, rest = said.partition(" ")
    if word.lower() in _NUMERIC:
        return Attribute(name, "numeric")
    if word.lower() == "string":
        return Attribute(name, "string")
    if word.lower() == "date":
        return Attribute(name, "date", (_strptime(rest.strip().strip("\"'") or "yyyy-MM-dd'T'HH:mm:ss"),))
    raise Unusable(f"{where}: attribute {name!r} is of type {word!r}; those that are read are numeric, nominal, string and date.")


def _strptime(pattern: str) -> str:
    for java, python in _JAVA:
        pattern = pattern.replace(java, python)
    return pattern


def _matches(pattern: Any, text: str) -> List[Any]:
    """All of the text, match by match. Raises ValueError."""
    found, position = [], 0
    while True:
        match = pattern.match(text, position)
        if not match:
            raise ValueError("A quote is not closed, or something stands after it.")
        found.append(match)
        position = match.end()
        if position >= len(text) and not match[0].endswith(","):
            return found


def _plain(found: Any, first: int = 1) -> str:
    for group in (first, first + 1):
        if found[group] is not None:
            return re.sub(r"\\(.)", r"\1", found[group])
    return str(found[first + 2])


def _value(cell: str, attribute: Attribute) -> Any:
    """Raises ValueError: column, NUL, reason."""
    if attribute.kind == "string":
        cell.encode()  # raises for what is no UTF-8
        return cell
    if attribute.kind == "nominal":
        if cell not in attribute.of:
            raise ValueError(f"{attribute.name}\0{cell[:100]!r} is none of the values that are declared.")
        return cell
    try:
        return float(cell) if attribute.kind == "numeric" else dt.datetime.strptime(cell, attribute.of[0])  # noqa: DTZ007 - ARFF's dates have no zone
    except ValueError:
        raise ValueError(f"{attribute.name}\0{cell[:100]!r} is no {'number' if attribute.kind == 'numeric' else 'date of the pattern'}.") from None
