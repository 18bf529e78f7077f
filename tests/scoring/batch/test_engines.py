"""What every engine promises to the driver, asked of each: the simple one of `batch.testing`, local, Ray and Spark.

The first tests hand out shards that a pretended runner answers; the last ones drive whole jobs.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fairlead_scoring.batch.engines import Crew, Event, Hopeless, Interruption, Lost
from fairlead_scoring.batch.job import Engine, Input, Order
from fairlead_scoring.batch.shards import Outcome

from tests.needs import require
from tests.scoring.batch.hosts import EngineHost
from tests.scoring.batch.jobs import Job, bundle_of_script, order_job
from tests.waiting import until

NEEDS = {"simple": (), "local": (), "ray": ("ray",), "spark": ("pyspark", "java")}
CLUSTERS = ("ray", "spark")
AT_A_TIME = 2
AHEAD = 4 * AT_A_TIME


@pytest.fixture(scope="session")
def hosts(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[dict[str, EngineHost]]:
    """Those that were asked for, each started once."""
    started: dict[str, EngineHost] = {}
    try:
        yield started
    finally:
        for host in started.values():
            host.close()


@pytest.fixture(params=NEEDS)
def host(request: pytest.FixtureRequest, hosts: dict[str, EngineHost], tmp_path_factory: pytest.TempPathFactory, repository: Path) -> EngineHost:
    name = request.param
    require(*NEEDS[name])
    if name not in hosts:
        hosts[name] = EngineHost(name, tmp_path_factory.mktemp(f"engine-{name}"), repository)
    return hosts[name]


@pytest.fixture
def task(tmp_path: Path) -> dict[str, Any]:
    return {"folder": str(tmp_path), "order": {"id": tmp_path.name}}


def outcomes(events: list[tuple[Event, int]]) -> list[int]:
    return sorted(event.shard for event, _ in events if isinstance(event, Outcome))


def of_kind(events: list[tuple[Event, int]], kind: type) -> list[Any]:
    return [event for event, _ in events if isinstance(event, kind)]


def ran(folder: Path) -> Counter[int]:
    return Counter(int(line.split()[0]) for line in (folder / "ran").read_text().splitlines())


def runners(folder: Path) -> set[str]:
    return {line.partition(" ")[2] for line in (folder / "ran").read_text().splitlines()}


def test_every_shard_comes_back_once_and_none_is_taken_long_before(host: EngineHost, task: dict[str, Any], tmp_path: Path) -> None:
    events = host.run({**task, "interrupted": [1, 4], "slow": 0.02}, 30)
    assert outcomes(events) == list(range(30))
    assert ran(tmp_path) == Counter(range(30))
    assert len(runners(tmp_path)) <= AT_A_TIME, "a runner is kept for the shards that follow: its model is loaded once"
    assert len(list(tmp_path.glob("closed-*"))) == len(runners(tmp_path)), "a script's shutdown() runs"
    back = 0
    for event, taken in events:
        back += isinstance(event, Outcome)
        assert taken <= back + AHEAD
    assert [event.reason for event in of_kind(events, Interruption)] == ["A process that scored was ended by SIGKILL."] * 2


def test_nothing_to_do_is_done_at_once(host: EngineHost, task: dict[str, Any]) -> None:
    assert host.run(task, 0) == []


def test_fewer_shards_than_processes(host: EngineHost, task: dict[str, Any]) -> None:
    assert outcomes(host.run(task, 1)) == [0]


@pytest.mark.parametrize(("said", "kind"), [("hopeless", Hopeless), ("lost", Lost)])
def test_what_ends_the_job_is_passed_on_and_ends_the_run(host: EngineHost, task: dict[str, Any], said: str, kind: type, tmp_path: Path) -> None:
    events = host.run({**task, said: [3]}, 50)
    (event,) = of_kind(events, kind)
    if isinstance(event, Hopeless):
        assert (event.cause, event.log_lines) == ("init-raised", ("line 1", "line 2"))
    else:
        assert (event.shard, event.message) == (3, "No room is left on the disk.")
    assert len(ran(tmp_path)) < 10


def test_it_stops_within_seconds_in_the_middle_of_shards(host: EngineHost, task: dict[str, Any], tmp_path: Path) -> None:
    host.start("run", Crew({**task, "held": [2, 3]}, processes=AT_A_TIME), 30)
    until((tmp_path / "held-2").exists, "a shard to be in hand")
    worker = int((tmp_path / "held-2").read_text())
    begun = time.monotonic()
    (tmp_path / "stop").touch()
    events = list(host.events())
    assert time.monotonic() - begun < 10
    if host.name in CLUSTERS:
        until(lambda: not psutil.pid_exists(worker), "the worker to be gone")
    assert set(outcomes(events)) <= set(ran(tmp_path)) - {2, 3}
    assert of_kind(events, Lost) == []


@pytest.mark.parametrize("host", CLUSTERS, indirect=True)
def test_a_worker_that_is_killed_costs_its_shard_and_is_not_the_user_s_fault(host: EngineHost, task: dict[str, Any], tmp_path: Path) -> None:
    host.start("run", Crew({**task, "held": [2]}, processes=AT_A_TIME), 10)
    until(lambda: (tmp_path / "held-2").exists() and (tmp_path / "held-2").read_text(), "a shard to be in hand")
    os.kill(int((tmp_path / "held-2").read_text()), signal.SIGKILL)
    until(lambda: ran(tmp_path)[2] == 2, "the shard to be handed out again")
    (tmp_path / "go").touch()
    events = list(host.events())
    assert outcomes(events) == list(range(10))
    assert len(of_kind(events, Interruption)) >= 1
    assert of_kind(events, Lost) == []


@pytest.mark.parametrize("host", ["ray"], indirect=True)
def test_a_node_that_goes_away(host: EngineHost, task: dict[str, Any], tmp_path: Path) -> None:
    raylet = host.ask("second_node")
    host.start("run", Crew({**task, "held": [0, 1]}, nodes=2, processes=1), 10)
    until(lambda: (tmp_path / "held-0").exists() and (tmp_path / "held-1").exists(), "a shard to be in hand on both nodes")
    os.kill(raylet, signal.SIGKILL)
    events = []
    for event in host.events():
        events.append(event)
        (tmp_path / "go").touch()
    assert outcomes(events) == list(range(10))
    (interruption,) = of_kind(events[:1], Interruption)
    assert interruption.node
    assert "is done again" in interruption.reason
    host.ask("mend")
    assert outcomes(host.run(task, 4, nodes=2, processes=1)) == list(range(4))


SLOWLY = """
import threading
def init(): pass
def run(mini_batch):
    threading.Event().wait(0.15)
    return mini_batch[["x"]].assign(y=mini_batch["x"] * 3)
"""
SHARDS = 16


@pytest.fixture(scope="session")
def folder_of_jobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle, and a file for each shard: one input each, so that none is put together with another."""
    folder = tmp_path_factory.mktemp("jobs")
    bundle_of_script(folder, SLOWLY)
    for number in range(SHARDS):
        pq.write_table(pa.table({"x": range(number * 100, number * 100 + 50)}), folder / f"{number:02d}.parquet")
    assert ordered(folder, "calm", "local").drive().returncode == 0
    return folder


def ordered(folder: Path, name: str, engine: str, **options: Any) -> Job:
    job = order_job(folder / name, folder / "bundle", "replaced", script="score.py", mini_batch={"rows": 30})
    order = Order.from_json(json.loads((job.place / "job.json").read_text()))
    inputs = tuple(Input((str(path),)) for path in sorted(folder.glob("*.parquet")))
    order = replace(order, inputs=inputs, engine=Engine(engine, processes=AT_A_TIME, options=options))
    (job.place / "job.json").write_text(json.dumps(order.to_json()))
    return job


def bytes_of_an_undisturbed_run(folder: Path) -> dict[str, bytes]:
    return Job(folder / "calm" / "place", folder / "calm" / "out").published()


@pytest.mark.parametrize("host", CLUSTERS, indirect=True)
def test_every_engine_gives_the_same_bytes(host: EngineHost, folder_of_jobs: Path) -> None:
    job = ordered(folder_of_jobs, f"on-{host.name}", host.name)
    assert host.ask("job", str(job.place)) == 0, (job.place / "progress.json").read_text()
    published = job.published()
    assert len(published) == SHARDS
    assert published == bytes_of_an_undisturbed_run(folder_of_jobs)
    rows = [row for path in sorted(published) for row in pq.read_table(pa.BufferReader(published[path])).to_pylist()]
    assert rows == [{"x": x, "y": 3 * x} for number in range(SHARDS) for x in range(number * 100, number * 100 + 50)]


@pytest.mark.parametrize("host", ["ray"], indirect=True)
def test_whatever_is_killed_under_ray_the_bytes_are_those_of_an_undisturbed_run(host: EngineHost, folder_of_jobs: Path) -> None:
    job = ordered(folder_of_jobs, "killed", "ray", address=host.ask("address"))
    driver = job.start()
    for victim in ("child", "actor", "node", "driver"):
        kill_one(job, driver, host, victim)
    driver.wait(30)
    host.ask("mend")
    done = job.drive()
    assert done.returncode == 0, done.stderr
    assert job.published() == bytes_of_an_undisturbed_run(folder_of_jobs)
    assert (job.progress["rows"]["done"], job.progress["rows"]["failed"]) == (SHARDS * 50, 0)
    interruptions = [event for event in job.events if event["event"] == "NodePreempted"]
    assert interruptions, "what a killed driver had not written yet is lost with it; not all four are here"
    assert all(event["node"] for event in interruptions)


def kill_one(job: Job, driver: subprocess.Popen[bytes], host: EngineHost, victim: str) -> None:
    """In the middle of shards, once another one has been done since the last kill."""
    known = shards_done(job)
    until(lambda: shards_done(job) > known or driver.poll() is not None, "another shard to be done")
    assert driver.poll() is None, (job.place / "said.txt").read_text()
    if victim == "driver":
        driver.kill()
    elif victim == "node":
        os.kill(host.ask("second_node"), signal.SIGKILL)
    else:
        child = until(lambda: host.processes("batch-child"), "a process that scores")[0]
        os.kill(child.pid if victim == "child" else child.ppid(), signal.SIGKILL)


def shards_done(job: Job) -> int:
    ledger = job.out / "_fairlead" / "ledger.jsonl"
    return ledger.read_bytes().count(b"\n") if ledger.exists() else 0
