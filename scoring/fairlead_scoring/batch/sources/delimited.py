"""CSV and TSV: what the plan notes of a file, where it is cut, and how its rows are read."""

from __future__ import annotations

import codecs
import csv
from dataclasses import replace
from typing import Any, BinaryIO, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple, cast

import pyarrow as pa
import pyarrow.csv

from fairlead_scoring.batch.shards import Slice
from fairlead_scoring.batch.sources.conversion import convert_rows, told_types
from fairlead_scoring.batch.sources.files import File
from fairlead_scoring.batch.sources.guessing import number_type
from fairlead_scoring.batch.sources.lexing import Block, Marks, RowEnds, first_row, row_blocks
from fairlead_scoring.batch.sources.pieces import Parsed, Piece, Trouble, Unreadable, Unusable, readable
from fairlead_scoring.batch.sources.schemas import Facts, schema_from_text, schema_to_text, taken
from fairlead_scoring.batch.sources.text import PLAIN, Parts, after, begun, faultless, filled, is_utf8, recoded

SAMPLE = 4 << 20
SCAN = 4 << 20
GUESS = "numbers_are_guessed"  # said by the plan, not by users
OPTIONS = (
    "delimiter",
    "quote",
    "escape",
    "header",
    "names",
    "null_values",
    "strings_can_be_null",
    "true_values",
    "false_values",
    "types",
    "encoding",
    "decimal",
    "skip_rows",
)


class Dialect:
    """What options say of the text."""

    def __init__(self, options: Mapping[str, Any], default_delimiter: str = ",") -> None:
        self.delimiter = str(options.get("delimiter") or default_delimiter)
        self.quote = str(options.get("quote", '"') or "")
        self.escape = str(options.get("escape") or "")
        self.newline = b"\r" if options.get("newline") == "\r" else b"\n"
        self.encoding = codecs.lookup(str(options.get("encoding") or "utf-8")).name
        self.skip_rows = int(options.get("skip_rows") or 0)
        self.names: Optional[List[str]] = list(options["names"]) if options.get("names") else None
        self.header = bool(options.get("header", self.names is None))
        self.convert: Dict[str, Any] = {"decimal_point": options.get("decimal") or "."}
        self.convert.update({key: options[key] for key in ("null_values", "strings_can_be_null", "true_values", "false_values") if key in options})
        if "null_values" in options:
            self.convert.setdefault("strings_can_be_null", True)
        if options.get("quoted_nulls") is False:  # as PostgreSQL writes: "" is an empty text, nothing at all is NULL
            self.convert["quoted_strings_can_be_null"] = False
        for name, text in (("delimiter", self.delimiter), ("quote", self.quote), ("escape", self.escape)):
            if len(text.encode()) > 1:
                raise Unusable(f"{name} is {text!r}; it must be one ASCII character.")

    @property
    def marks(self) -> Marks:
        return Marks(self.delimiter.encode(), self.quote.encode(), self.escape.encode(), self.newline)

    def parse_options(self, on_invalid: Any) -> Any:
        return pyarrow.csv.ParseOptions(
            delimiter=self.delimiter,
            quote_char=self.quote or False,
            escape_char=self.escape or False,
            newlines_in_values=True,
            invalid_row_handler=on_invalid,
        )

    def cells(self, line: bytes) -> List[str]:
        text = line.decode("utf-8").rstrip("\r\n")
        found = csv.reader([text], delimiter=self.delimiter, quotechar=self.quote or None, escapechar=self.escape or None)
        return next(found, [])


def facts(file: File, options: Mapping[str, Any], columns: Optional[Sequence[str]], delimiter: str = ",") -> Facts:
    """Names and types by the beginning of one file. Raises Unusable."""
    dialect = Dialect(options, delimiter)
    with file.stream() as stream:
        sample = readable(lambda: filled(recoded(stream, dialect.encoding), SAMPLE), file.fault)
    noted = {**options, "delimiter": dialect.delimiter}
    if b"\n" not in sample and b"\r" in sample:
        noted["newline"] = "\r"
    dialect = Dialect(noted)
    head = head_of(sample, dialect)
    names = names_in(head, sample, dialect)
    if not names:
        raise Unusable(f"{file.url} is empty.")
    body = sample[head.length :]
    _, end = RowEnds(dialect.marks).feed(body)
    types = told_types(options, names, file.url)
    table = _inferred(body[:end] if len(sample) == SAMPLE else body, names, types, dialect)
    chosen = taken(columns, names, file.url)
    guessed = {name: number_type(table[name], dialect.convert) for name in chosen if name not in types} if options.get(GUESS) else {}
    types.update({name: kind for name, kind in guessed.items() if kind is not None})
    schema = pa.schema([(name, types.get(name) or _settled(table.schema.field(name).type)) for name in chosen])
    notices = [_guess(name, kind) for name, kind in guessed.items() if kind is not None]
    used = min(end or len(body), len(body)) if len(sample) == SAMPLE else len(body)
    return {"schema": schema_to_text(schema), "row_bytes": max(1, used // max(1, table.num_rows)), "options": noted, "notices": notices}


def _guess(name: str, kind: pa.DataType) -> str:
    return (
        f"The column {name} is read as {kind}, for nearly all of its values are numbers; the others are bad rows. To read it as text, give types {name}=string."
    )


def split(file: File, noted: Facts, target: int) -> List[Tuple[int, int, Optional[int], Optional[int], int]]:
    """(start, stop, first row, rows, bytes) of each part: about `target` bytes, ended where a row does."""
    dialect = Dialect(noted["options"])
    if file.packed or dialect.encoding not in PLAIN:
        return []
    with file.stream() as stream:
        position = _body(stream, dialect).position
    parts, cut, ends = Parts(position), min(SCAN, target), RowEnds(dialect.marks)
    with file.stream(position) as stream:
        while True:
            data = stream.read(cut)
            if not data:
                break
            rows, end = ends.feed(data, count=True)
            parts.take(rows, end, len(data), target)
    return parts.end()


def read(file: File, noted: Facts, part: Slice) -> Iterator[Piece]:
    """The rows of a part of a file, in order."""
    dialect, schema = Dialect(noted["options"]), schema_from_text(noted["schema"])
    with file.stream() as raw:
        text = recoded(raw, dialect.encoding)
        body = readable(lambda: _body(text, dialect), file.fault)
        stream = begun(raw, part.start) if part.start else after(body.sample[body.position :], text)
        parser, row = Parser(dialect, checked(body.names, schema), schema), part.first_row if part.start else 0
        length = -1 if part.stop < 0 else part.stop - (part.start or body.position)
        for block in faultless(row_blocks(stream, length, dialect.marks), file.fault):
            parsed = parser.parse(block)
            if parsed.table.num_rows or parsed.troubles:
                yield parsed.piece(part.url, row)
            row = None if row is None else row + parsed.table.num_rows + len(parsed.troubles)


class Parser:
    """Blocks of rows as tables."""

    def __init__(self, dialect: Dialect, names: Sequence[str], schema: pa.Schema) -> None:
        self._dialect = dialect
        self._names = list(names)
        self._schema = schema
        self._types = {field.name: field.type for field in schema}
        self._convert = pyarrow.csv.ConvertOptions(column_types=self._types, include_columns=schema.names, **dialect.convert)
        as_bytes = {name: pa.binary() for name in names}
        nulls = {key: dialect.convert[key] for key in ("null_values", "strings_can_be_null", "quoted_strings_can_be_null") if key in dialect.convert}
        if dialect.convert.get("quoted_strings_can_be_null", True):
            nulls = {}  # they stay texts until they are converted
        self._as_bytes = pyarrow.csv.ConvertOptions(column_types=as_bytes, include_columns=schema.names, check_utf8=False, **nulls)

    def parse(self, block: Block) -> Parsed:
        if block.complaint:
            return Parsed(self._schema.empty_table(), [Trouble(0, None, block.complaint, block.data[:4000].decode("utf-8", "backslashreplace"))])
        if not block.data.strip(b"\r\n"):
            return Parsed(self._schema.empty_table())
        if is_utf8(block.data):
            try:
                return self._parsed(block.data, self._convert)
            except (pa.ArrowException, ValueError):
                pass
        return self._row_by_row(block.data)

    def parse_clean(self, data: bytes) -> Optional[pa.Table]:
        """The rows, or None when one of them is bad."""
        try:
            parsed = self._parsed(data, self._convert) if is_utf8(data) else None
        except (pa.ArrowException, ValueError):
            return None
        return None if parsed is None or parsed.troubles else parsed.table

    def _row_by_row(self, data: bytes) -> Parsed:
        masked = not is_utf8(data)  # pyarrow cannot tell of a row with too many fields that is no UTF-8
        try:
            texts = self._parsed(data.decode("latin-1").encode() if masked else data, self._as_bytes)
        except (pa.ArrowException, ValueError) as fault:
            raise Unreadable(f"A block of rows cannot be parsed: {fault}") from fault
        texts = _unmasked(texts) if masked else texts
        converted = convert_rows(texts.table, self._types, self._dialect.convert)
        places = _places(texts.table.num_rows, [cast(int, trouble.row) for trouble in texts.troubles])
        moved = [trouble_at(trouble, places[cast(int, trouble.row)]) for trouble in converted.troubles]
        return Parsed(converted.table, sorted([*texts.troubles, *moved], key=lambda trouble: cast(int, trouble.row)))

    def _parsed(self, data: bytes, convert: Any) -> Parsed:
        troubles: List[Trouble] = []

        def note(row: Any) -> str:
            reason = f"The row has {row.actual_columns} fields instead of {row.expected_columns}."
            troubles.append(Trouble(row.number - 1, None, reason, row.text))
            return "skip"

        options = pyarrow.csv.ReadOptions(column_names=self._names, use_threads=False, block_size=len(data) + 1)
        table = pyarrow.csv.read_csv(pa.BufferReader(data), options, self._dialect.parse_options(note), convert)
        return Parsed(table, troubles)


def _unmasked(texts: Parsed) -> Parsed:
    """The bytes as they were, of a block in which each byte was made a character."""
    columns = [[None if value is None else value.decode().encode("latin-1") for value in column.to_pylist()] for column in texts.table.columns]
    table = pa.table([pa.array(column, pa.binary()) for column in columns], names=texts.table.column_names)
    troubles = [replace(each, value=(each.value or "").encode("latin-1").decode("utf-8", "backslashreplace")) for each in texts.troubles]
    return Parsed(table, troubles)


def trouble_at(trouble: Trouble, row: int) -> Trouble:
    return replace(trouble, row=row)


def _places(rows: int, left_out: Sequence[int]) -> Sequence[int]:
    """Where each of `rows` rows stood when those numbered were among them."""
    gone = set(left_out)
    return [place for place in range(rows + len(gone)) if place not in gone]


class Head(NamedTuple):
    length: int
    line: Optional[bytes]


def head_of(sample: bytes, dialect: Dialect) -> Head:
    """What stands before the rows: a byte order mark, lines to skip, the header."""
    position = 3 if sample.startswith(codecs.BOM_UTF8) else 0
    for _ in range(dialect.skip_rows):
        position = sample.find(dialect.newline, position) + 1 or len(sample)
    if not dialect.header:
        return Head(position, None)
    end = position + first_row(sample[position:], dialect.marks)
    if end == position:
        end = len(sample)
    return Head(end, sample[position:end].strip(b"\r\n"))


def names_in(head: Head, sample: bytes, dialect: Dialect) -> List[str]:
    if dialect.names is not None:
        return dialect.names
    if head.line is None:
        end = first_row(sample[head.length :], dialect.marks) or len(sample)
        return [f"f{number}" for number in range(len(dialect.cells(sample[head.length :][:end].strip(b"\r\n"))))]
    names = dialect.cells(head.line)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise Unusable(f"The header names the column {twice[0]!r} twice. Give other names with the option `names` and header: true.")
    return names


class _Body(NamedTuple):
    names: List[str]
    position: int
    sample: bytes  # what was read to find out


def _body(stream: BinaryIO, dialect: Dialect) -> _Body:
    """Where the rows begin."""
    sample = filled(stream, 1 << 16)
    while len(sample) < SAMPLE and dialect.header and not first_row(sample, dialect.marks):
        more = stream.read(1 << 20)
        if not more:
            break
        sample += more
    head = head_of(sample, dialect)
    return _Body(names_in(head, sample, dialect), head.length, sample)


def checked(names: List[str], schema: pa.Schema) -> List[str]:
    missing = [name for name in schema.names if name not in names]
    if missing:
        raise Unreadable(f"The file has no column {missing[0]!r}; it has {', '.join(names[:10]) or 'none at all'}.")
    return names


def _inferred(data: bytes, names: List[str], types: Mapping[str, pa.DataType], dialect: Dialect) -> pa.Table:
    read = pyarrow.csv.ReadOptions(column_names=names, use_threads=False, block_size=len(data) + 1)
    kept = {name: kind for name, kind in types.items() if name in names}
    convert = pyarrow.csv.ConvertOptions(column_types=kept, check_utf8=False, **dialect.convert)
    data = data if is_utf8(data) else data.decode("utf-8", "replace").encode()
    if not data.strip():
        return pa.table({name: pa.array([], pa.null()) for name in names})
    try:
        return pyarrow.csv.read_csv(pa.BufferReader(data), read, dialect.parse_options(lambda _row: "skip"), convert)
    except (pa.ArrowException, ValueError):  # a value is not of the type that was told: the types of the others, from their texts
        return pyarrow.csv.read_csv(pa.BufferReader(data), read, dialect.parse_options(lambda _row: "skip"), pyarrow.csv.ConvertOptions(check_utf8=False))


def _settled(kind: pa.DataType) -> pa.DataType:
    """Nothing but nulls, and bytes that are no UTF-8, say little of a column."""
    if pa.types.is_null(kind) or pa.types.is_binary(kind):
        return pa.string()
    return pa.timestamp("us", kind.tz) if pa.types.is_timestamp(kind) else kind
