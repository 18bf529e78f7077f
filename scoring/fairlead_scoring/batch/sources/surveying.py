"""What the plan notes of an input (format, schema, how large a row is), and the parts that it can be cut into."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import pyarrow as pa

from fairlead_scoring.batch.job import Input, Order
from fairlead_scoring.batch.shards import Slice
from fairlead_scoring.batch.sources import sql
from fairlead_scoring.batch.sources.delimited import GUESS
from fairlead_scoring.batch.sources.files import File, Files
from fairlead_scoring.batch.sources.formats import FILES, FORMATS
from fairlead_scoring.batch.sources.listing import BROKEN, Listed
from fairlead_scoring.batch.sources.pieces import Unreadable, Unusable, readable
from fairlead_scoring.batch.sources.schemas import Facts, schema_from_text, schema_to_text

TRIES = 10  # files that are looked at when the first ones are damaged

Part = Tuple[Slice, Optional[int], int]  # rows where they are known, bytes


@dataclass(frozen=True)
class Survey:
    """filtered: rows are left out while reading, so their number is not known before."""

    facts: Facts
    bytes: int
    files: int
    filtered: bool
    notices: Tuple[str, ...]
    place: Any
    whole: Sequence[Tuple[Slice, int]]

    def parts(self, target: int, most_rows: int, whole: bool) -> Iterator[Part]:
        """In the order of rows. whole: files are not cut, because mini-batches are counted in files."""
        if self.place is None:
            yield from _parts_of_query(self.facts)
            return
        files = Files(self.place)
        try:
            for part, size in self.whole:
                cut = [] if whole or size <= target or self.facts["format"] == FILES else _cut(files, part, self.facts, target, most_rows)
                if len(cut) < 2:
                    stop = size if self.facts["format"] == FILES else -1
                    yield (part if stop < 0 else replace(part, stop=stop)), (1 if stop >= 0 else cut[0][3] if cut else None), size
                else:
                    yield from ((replace(part, start=start, stop=stop, first_row=row), rows, weight) for start, stop, row, rows, weight in cut)
        finally:
            files.close()


def survey(found: Listed, order: Order, place: Any) -> Survey:
    """Opens the first file. Raises Unusable, and what storage raises."""
    said = order.inputs[found.parts[0].input] if found.parts else Input()
    noted: Facts = {"format": found.format, "digest": found.digest, "files": len(found.parts), "bytes": sum(found.sizes)}
    if found.format != FILES and found.parts:
        noted.update(_facts(found, order, said, place))
    else:
        empty = schema_to_text(pa.schema([]))
        noted.update({"schema": empty, "read": empty, "row_bytes": 1, "path_columns": {}})
    noted["grouping"] = _grouping(order.partition_keys, found, schema_from_text(noted["schema"]))
    whole = list(zip(found.parts, found.sizes))
    if noted["grouping"] == "path":
        whole = _by_group(whole, order.partition_keys)
    filtered = said.timestamp is not None and said.timestamp not in found.types
    return Survey(noted, noted["bytes"], len(found.parts), filtered, (*found.notices, *noted.pop("notices", ())), place, whole)


def survey_of_query(url: str, order: Order, number: int) -> Survey:
    """Runs the query, to count. Raises Unusable."""
    said = order.inputs[number]
    unknown = sorted(set(said.options) - set(sql.OPTIONS))
    if unknown:
        raise Unusable(f"A query has no option {unknown[0]!r}; those that it has are {', '.join(sql.OPTIONS)}.")
    beside = (*order.partition_keys, *_kept(order))
    noted = sql.facts(url, said, _with(said.columns, said.timestamp, beside))
    noted.update({"format": "sql", "read": noted["schema"], "schema": _narrowed(noted["schema"], _with(said.columns, None, beside))})
    _check_kept(order, noted)
    size = noted["rows"] * noted["row_bytes"]
    noted.update({"path_columns": {}, "files": 0, "bytes": size, "url": sql.shown(url), "number": number, "grouping": "rows" if order.partition_keys else ""})
    if order.partition_keys and not set(order.partition_keys) <= set(schema_from_text(noted["schema"]).names):
        raise Unusable(f"The query's result has no column for each partition key ({', '.join(order.partition_keys)}).")
    return Survey(noted, size, 0, said.timestamp is not None, (), None, [])


def _facts(found: Listed, order: Order, said: Input, place: Any) -> Facts:
    row_keys = () if set(order.partition_keys) <= set(found.types) else order.partition_keys
    beside = (*row_keys, *_kept(order))
    wanted = _with(said.columns, said.timestamp, beside)
    of_file = None if wanted is None else [name for name in wanted if name not in found.types]
    guesses = order.script is not None and found.format in ("csv", "tsv")  # others declare their types, and read numbers from texts
    noted, names = _of_first(found, replace(said, options={**said.options, GUESS: True}) if guesses else said, of_file, place)
    own = {name: str(kind) for name, kind in found.types.items() if name not in names}
    read = schema_from_text(noted["schema"])
    offered = pa.schema([*read, *((name, found.types[name]) for name in own)])
    final = [*dict.fromkeys(said.columns or offered.names)]
    final += [name for name in dict.fromkeys(beside) if name not in final and name in offered.names]
    made = {**noted, "read": noted["schema"], "schema": schema_to_text(pa.schema([offered.field(name) for name in final])), "path_columns": own}
    _check_kept(order, made)
    return made


def _of_first(found: Listed, said: Input, columns: Optional[Sequence[str]], place: Any) -> Tuple[Facts, List[str]]:
    """Of the first file that can be read; a damaged one is for the quarantine, not the end."""
    files, failure = Files(place), None
    try:
        for part in [part for part in found.parts if part.member != BROKEN][:TRIES]:
            try:
                noted = _of_file(files.file(part), found.format, said, columns)
                return noted, schema_from_text(noted["schema"]).names
            except (Unusable, Unreadable) as fault:
                failure = failure or fault
    finally:
        files.close()
    raise failure if isinstance(failure, Unusable) else Unusable(f"{found.parts[0].url} cannot be read, and the plan follows from it: {failure}")


def _of_file(file: File, kind: str, said: Input, columns: Optional[Sequence[str]]) -> Facts:
    return dict(readable(lambda: FORMATS[kind].facts(file, said.options, columns), file.fault))


def _with(columns: Optional[Sequence[str]], timestamp: Optional[str], keys: Sequence[str]) -> Optional[List[str]]:
    if columns is None:
        return None
    return list(dict.fromkeys([*columns, *([timestamp] if timestamp else []), *keys]))


def _kept(order: Order) -> Sequence[str]:
    return order.output.keep if order.output is not None else ()


def _check_kept(order: Order, noted: Facts) -> None:
    """Raises Unusable for a column that is to stand beside the answers, and is in no row."""
    names = schema_from_text(noted["schema"]).names
    missing = [name for name in _kept(order) if name not in names]
    if missing:
        raise Unusable(f"The input has no column {missing[0]!r} to keep beside the answers; it has {', '.join(names[:20])}.")


def _narrowed(schema: str, columns: Optional[Sequence[str]]) -> str:
    known = schema_from_text(schema)
    return schema if columns is None else schema_to_text(pa.schema([known.field(name) for name in columns]))


def _grouping(keys: Sequence[str], found: Listed, schema: pa.Schema) -> str:
    """path, rows, or nothing. Raises Unusable."""
    if not keys or not found.parts:
        return ""
    if set(keys) <= set(found.types):
        return "path"
    missing = [key for key in keys if key not in schema.names]
    if missing:
        raise Unusable(f"The partition key {missing[0]!r} is neither a column nor said by the paths (name=value folders, partition_format).")
    return "rows"


def _by_group(whole: Sequence[Tuple[Slice, int]], keys: Sequence[str]) -> List[Tuple[Slice, int]]:
    """Files of one group together, groups in order of appearance."""
    groups: Dict[Tuple[str, ...], List[Tuple[Slice, int]]] = {}
    for each in whole:
        groups.setdefault(tuple(each[0].values.get(key, "") for key in keys), []).append(each)
    return [each for group in groups.values() for each in group]


def _cut(files: Files, part: Slice, noted: Facts, target: int, most_rows: int) -> List[Any]:
    if part.member:
        return []
    try:
        file = files.file(part)
        return list(readable(lambda: FORMATS[noted["format"]].split(file, {**noted, "schema": noted["read"]}, target, most_rows), file.fault))
    except Unreadable:
        return []  # whoever reads it puts it into quarantine


def _parts_of_query(noted: Mapping[str, Any]) -> Iterator[Part]:
    rows, each, row_bytes, url, number = (noted[name] for name in ("rows", "rows_each", "row_bytes", "url", "number"))
    if not noted["bounds"] or noted["grouping"]:
        if rows:
            yield Slice(url, 0, -1, 0, "", "", number), rows, rows * row_bytes
        return
    for start in range(0, rows, each):
        count = min(each, rows - start)
        yield Slice(url, start, start + count, start, "", "", number), count, count * row_bytes
