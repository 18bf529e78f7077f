"""A process that runs engines for tests, so that Ray, Spark and Java are started once, and away from pytest's warnings that are errors.

`python -m tests.scoring.batch.engine_host NAME --fd N`: pickled commands come on a socket, and what happens goes back.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from fairlead_scoring.batch import engine_local
from fairlead_scoring.batch.cluster.ray import RayEngine
from fairlead_scoring.batch.cluster.spark import SparkEngine, session
from fairlead_scoring.batch.engines import Crew, Engine
from fairlead_scoring.batch.shards import Shard, Slice
from fairlead_scoring.batch.testing import SimpleEngine

from tests.scoring.batch.pretended import Pretended

PRETENDED = "tests.scoring.batch.pretended:Pretended"
QUICK = {"health_check_initial_delay_ms": 500, "health_check_period_ms": 500, "health_check_timeout_ms": 500, "health_check_failure_threshold": 2}
NODE = {"num_cpus": 1, "object_store_memory": 100 << 20, "include_dashboard": False}


class Host:
    """What all engines have: `run` and `job`. A name that a command may give is a method."""

    def __init__(self, connection: Connection) -> None:
        self._say = connection.send

    def engine(self) -> Engine:
        raise NotImplementedError

    def run(self, crew: Crew, count: int) -> None:
        """Says each event, with how many shards had been taken by then."""
        taken = 0

        def shards() -> Iterator[Shard]:
            nonlocal taken
            for number in range(count):
                taken += 1
                yield Shard(number, (Slice(f"memory://{number}"),))

        folder = Path(crew.task["folder"])
        pause = threading.Event()
        for event in self.engine().run(crew, shards(), (folder / "stop").exists):
            self._say((event, taken))
            pause.wait(float(crew.task.get("slow", 0)))  # as a driver that writes its ledger

    def job(self, place: str) -> int:
        """A whole driver. It finds the cluster that is there already."""
        return int(importlib.import_module("fairlead_scoring.batch.main").main([place]))

    def end(self) -> None:
        pass


class Simple(Host):
    def engine(self) -> Engine:
        return SimpleEngine(Pretended)


class Local(Host):
    def engine(self) -> Engine:
        vars(engine_local)["ShardRunner"] = Pretended
        return engine_local.LocalEngine()


class Ray(Host):
    """Two nodes on this machine, of a processor each."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._made = RayEngine(PRETENDED)
        self._ray = importlib.import_module("ray")
        self._cluster = importlib.import_module("ray.cluster_utils").Cluster(initialize_head=True, head_node_args={**NODE, "_system_config": QUICK})
        self._second = self._cluster.add_node(**NODE)
        self._ray.init(address=self._cluster.address, log_to_driver=False, logging_level="ERROR")

    def engine(self) -> Engine:
        return self._made

    def second_node(self) -> int:
        """The process that is the second node."""
        return int(self._second.all_processes["raylet"][0].process.pid)

    def mend(self) -> None:
        """After second_node() was killed: another one in its place."""
        self._cluster.remove_node(self._second, allow_graceful=False)
        self._second = self._cluster.add_node(**NODE)
        self._cluster.wait_for_nodes()

    def address(self) -> str:
        return str(self._cluster.address)

    def end(self) -> None:
        self._ray.shutdown()
        self._cluster.shutdown()


class Spark(Host):
    """The first engine that runs makes the session; the later ones find it."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._made = SparkEngine(PRETENDED)
        self._session = session(self._made.pyspark, Crew({}, processes=2))
        self._context = self._session.__enter__()

    def engine(self) -> Engine:
        return self._made

    def end(self) -> None:
        self._session.__exit__(None, None, None)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=["simple", "local", "ray", "spark"])
    parser.add_argument("--fd", type=int, required=True)
    options = parser.parse_args()
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path.cwd()), *filter(None, [os.environ.get("PYTHONPATH")])])  # for processes of the cluster
    connection = Connection(options.fd)
    host = globals()[options.name.capitalize()](connection)
    try:
        serve(host, connection)
    finally:
        host.end()


def serve(host: Any, connection: Connection) -> None:
    connection.send(("ready", None))
    while True:
        try:
            name, arguments = connection.recv()
        except EOFError:
            return
        connection.send(done(getattr(host, name), arguments))


def done(call: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[str, Any]:
    try:
        return ("end", call(*arguments))
    except BaseException as error:  # noqa: BLE001 - the test is told
        return ("raised", f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
    sys.exit()
