"""The ledger in the database that takes the rows: a shard's line is written by the transaction that writes its rows."""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, Mapping, Optional

from fairlead_scoring.batch.job import Order
from fairlead_scoring.batch.ledger.ledger import Ledger
from fairlead_scoring.batch.ledger.orders import differences, digest_of, essence
from fairlead_scoring.batch.places import Refused
from fairlead_scoring.batch.places.database import DatabasePlace
from fairlead_scoring.batch.shards import Outcome

TABLE = "fairlead_batch_ledger"
QUARANTINE_TABLE = "fairlead_batch_quarantine"
_PLAN, _MANIFEST = -1, -2  # numbers that no shard has
_MAKE = f"""
create table if not exists {TABLE} (job text, shard integer, outcome jsonb not null, primary key (job, shard));
create table if not exists {QUARANTINE_TABLE} (job text, shard integer, url text, "row" bigint, "column" text, reason text, value text);
"""
_LOCK = 0x6661_6972  # "fair": of our own among the database's advisory locks


def open_in_database(place: DatabasePlace, order: Order, make_plan: Callable[[], Mapping[str, Any]]) -> Ledger:
    said = essence(order)
    hold = place.session()
    try:
        if not hold.execute("select pg_try_advisory_lock(%s, hashtext(%s))", (_LOCK, order.id)).fetchone()[0]:
            raise Refused(f"{place.url} is being written by another driver of job {order.id}. Wait for it, or cancel it.", cause="output-taken")
        place.transact(_make_tables)
        kept = _kept(place, order.id, _PLAN)
        if kept is None:
            kept = {"digest": digest_of(said), "order": said, "plan": make_plan()}
            _keep(place, order.id, _PLAN, kept)
        if kept["digest"] != digest_of(said):
            cure = "Give the job another id"
            raise Refused(f"Job {order.id} wrote to {place.url} with another order: {differences(kept['order'], said)}. {cure}.", cause="output-taken")
        return DatabaseLedger(place, order.id, kept["plan"], hold)
    except BaseException:
        hold.close()
        raise


class DatabaseLedger(Ledger):
    def __init__(self, place: DatabasePlace, job: str, plan: Mapping[str, Any], hold: Any) -> None:
        self.plan = plan
        self._place, self._job, self._hold = place, job, hold
        self.finished = _kept(place, job, _MANIFEST)

    def done(self) -> Dict[int, Outcome]:
        query = f"select outcome from {TABLE} where job = %s and shard >= 0 order by shard"  # noqa: S608 - a name of our own
        found = self._place.transact(lambda connection: connection.execute(query, (self._job,)).fetchall())
        return {outcome.shard: outcome for outcome in (Outcome.from_json(row[0]) for row in found)}

    def note(self, outcome: Outcome) -> None:
        """The shard's own transaction wrote the line; now it learns what only its runner knew."""
        _keep(self._place, self._job, outcome.shard, outcome.to_json())

    def commit(self, manifest: Mapping[str, Any]) -> None:
        _keep(self._place, self._job, _MANIFEST, manifest)

    def close(self) -> None:
        self._hold.close()


def _make_tables(connection: Any) -> None:
    connection.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))  # two at once would both find no table
    connection.execute(_MAKE)


def _kept(place: DatabasePlace, job: str, number: int) -> Optional[Dict[str, Any]]:
    query = f"select outcome from {TABLE} where job = %s and shard = %s"  # noqa: S608 - a name of our own
    found = place.transact(lambda connection: connection.execute(query, (job, number)).fetchone())
    return None if found is None else dict(found[0])


def _keep(place: DatabasePlace, job: str, number: int, said: Mapping[str, Any]) -> None:
    statement = f"insert into {TABLE} values (%s, %s, %s) on conflict (job, shard) do update set outcome = excluded.outcome"  # noqa: S608 - a name of our own
    text = json.dumps(said)
    place.transact(lambda connection: connection.execute(statement, (job, number, text)))
