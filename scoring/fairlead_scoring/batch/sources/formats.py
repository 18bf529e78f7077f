"""Formats by name, and by the endings of files' names."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from fairlead_scoring.batch.shards import Slice
from fairlead_scoring.batch.sources import arff, columnar, delimited, jsonlines
from fairlead_scoring.batch.sources.files import PACKED, File
from fairlead_scoring.batch.sources.pieces import Piece, Unusable
from fairlead_scoring.batch.sources.schemas import Facts

Cut = Tuple[int, int, Optional[int], Optional[int], int]  # start, stop, first row, rows, bytes
FILES = "files"
OF_ANY = ("partition_format", "hive")


class Format(NamedTuple):
    """facts: of one file, for all. split: (file, facts, bytes, rows) -> parts, none where it stays whole. options: the words that are known."""

    facts: Callable[[File, Mapping[str, Any], Optional[Sequence[str]]], Facts]
    split: Callable[[File, Facts, int, int], List[Cut]]
    read: Callable[[File, Facts, Slice], Iterator[Piece]]
    options: Tuple[str, ...] = ()


def _facts_of_tsv(file: File, options: Mapping[str, Any], columns: Optional[Sequence[str]]) -> Facts:
    return delimited.facts(file, options, columns, "\t")


def _split_csv(file: File, noted: Facts, target: int, _rows: int) -> List[Cut]:
    return delimited.split(file, noted, target)


def _split_jsonl(file: File, noted: Facts, target: int, _rows: int) -> List[Cut]:
    return jsonlines.split(file, noted, target)


def _whole(_file: File, _noted: Facts, _target: int, _rows: int) -> List[Cut]:
    return []


FORMATS: Dict[str, Format] = {
    "parquet": Format(columnar.parquet_facts, columnar.split_parquet, columnar.read_parquet),
    "arrow": Format(columnar.arrow_facts, columnar.split_arrow, columnar.read_arrow),
    "csv": Format(delimited.facts, _split_csv, delimited.read, delimited.OPTIONS),
    "tsv": Format(_facts_of_tsv, _split_csv, delimited.read, delimited.OPTIONS),
    "jsonl": Format(jsonlines.facts, _split_jsonl, jsonlines.read, jsonlines.OPTIONS),
    "arff": Format(arff.facts, _whole, arff.read, arff.OPTIONS),
}
_ENDINGS = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".arrow": "arrow",
    ".arrows": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".arff": "arff",
}


def format_of(name: str) -> str:
    """By the ending before that of a packed file; `files` for what is none of them."""
    name = name.lower()
    name = name.partition("?")[0] if name.startswith(("http://", "https://")) else name
    for packed in PACKED:
        name = name[: -len(packed)] if name.endswith(packed) else name
    dot = name.rfind(".")
    return _ENDINGS.get(name[dot:], FILES) if dot > name.rfind("/") else FILES


def checked_options(name: str, options: Mapping[str, Any]) -> None:
    """Raises Unusable for a word that is none of that format's."""
    known = (*OF_ANY, *(FORMATS[name].options if name in FORMATS else ()))
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise Unusable(f"The format {name} has no option {unknown[0]!r}; those that it has are {', '.join(sorted(known))}.")
