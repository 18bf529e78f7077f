"""What a shard's runner writes to."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from typing import Iterable, List, Optional, Sequence, Tuple

import pyarrow as pa

from fairlead_scoring.batch.ledger.layout import quarantine_name
from fairlead_scoring.batch.places import Outgoing, Place
from fairlead_scoring.batch.shards import Bad, Outcome, Part
from fairlead_scoring.errors import RuntimeFault

Published = Tuple[Tuple[Part, ...], Tuple[Part, ...]]


class Unwritable(RuntimeFault):
    """Answers that the output cannot take: types that change, columns that a table does not have. Another try will not help."""

    cause = "output-invalid"


class Sink(ABC):
    """One shard's. rows: those that were written. Nothing is visible before publish(); doing a shard again gives the same bytes under the same names."""

    rows = 0

    @abstractmethod
    def write(self, table: pa.Table) -> None:
        """A mini-batch's answers, with the columns that are carried along. Raises Unwritable, PlaceFault."""

    def lines(self, texts: Sequence[str]) -> None:
        """Answers that are a list, one line each as text; outputs of tables have them as the column `result`."""
        self.write(pa.table({"result": pa.array(texts, pa.string())}))

    @abstractmethod
    def bad(self, items: Iterable[Bad]) -> None:
        """Into quarantine."""

    @abstractmethod
    def publish(self, outcome: Optional[Outcome] = None) -> Published:
        """The shard's parts, and those of its quarantine. outcome: what a database notes together with the rows."""

    @abstractmethod
    def abandon(self) -> None:
        """Leaves nothing. Harmless after publish()."""


class Quarantine:
    """JSON lines beside the output; no file without a bad item."""

    def __init__(self, place: Place, shard: int) -> None:
        self._place, self._path = place, quarantine_name(shard)
        self._file: Optional[Outgoing] = None
        self._count = 0

    def add(self, items: Iterable[Bad]) -> None:
        lines: List[str] = [json.dumps(quarantine_row(each), ensure_ascii=False) + "\n" for each in items]
        if not lines:
            return
        if self._file is None:
            self._file = self._place.begin(self._path)
        self._file.write("".join(lines).encode("utf-8", "backslashreplace"))
        self._count += len(lines)

    def publish(self) -> Tuple[Part, ...]:
        if self._file is None:
            return ()
        self._file.publish()
        return (Part(self._path, self._count, self._file.bytes, self._file.sha256),)

    def abandon(self) -> None:
        if self._file is not None:
            self._file.abandon()


def quarantine_row(bad: Bad) -> dict:  # type: ignore[type-arg]  # Python 3.8
    return {"url": bad.url, "row": bad.row, "column": bad.column, "reason": bad.reason, "value": bad.value}


def in_order(table: pa.Table, names: List[str]) -> pa.Table:
    """Its columns in that order, for records name their members in any. Raises Unwritable where they are others."""
    if table.column_names == names:
        return table
    if sorted(table.column_names) == sorted(names):
        return table.select(names)
    there, here = ", ".join(names), ", ".join(table.column_names)
    raise Unwritable(f"The answers of one mini-batch have the columns {there}, those of another {here}. Answer with the same columns each time.")
