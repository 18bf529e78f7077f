"""summary_only: the script writes its own files, and items are counted."""

from __future__ import annotations

from typing import Iterable, Optional, Sequence

import pyarrow as pa

from fairlead_scoring.batch.places import Place
from fairlead_scoring.batch.shards import Bad, Outcome
from fairlead_scoring.batch.sinks.sink import Published, Quarantine, Sink


class CountingSink(Sink):
    def __init__(self, place: Place, shard: int) -> None:
        self._quarantine = Quarantine(place, shard)

    def write(self, table: pa.Table) -> None:
        self.rows += table.num_rows

    def lines(self, texts: Sequence[str]) -> None:
        self.rows += len(texts)

    def bad(self, items: Iterable[Bad]) -> None:
        self._quarantine.add(items)

    def publish(self, outcome: Optional[Outcome] = None) -> Published:  # noqa: ARG002 - the ledger notes it
        return (), self._quarantine.publish()

    def abandon(self) -> None:
        self._quarantine.abandon()
