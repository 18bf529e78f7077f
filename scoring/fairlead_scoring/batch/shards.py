"""What is planned, what is handed to engines, and what comes back: plain data, picklable, the same from JSON.

A shard is the unit that is published and noted in the ledger; its number is its place in the order of all rows. A mini-batch is what one `run()` gets.
Both follow from inputs and order alone, so every engine and every try cuts alike, and a shard done again gives the same bytes.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Dict, Mapping, Optional, Tuple


@dataclass(frozen=True)
class Slice:
    """A part of one file. start, stop: bytes (csv, jsonl), row groups (parquet), record batches (arrow), rows (sql); stop -1: to the end.

    first_row: number of its first row in the file, None where that is not known before it is read. stamp: size, time or etag when it was planned.
    member: inside an archive. input: which of the order's inputs it belongs to.
    """

    url: str
    start: int = 0
    stop: int = -1
    first_row: Optional[int] = None
    stamp: str = ""
    member: str = ""
    input: int = 0
    values: Mapping[str, str] = field(default_factory=dict)  # columns that the path says (partition_format, name=value folders)


@dataclass(frozen=True)
class Shard:
    """group: values of the partition keys, as in `partition_keys`; empty without them."""

    number: int
    slices: Tuple[Slice, ...]
    group: Tuple[str, ...] = ()
    rows: Optional[int] = None  # where the plan knows them
    bytes: int = 0

    def to_json(self) -> Dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Shard:
        slices = tuple(Slice(**each) for each in said["slices"])
        return cls(said["number"], slices, tuple(said["group"]), said["rows"], said["bytes"])


@dataclass(frozen=True)
class Part:
    """A file that was published. path: below the output's URL. schema: `name: type, ...` of a table's rows."""

    path: str
    rows: int
    bytes: int
    sha256: str
    schema: str = ""


@dataclass(frozen=True)
class Outcome:
    """A shard that is published, whole. items: rows, or files, that went in; failed: those in quarantine; tries: runs beyond the first of a mini-batch."""

    shard: int
    parts: Tuple[Part, ...] = ()
    quarantine: Tuple[Part, ...] = ()
    items: int = 0
    rows: int = 0
    failed: int = 0
    mini_batches: int = 0
    tries: int = 0
    seconds: Mapping[str, float] = field(default_factory=dict)  # read, run, write
    node: str = ""

    def to_json(self) -> Dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Outcome:
        plain = {name: value for name, value in said.items() if name in cls.__dataclass_fields__}
        for name in ("parts", "quarantine"):
            plain[name] = tuple(Part(**each) for each in plain.get(name) or ())
        return cls(**plain)


@dataclass(frozen=True)
class Bad:
    """One item that was not scored. row: number in its file from 0, None for a whole file. reason: a sentence."""

    url: str
    row: Optional[int]
    column: Optional[str]
    reason: str
    value: Optional[str] = None  # the row as it was read, cut to 1,000 characters

    def __str__(self) -> str:
        """Where, and why."""
        row = "" if self.row is None else f", row {self.row}"
        column = "" if self.column is None else f", column {self.column!r}"
        return f"{self.url}{row}{column}: {self.reason}"
