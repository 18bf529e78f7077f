"""Pools: made, changed, used; their nodes follow from the jobs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fairlead_scoring.batch.job import Engine

from fairlead.client import access, compute
from fairlead.client.transport import Transport
from fairlead.errors import Conflict, Forbidden, InUse, NotFound, UsageError
from fairlead.schemas.compute import NewPool, PoolChange
from fairlead.server.compute import pools, uses
from fairlead.server.compute.uses import Busy
from fairlead.server.db import Database
from tests.control_plane import ControlPlane
from tests.fairlead.server.accounts.people import speaking_as

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_pool_is_made_changed_and_deleted(owner: Transport) -> None:
    made = compute.create(owner, NewPool(name="cpu-cluster"))
    assert (made.min_nodes, made.max_nodes, made.vm_priority, made.idle_seconds, made.engine) == (0, 4, "dedicated", 1800, "local")
    assert (made.allocation.state, made.allocation.current_nodes, made.allocation.target_nodes) == ("Steady", 0, 0)
    with pytest.raises(Conflict, match="a compute pool 'cpu-cluster' already"):
        compute.create(owner, NewPool(name="CPU-cluster"))
    changed = compute.change(owner, "cpu-cluster", PoolChange(min_nodes=1, processes=2, tags={"team": "a"}))
    assert (changed.allocation.current_nodes, changed.processes, changed.max_nodes, changed.tags) == (1, 2, 4, {"team": "a"})
    with pytest.raises(UsageError, match="cannot be more than the most"):
        compute.change(owner, "cpu-cluster", PoolChange(max_nodes=1, min_nodes=2))
    with speaking_as(owner, "r", "reader") as reader:
        assert [each.name for each in compute.list_all(reader)] == ["cpu-cluster"]
        with pytest.raises(Forbidden):
            compute.delete(reader, "cpu-cluster")
    compute.delete(owner, "cpu-cluster")
    with pytest.raises(NotFound, match="no compute pool 'cpu-cluster'"):
        compute.show(owner, "cpu-cluster")
    assert [each.action for each in access.list_audit(owner, kind="compute")] == ["delete", "change", "create"]


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"name": "x"}, "name"),
        ({"min_nodes": 5}, "the least cannot be more than the most"),
        ({"max_nodes": 0}, "max_nodes"),
        ({"vm_priority": "spot"}, "vm_priority"),
        ({"engine": "dask"}, "engine"),
    ],
)
def test_what_is_no_pool_is_refused(said: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        NewPool.of(**{"name": "pool", **said})


def test_options_hold_no_secret(owner: Transport) -> None:
    with pytest.raises(UsageError, match=r"options\.auth_token looks like a secret"):
        compute.create(owner, NewPool(name="pool", options={"auth_token": "x"}))


@pytest.mark.parametrize("said", ["low", "lowpriority", "low-priority", "LowPriority"])
def test_priority_is_spelled_in_several_ways(said: str) -> None:
    assert NewPool.of(name="pool", vm_priority=said).vm_priority == "lowpriority"


def test_jobs_take_nodes_and_leave_them_idle(shared_plane: ControlPlane, owner: Transport) -> None:
    compute.create(owner, NewPool(name="pool", max_nodes=3, engine="ray", options={"address": "auto"}, processes=2, vm_priority="lowpriority"))
    workspace = access.show_workspace(owner, owner.workspace).id
    database = Database(shared_plane.database_url)

    def do(act: Any, *arguments: Any) -> Any:
        with database.writing() as session:
            return act(session, *arguments)

    try:
        with database.writing() as session:
            told = pools.engine_of(session, workspace, "POOL", nodes=2)
            assert Engine(**told) == Engine("ray", 2, 2, {"address": "auto"})
            assert pools.engine_of(session, workspace, "pool")["nodes"] == 3
            with pytest.raises(UsageError, match="has 3 nodes at most, and 4 were asked for"):
                pools.engine_of(session, workspace, "pool", nodes=4)
            for _ in range(2):
                uses.begin(session, pools.pool_named(session, workspace, "pool"), f"job-{workspace[-8:]}", "nightly", 2)
        found = compute.show(owner, "pool").allocation
        assert (found.state, found.current_nodes, found.target_nodes, found.jobs) == ("Resizing", 0, 2, 1)
        job = f"job-{workspace[-8:]}"
        do(uses.arrive, job)
        do(uses.note_interruptions, job, 3)
        do(uses.note_interruptions, job, 2)
        pool = compute.show(owner, "pool")
        assert (pool.allocation.state, pool.allocation.current_nodes, pool.allocation.busy_nodes, pool.interruptions) == ("Steady", 2, 2, 3)
        with pytest.raises(InUse, match="is used by nightly"):
            compute.delete(owner, "pool")
        do(uses.end, job)
        left = compute.show(owner, "pool").allocation
        assert (left.current_nodes, left.busy_nodes, left.jobs) == (2, 0, 0)
        assert left.idle_until is not None
        assert [(each.job, each.nodes, each.interruptions, each.until is None) for each in compute.uses(owner, "pool")] == [("nightly", 2, 3, False)]
        compute.change(owner, "pool", PoolChange(idle_seconds=0))
        assert compute.show(owner, "pool").allocation.current_nodes == 0
        compute.delete(owner, "pool")
    finally:
        database.close()


@pytest.mark.parametrize(
    ("busy", "seconds", "expected"),
    [
        (Busy(), 0, ("Steady", 1, 1, 0)),
        (Busy(jobs=1, wanted=3), 0, ("Resizing", 1, 3, 0)),
        (Busy(jobs=1, wanted=3, arrived=3), 0, ("Steady", 3, 3, 3)),
        (Busy(jobs=3, wanted=9, arrived=9), 0, ("Steady", 4, 4, 4)),
        (Busy(ended_at=NOW, had=3), 59, ("Steady", 3, 3, 0)),
        (Busy(ended_at=NOW, had=3), 60, ("Steady", 1, 1, 0)),
        (Busy(jobs=1, wanted=2, ended_at=NOW, had=3), 30, ("Steady", 3, 3, 0)),
    ],
)
def test_nodes_come_with_jobs_and_go_when_idle(busy: Busy, seconds: int, expected: tuple[str, int, int, int]) -> None:
    pool = cast(Any, SimpleNamespace(min_nodes=1, max_nodes=4, idle_seconds=60))
    found = uses.allocation(pool, busy, NOW + timedelta(seconds=seconds))
    assert (found.state, found.current_nodes, found.target_nodes, found.busy_nodes) == expected
