"""JSON lines, and JSON files that are one list of records."""

from __future__ import annotations

import codecs
import io
import json
import re
from typing import Any, BinaryIO, Iterator, List, Mapping, Optional, Sequence, Tuple

import pyarrow as pa
import pyarrow.json

from fairlead_scoring.batch.shards import Slice
from fairlead_scoring.batch.sources.conversion import isolate, type_named
from fairlead_scoring.batch.sources.files import File
from fairlead_scoring.batch.sources.lexing import LINES, Block, RowEnds, row_blocks
from fairlead_scoring.batch.sources.pieces import Parsed, Piece, Trouble, Unusable, line_of, readable
from fairlead_scoring.batch.sources.schemas import Facts, schema_from_text, schema_to_text, taken
from fairlead_scoring.batch.sources.text import PLAIN, Parts, after, begun, faultless, filled, is_utf8, recoded

SAMPLE = 4 << 20
SCAN = 4 << 20
WHOLE = 256 << 20  # a list of records is read whole
DEEPEST = 50  # lists and records inside of each other; Arrow's own parser and schemas end the process, or fail, where it goes much deeper
OPTIONS = ("types", "encoding")
_QUOTED = re.compile(rb'"(?:[^"\\]|\\.)*(?:"|\\?\Z)', re.DOTALL)
_OF_ONE = re.compile(r" in row 0\Z")  # pyarrow counts from where it was told to read: here that is one line, whose number is said beside
_COLUMN = re.compile(r"Column\(/([^/)]*)")


def facts(file: File, options: Mapping[str, Any], columns: Optional[Sequence[str]]) -> Facts:
    """Names and types by the beginning of one file. Raises Unusable."""
    encoding = str(options.get("encoding") or "utf-8")
    with file.stream() as stream:
        text, is_list = readable(lambda: _lines_of(recoded(stream, encoding)), file.fault)
        sample = readable(lambda: filled(text, SAMPLE), file.fault)
    if len(sample) == SAMPLE:
        sample = sample[: sample.rfind(b"\n") + 1]
    types = {name: type_named(kind) for name, kind in (options.get("types") or {}).items()}
    made, _ = isolate([line for line in sample.split(b"\n") if line.strip()], lambda some: _one_each(some, pa.schema(list(types.items())), "infer"))
    if not made:
        raise Unusable(f"{file.url} has no line that is a JSON object at its beginning.")
    try:
        found = pa.unify_schemas([table.schema for table in made])
    except (pa.ArrowException, ValueError):
        found = made[0].schema
    schema = pa.schema([(name, _settled(found.field(name).type)) for name in taken(columns, found.names, file.url)])
    rows = sum(table.num_rows for table in made)
    return {"schema": schema_to_text(schema), "row_bytes": max(1, len(sample) // rows), "options": {**options, "encoding": encoding}, "list": is_list}


def split(file: File, noted: Facts, target: int) -> List[Tuple[int, int, Optional[int], Optional[int], int]]:
    """As of delimited text."""
    if file.packed or noted["list"] or noted["options"]["encoding"] not in PLAIN:
        return []
    parts, ends = Parts(0), RowEnds(LINES)
    with file.stream() as stream:
        while True:
            data = stream.read(min(SCAN, target))
            if not data:
                return parts.end()
            rows, end = ends.feed(data, count=True)
            parts.take(rows, end, len(data), target)


def read(file: File, noted: Facts, part: Slice) -> Iterator[Piece]:
    """The rows of a part of a file, in order."""
    schema = schema_from_text(noted["schema"])
    with file.stream() as raw:
        if part.start:
            stream = begun(raw, part.start)
        else:
            stream, _ = readable(lambda: _lines_of(recoded(raw, noted["options"]["encoding"])), file.fault)
        row = part.first_row if part.start else 0
        for block in faultless(row_blocks(stream, -1 if part.stop < 0 else part.stop - part.start, LINES), file.fault):
            parsed = _parsed(block, schema)
            if parsed.table.num_rows or parsed.troubles:
                yield parsed.piece(part.url, row)
            row = None if row is None else row + parsed.table.num_rows + len(parsed.troubles)


def _parsed(block: Block, schema: pa.Schema) -> Parsed:
    if block.complaint:
        return Parsed(schema.empty_table(), [Trouble(0, None, block.complaint, _text(block.data[:4000]))])
    try:
        lines = block.data.count(b"\n") + (not block.data.endswith(b"\n"))
        if lines == block.data.count(b"\n{") + block.data.startswith(b"{") and is_utf8(block.data) and not _may_be_deep(block.data, lines):
            table = _table(block.data, schema)
            if table.num_rows == lines:
                return Parsed(table)
    except (pa.ArrowException, ValueError):
        pass
    return _line_by_line(block.data, schema)


def _line_by_line(data: bytes, schema: pa.Schema) -> Parsed:
    lines = [line for line in data.split(b"\n") if line.strip()]
    made, refused = isolate(lines, lambda some: _one_each(some, schema))
    troubles = [Trouble(number, _column(fault), _OF_ONE.sub("", line_of(fault)), _text(lines[number])) for number, fault in refused]
    return Parsed(pa.concat_tables([schema.empty_table(), *made]), troubles)


def _one_each(lines: Sequence[bytes], schema: pa.Schema, unexpected: str = "ignore") -> pa.Table:
    if not all(line.lstrip().startswith(b"{") for line in lines):  # pyarrow 26 crashes on a `null` before any object
        raise ValueError("The line is no JSON object.")
    if len(lines) == 1:
        _check(lines[0])
    elif not all(is_utf8(line) for line in lines) or any(_may_be_deep(line) for line in lines):
        raise ValueError("Some lines are to be looked at alone.")
    table = _table(b"\n".join(lines), schema, unexpected)
    if table.num_rows != len(lines):
        raise ValueError("The line is not one JSON object.")
    return table


def _may_be_deep(data: bytes, lines: int = 1) -> bool:
    """A line has no more levels than brackets that open."""
    return data.count(b"[") + data.count(b"{") >= lines + DEEPEST


def _check(line: bytes) -> None:
    """Of one line, what pyarrow takes without a look, or ends the process for. Raises ValueError."""
    if not is_utf8(line):
        raise ValueError("The line is no UTF-8.")
    level = 0
    for mark in re.findall(rb"[\[{\]}]", _QUOTED.sub(b"", line)) if _may_be_deep(line) else ():
        level += 1 if mark in b"[{" else -1
        if level > DEEPEST:
            raise ValueError(f"The line has lists and records more than {DEEPEST} levels deep.")


def _table(data: bytes, schema: pa.Schema, unexpected: str = "ignore") -> pa.Table:
    if not data.strip():
        return schema.empty_table()
    read = pyarrow.json.ReadOptions(use_threads=False, block_size=len(data) + 1)
    parse = pyarrow.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior=unexpected, newlines_in_values=True)
    return pyarrow.json.read_json(pa.BufferReader(data), read, parse)


def _lines_of(stream: BinaryIO) -> Tuple[BinaryIO, bool]:
    """The stream from its first line on; a list of records becomes lines. Raises ValueError for what is no JSON."""
    begin = filled(stream, 1 << 16)
    begin = begin[3:] if begin.startswith(codecs.BOM_UTF8) else begin
    if begin.lstrip()[:1] != b"[":
        return after(begin, stream), False
    text = begin + filled(stream, WHOLE)
    if len(text) > WHOLE:
        raise ValueError(f"A list of records has at most {WHOLE >> 20} MiB; write one record a line.")
    lines = [json.dumps(record).encode() for record in json.loads(text)]
    return io.BytesIO(b"\n".join(lines)), True


def _settled(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_null(kind):
        return pa.string()
    return pa.timestamp("us", kind.tz) if pa.types.is_timestamp(kind) else kind


def _column(fault: Exception) -> Optional[str]:
    found = _COLUMN.search(str(fault))
    return found[1] if found else None


def _text(line: bytes) -> str:
    return line.decode("utf-8", "backslashreplace").rstrip("\r\n")
