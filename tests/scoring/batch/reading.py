"""An order's rows as the batch half reads them, with the plan through JSON as a driver keeps it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from fairlead_scoring.batch.job import Input, MiniBatch, Order, Output
from fairlead_scoring.batch.places import open_place
from fairlead_scoring.batch.planning import Plan, plan
from fairlead_scoring.batch.shards import Bad
from fairlead_scoring.batch.sources import Batch, batches
from fairlead_scoring.batch.sources.schemas import schema_from_text


@dataclass(frozen=True)
class Database:
    """What the driver gives for an input that is a query: an address with its password."""

    url: str


@dataclass
class Read:
    plan: Plan
    batches: list[Batch] = field(default_factory=list)
    shards: list[list[Batch]] = field(default_factory=list)

    @property
    def table(self) -> pa.Table:
        schema = schema_from_text(self.plan.facts["inputs"][0]["schema"])
        return pa.concat_tables([schema.empty_table(), *(batch.table for batch in self.batches)])

    @property
    def rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.table.to_pylist()
        return rows

    @property
    def bad(self) -> list[Bad]:
        return [bad for batch in self.batches for bad in batch.bad]

    @property
    def origins(self) -> list[tuple[str, int | None]]:
        """Of each row: the name of its file, its number there."""
        found = [batch.origin(number) for batch in self.batches for number in range(batch.table.num_rows)]
        return [(url.rpartition("/")[2], row) for url, row in found]


def order(*urls: str | Path, mini_batch: MiniBatch | None = None, partition_keys: tuple[str, ...] = (), keep: tuple[str, ...] = (), **said: Any) -> Order:
    inputs = (Input(tuple(str(url) for url in urls), **said),)
    output = Output("out", keep=keep)
    return Order("1", "test", "bundle", inputs=inputs, output=output, mini_batch=mini_batch or MiniBatch(), partition_keys=partition_keys)


def place_of(said: Input) -> Any:
    return Database(said.database) if said.database else open_place(said.urls[0])


def planned(what: Order) -> Plan:
    return Plan.from_json(json.loads(json.dumps(plan(what, place_of).to_json())))


def read(what: Order, made: Plan | None = None) -> Read:
    found = Read(made or planned(what))
    for shard in found.plan.shards:
        found.shards.append(list(batches(what, found.plan.facts, shard, place_of)))
        found.batches += found.shards[-1]
    return found


def read_files(*urls: str | Path, **said: Any) -> Read:
    return read(order(*urls, **said))


def paths_of(what: Order) -> Iterator[tuple[Batch, Mapping[str, bytes]]]:
    """Each batch of paths with what the files hold while it lasts."""
    made = planned(what)
    for shard in made.shards:
        for batch in batches(what, made.facts, shard, place_of):
            assert batch.paths is not None
            yield batch, {Path(path).name: Path(path).read_bytes() for path in batch.paths}
