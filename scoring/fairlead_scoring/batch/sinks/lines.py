"""Lines of text: one shard's part of what append_row makes one file of."""

from __future__ import annotations

from typing import Iterable, Optional, Sequence

import pyarrow as pa

from fairlead_scoring.batch.places import Outgoing, Place
from fairlead_scoring.batch.shards import Bad, Outcome, Part
from fairlead_scoring.batch.sinks.sink import Published, Quarantine, Sink
from fairlead_scoring.batch.sinks.text import text_rows


class LineSink(Sink):
    """Tables as pandas' to_csv(sep=" ", header=False, index=False), lists one item per line as it is."""

    def __init__(self, place: Place, shard: int, path: str) -> None:
        self._place, self._path = place, path
        self._file: Optional[Outgoing] = None
        self._quarantine = Quarantine(place, shard)

    def write(self, table: pa.Table) -> None:
        self._add(text_rows(table), table.num_rows)

    def lines(self, texts: Sequence[str]) -> None:
        self._add("".join([f"{text}\n" for text in texts]).encode("utf-8", "backslashreplace"), len(texts))

    def bad(self, items: Iterable[Bad]) -> None:
        self._quarantine.add(items)

    def publish(self, outcome: Optional[Outcome] = None) -> Published:  # noqa: ARG002 - the ledger notes it
        if self._file is None:
            return (), self._quarantine.publish()
        self._file.publish()
        return (Part(self._path, self.rows, self._file.bytes, self._file.sha256),), self._quarantine.publish()

    def abandon(self) -> None:
        if self._file is not None:
            self._file.abandon()
        self._quarantine.abandon()

    def _add(self, content: bytes, rows: int) -> None:
        if not rows:
            return
        if self._file is None:
            self._file = self._place.begin(self._path)
        self._file.write(content)
        self.rows += rows
