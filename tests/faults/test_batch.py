"""J1: something of a batch job is killed every three seconds, its driver too, which is started again as the server does. Each row is answered once."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from fairlead_scoring.batch.job import Engine, Order

from tests.needs import require
from tests.scoring.batch.hosts import EngineHost
from tests.scoring.batch.jobs import Job, bundle_of_script, children_of, order_job

INTERVAL = 3.0  # seconds
PATIENCE = 600  # kills, before a job that makes no progress is given up
FILES = 40
SCRIPT = """
import pyarrow.compute as pc
def init(): pass
def run(mini_batch: "pa.Table"):
    y = pc.cast(mini_batch["id"], "float64")
    for _ in range({rounds}): y = pc.sin(y)
    return mini_batch.select(["id"]).append_column("y", y)
"""
Victims = Callable[[psutil.Process], list[psutil.Process]]


@dataclass(frozen=True)
class Field:
    """Jobs over the ids from 0 on, and what one gave that nobody disturbed."""

    folder: Path
    rows: int
    calm: dict[str, bytes]

    def job(self, name: str, engine: Engine) -> Job:
        job = order_job(self.folder / name, self.folder / "bundle", str(self.folder / "in"), script="score.py")
        order = Order.from_json(json.loads((job.place / "job.json").read_text()))
        (job.place / "job.json").write_text(json.dumps(replace(order, engine=engine).to_json()))
        return job


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Field:
    is_long = bool(pytestconfig.getoption("--long"))
    rows, rounds = (100_000_000, 100) if is_long else (4_000_000, 300)
    folder = tmp_path_factory.mktemp("fire")
    bundle_of_script(folder, SCRIPT.format(rounds=rounds))
    (folder / "in").mkdir()
    each, dice = rows // FILES, np.random.default_rng(0)
    ballast = {f"c{number}": dice.normal(size=each) for number in range(6)}  # a file is a shard: small ones would be put together
    for number in range(FILES):
        pq.write_table(pa.table({"id": np.arange(number * each, (number + 1) * each), **ballast}), folder / "in" / f"{number:02d}.parquet")
    made = Field(folder, rows, {})
    calm = made.job("calm", Engine("local", processes=2))
    assert calm.drive(timeout=1800).returncode == 0
    made.calm.update(calm.published())
    return made


@pytest.fixture
def ray(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[EngineHost]:
    require("ray")
    host = EngineHost("ray", tmp_path_factory.mktemp("ray"), repository)
    try:
        yield host
    finally:
        host.close()


def test_on_this_machine(field: Field) -> None:
    job = field.job("local", Engine("local", processes=2))
    assert under_fire(job, lambda driver: [driver, *children_of(driver.pid)]) >= 1
    each_row_is_answered_once(field, job)


def test_on_ray(field: Field, ray: EngineHost) -> None:
    """A process that scores, the worker of Ray's above it, or the driver."""
    job = field.job("ray", Engine("ray", processes=2, options={"address": ray.ask("address")}))

    def victims(driver: psutil.Process) -> list[psutil.Process]:
        scoring = ray.processes("batch-child")
        return [driver, *scoring, *filter(None, (child.parent() for child in scoring))]

    assert under_fire(job, victims) >= 1
    each_row_is_answered_once(field, job)


def under_fire(job: Job, victims: Victims) -> int:
    """How often something was killed before the job had ended, well."""
    dice = random.Random(7)
    driver = job.start()
    for kills in range(PATIENCE):
        try:
            assert driver.wait(INTERVAL) == 0, (job.place / "said.txt").read_text()
            return kills
        except subprocess.TimeoutExpired:
            victim = dice.choice(victims(psutil.Process(driver.pid)))
        try:
            victim.kill()
        except psutil.NoSuchProcess:
            continue
        if victim.pid == driver.pid:
            driver.wait()
            driver = job.start()
    raise AssertionError(f"After {PATIENCE} kills the job is not done: {job.progress}")


def each_row_is_answered_once(field: Field, job: Job) -> None:
    assert job.published() == field.calm
    ids = job.answers.column("id")
    assert (len(ids), pc.sum(ids).as_py()) == (field.rows, field.rows * (field.rows - 1) // 2)
    assert (job.progress["rows"]["done"], job.progress["rows"]["failed"]) == (field.rows, 0)
