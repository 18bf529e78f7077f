"""Rows of a file as pyarrow tables, as a data set's definition says: types, columns of the path, times."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
from pyarrow import compute, csv, feather, json, parquet

from fairlead.errors import UsageError
from fairlead.schemas.data import DatasetDefinition

_ENDINGS = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl"}
_ENDINGS |= {".arrow": "arrow", ".feather": "arrow", ".ipc": "arrow"}
_FIELD = re.compile(r"\{([^{}:]+)(?::([^{}]*))?\}|(\*)")
_WORDS = {"yyyy": r"\d{4}", "MM": r"\d{1,2}", "dd": r"\d{1,2}", "HH": r"\d{1,2}", "mm": r"\d{1,2}", "ss": r"\d{1,2}"}
_PARTS = ("yyyy", "MM", "dd", "HH", "mm", "ss")
_WHOLE = re.compile(r"0|-?[1-9]\d{0,17}")


def sliced(tables: Iterator[Any], skipped: int, taken: int | None) -> Any:
    """One table of all; reads no further than it must."""
    kept: list[Any] = []
    rows = 0
    for each in tables:
        kept.append(each)
        rows += each.num_rows
        if taken is not None and rows >= skipped + taken:
            break
    if not kept:
        raise UsageError("The data set has no files; look at its paths.")
    whole = pa.concat_tables(kept, promote_options="permissive")
    return whole.slice(skipped, taken)


def tables(file: Path, path: str, whole: str, definition: DatasetDefinition) -> Iterator[Any]:
    """path: below where the data set begins; whole: from its datastore on. Raises UsageError."""
    values = _values_of(path, whole, definition)
    wanted = None if definition.columns is None else [each for each in (*definition.columns, definition.timestamp) if each and each not in values]
    for each in _read(file, definition, None if wanted is None else list(dict.fromkeys(wanted))):
        yield _chosen(_filtered(_with(each, values), definition), definition)


def of_rows(names: Sequence[str], rows: Sequence[Sequence[Any]], definition: DatasetDefinition) -> Any:
    columns = [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in names]
    return _chosen(_filtered(pa.table(dict(zip(names, map(pa.array, columns), strict=True))), definition), definition)


def _read(file: Path, definition: DatasetDefinition, columns: list[str] | None) -> Iterator[Any]:
    kind = definition.format or _format_of(file.name)
    try:
        if kind == "parquet":
            yield from _parquet(file, columns)
        elif kind in ("csv", "tsv"):
            yield from _delimited(file, kind, dict(definition.options), columns)
        elif kind == "jsonl":
            yield _json(file, dict(definition.options), columns)
        elif kind == "arrow":
            yield _feather(file, columns)
        else:
            raise UsageError(f"{file.name} is {kind or 'of no format that is known'}, which batch jobs read; say a format, or make it a data set of files.")
    except (pa.ArrowInvalid, pa.ArrowKeyError) as fault:
        raise UsageError(f"{file.name} cannot be read as {kind}: {str(fault).splitlines()[0][:300]}. See to the data set's format and options.") from fault


def _parquet(file: Path, columns: list[str] | None) -> Iterator[Any]:

    with parquet.ParquetFile(file) as opened:
        yield pa.Table.from_batches([], opened.schema_arrow if columns is None else pa.schema([opened.schema_arrow.field(each) for each in columns]))
        for batch in opened.iter_batches(columns=columns):
            yield pa.Table.from_batches([batch])


def _delimited(file: Path, kind: str, options: dict[str, Any], columns: list[str] | None) -> Iterator[Any]:

    names = options.get("names")
    read = csv.ReadOptions(
        column_names=names,
        skip_rows=int(options.get("skip_rows") or 0),
        autogenerate_column_names=names is None and options.get("header") is False,
        encoding=options.get("encoding") or "utf8",
    )
    parse = csv.ParseOptions(
        delimiter=options.get("delimiter") or ("\t" if kind == "tsv" else ","),
        quote_char=options.get("quote", '"') or False,
        escape_char=options.get("escape") or False,
        newlines_in_values=True,
    )
    said = {name: options[name] for name in ("null_values", "strings_can_be_null", "true_values", "false_values") if name in options}
    types = {name: _type(word) for name, word in (options.get("types") or {}).items()}
    convert = csv.ConvertOptions(column_types=types, include_columns=columns or [], decimal_point=options.get("decimal") or ".", **said)
    yield pa.Table.from_batches(list(csv.open_csv(file, read, parse, convert)))


def _json(file: Path, options: dict[str, Any], columns: list[str] | None) -> Any:

    found = json.read_json(file)
    for name, word in (options.get("types") or {}).items():
        if name in found.column_names:
            found = found.set_column(found.column_names.index(name), name, found[name].cast(_type(word)))
    return found if columns is None else found.select(columns)


def _feather(file: Path, columns: list[str] | None) -> Any:

    return feather.read_table(file, columns=columns)


def _type(word: str) -> Any:
    try:
        return pa.type_for_alias(word)
    except ValueError:
        raise UsageError(f"{word!r} is no type of a column; write such as string, int64, float64, bool or timestamp[us].") from None


def _with(table: Any, values: dict[str, Any]) -> Any:
    for name, value in values.items():
        if name not in table.column_names:
            table = table.append_column(name, pa.array([value] * table.num_rows, pa.timestamp("us") if isinstance(value, datetime) else None))
    return table


def _filtered(table: Any, definition: DatasetDefinition) -> Any:
    """after <= t < before; rows without a time are not taken."""
    if definition.timestamp is None or (definition.before is None and definition.after is None):
        return table

    if definition.timestamp not in table.column_names:
        raise UsageError(f"There is no column {definition.timestamp!r} to look at the time of; there are {', '.join(table.column_names[:20])}.")
    times = table[definition.timestamp]
    zoned = pa.timestamp("us", "UTC")
    times = times.cast(pa.timestamp("us")).cast(zoned) if getattr(times.type, "tz", None) is None else times.cast(zoned)
    keep = compute.is_valid(times)
    for bound, compare in ((definition.after, compute.greater_equal), (definition.before, compute.less)):
        if bound is not None:
            keep = compute.and_kleene(keep, compare(times, pa.scalar(bound, zoned)))
    return table.filter(keep)


def _chosen(table: Any, definition: DatasetDefinition) -> Any:
    return table if definition.columns is None else table.select(definition.columns)


def _values_of(path: str, whole: str, definition: DatasetDefinition) -> dict[str, Any]:
    """Columns that the path says: `partition_format`, else folders called name=value."""
    said = definition.options.get("partition_format")
    if said is None:
        pairs = [part.partition("=") for part in path.split("/")[:-1] if "=" in part] if definition.options.get("hive") is not False else []
        return {name: int(value) if _WHOLE.fullmatch(value) else unquote(value) for name, _, value in pairs}
    found = re.search(_pattern(said) + "$", f"/{whole}")
    if found is None:
        raise UsageError(f"{whole} does not end as partition_format says ({said}); leave it out of the data set, or change the format.")
    fields = [match for match in _FIELD.finditer(said) if match[1]]
    values: dict[str, Any] = {}
    for number, match in enumerate(fields):
        text = found[f"p{number}"]
        values[match[1]] = unquote(text) if match[2] is None else _moment(match[2], text)
    return values


def _pattern(said: str) -> str:
    parts, position, number = [], 0, 0
    for found in _FIELD.finditer(said):
        parts.append(re.escape(said[position : found.start()]))
        position = found.end()
        if found[3]:
            parts.append("[^/]*")
            continue
        inside = "[^/]+" if found[2] is None else _dated(found[2], "")
        parts.append(f"(?P<p{number}>{inside})")
        number += 1
    return "".join([*parts, re.escape(said[position:])])


def _dated(pattern: str, group: str) -> str:
    """A regular expression of yyyy/MM/dd and the like; with `group`, its parts are groups of these names."""
    pieces = re.split("(yyyy|MM|dd|HH|mm|ss)", pattern)
    return "".join((f"(?P<{piece}>{_WORDS[piece]})" if group else _WORDS[piece]) if piece in _WORDS else re.escape(piece) for piece in pieces)


def _moment(pattern: str, text: str) -> datetime:
    found = re.fullmatch(_dated(pattern, "g"), text)
    numbers = {name: int(value) for name, value in (found.groupdict() if found else {}).items()}
    year, month, day, hour, minute, second = (numbers.get(part, 1 if part in ("MM", "dd") else 0) for part in _PARTS)
    return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - as the path says it


def _format_of(name: str) -> str | None:
    stem = name.lower()
    for packed in (".gz", ".bz2", ".zst"):
        stem = stem.removesuffix(packed)
    return _ENDINGS.get(Path(stem).suffix)
