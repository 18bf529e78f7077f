"""Engine `ray`: an actor per process, on a cluster that is there already (`address`) or on one that is started here for the job.

An actor takes a shard at a time. What dies, an actor or the node below it, is replaced as soon as the cluster has room, and its shard is
handed out again; a cluster that grows or shrinks does so by itself. Options of the order:

    address       of a cluster: auto, HOST:PORT, ray://HOST:PORT; none: one is started here and ends with the job
    cpus, gpus    of one actor; default: 1, and 1 where this machine has GPUs
    runtime_env   of Ray, for what the nodes lack
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import socket
import threading
import time
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple

from fairlead_scoring.batch.cluster import settling
from fairlead_scoring.batch.engines import Crew, Event, Hopeless, Interruption, Lost, Stop
from fairlead_scoring.batch.shards import Shard

PAUSE = 0.25  # seconds between looks at `stop`
MERCY = 3.0  # for actors that were told to end
MOST_LOSSES = 10  # of one shard: then it is the shard, not the cluster
MOST_BARREN = 5  # actors per place that died before they scored anything
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
STORE = 100 << 20  # bytes of Ray's object store: shards are read where they are scored


class RayEngine:
    name = "ray"

    def __init__(self, runner: str = settling.RUNNER) -> None:
        """Raises ImportError."""
        os.environ.update(QUIET)
        import ray

        self._ray = ray
        self._runner = runner

    def run(self, crew: Crew, shards: Iterable[Shard], stop: Stop) -> Iterator[Event]:
        with _connected(self._ray, crew):
            team = _Team(self._ray, self._runner, crew, shards)
            try:
                yield from team.events(stop)
            finally:
                team.end(stop)


class Worker:
    """What lives in an actor. run() and end() are called at the same time."""

    def __init__(self, task: Mapping[str, Any], runner: str) -> None:
        self._task = dict(task)
        self._name = runner
        self._runner: Any = None
        self._is_over = threading.Event()
        self._in_hand = threading.Lock()

    def wake(self) -> Tuple[str, bool]:
        """The node, and whether the task's folders are here."""
        import ray

        node = f"{ray.util.get_node_ip_address()}-{ray.get_runtime_context().get_node_id()[:8]}"
        gpus = [str(each) for each in ray.get_gpu_ids()]
        self._task.update(node=node, devices=gpus)
        return node, settling.is_home(self._task)

    def settle(self, archive: bytes) -> None:
        devices = self._task["devices"]
        self._task = {**settling.settled(self._task, archive), "devices": devices}

    def run(self, shard: Shard) -> List[Event]:
        with self._in_hand:
            if self._runner is None:
                self._runner = settling.runner(self._name, self._task)
            event = self._runner.run(shard, self._is_over.is_set)
            return [*self._runner.take_interruptions(), *([] if event is None else [event])]

    def end(self, at_once: bool) -> None:
        self._is_over.set()
        with self._in_hand:
            if self._runner is not None:
                self._runner.close(at_once=at_once)


class _Seat:
    """A place for one actor. answer: what it is to say next, None while it has nothing to do."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.actor: Any = None
        self.answer: Any = None
        self.shard: Optional[Shard] = None
        self.node = ""
        self.is_awake = False


class _Team:
    def __init__(self, ray: Any, runner: str, crew: Crew, shards: Iterable[Shard]) -> None:
        self._ray = ray
        self._runner = runner
        self._task = settling.leaving(crew.task)
        self._make = _actor_class(ray, crew)
        self._shards = iter(shards)
        self._again: List[Shard] = []
        self._losses: Dict[int, int] = {}
        self._barren = 0
        self._is_over = self._is_exhausted = False
        self._archive: Any = None
        self._limit = float((crew.task.get("order") or {}).get("limits", {}).get("run_invocation_timeout", 60.0))
        self._seats = [_Seat(number) for number in range(max(1, crew.nodes) * max(1, crew.processes))]

    def events(self, stop: Stop) -> Iterator[Event]:
        first = [self._next_planned() for _ in self._seats]
        self._again = [shard for shard in reversed(first) if shard is not None]
        del self._seats[len(self._again) :]
        for seat in self._seats:
            self._seat_actor(seat)
        while not self._is_over and not stop():
            self._feed()
            if not any(seat.shard for seat in self._seats) and not self._again and self._is_exhausted:
                return
            waited = {seat.answer: seat for seat in self._seats if seat.answer is not None}
            ready, _ = self._ray.wait(list(waited), num_returns=1, timeout=PAUSE)
            for answer in ready:
                yield from self._hear(waited[answer])

    def end(self, stop: Stop) -> None:
        """Scripts may shut down, which takes as long as a run() may, unless the job is to stop."""
        ending = [seat.actor.end.remote(self._is_over or stop()) for seat in self._seats if seat.is_awake]
        ends = time.monotonic() + self._limit
        while ending and time.monotonic() < ends:
            _, ending = self._ray.wait(ending, num_returns=len(ending), timeout=PAUSE)
            if stop():
                ends = min(ends, time.monotonic() + MERCY)
        for seat in self._seats:
            self._ray.kill(seat.actor)

    def _seat_actor(self, seat: _Seat) -> None:
        seat.actor = self._make.remote({**self._task, "process": seat.number}, self._runner)
        seat.answer, seat.shard, seat.is_awake = seat.actor.wake.remote(), None, False

    def _feed(self) -> None:
        for seat in self._seats:
            if seat.answer is None:
                seat.shard = self._next()
                if seat.shard is not None:
                    seat.answer = seat.actor.run.remote(seat.shard)

    def _next(self) -> Optional[Shard]:
        return self._again.pop() if self._again else self._next_planned()

    def _next_planned(self) -> Optional[Shard]:
        shard = next(self._shards, None)
        self._is_exhausted = shard is None
        return shard

    def _hear(self, seat: _Seat) -> List[Event]:
        errors = self._ray.exceptions
        try:
            said = self._ray.get(seat.answer)
        except errors.RayTaskError as error:
            return self._given_up(seat, error)
        except (errors.RuntimeEnvSetupError, errors.ActorUnschedulableError) as error:
            self._is_over = True
            return [Hopeless("engine-failed", f"Ray cannot start a worker: {_first_line(error)}")]
        except errors.RayError as error:
            return self._lost(seat, error)
        return self._said(seat, said)

    def _said(self, seat: _Seat, said: Any) -> List[Event]:
        if isinstance(said, tuple):  # it has woken up
            seat.node, is_home = said
            seat.is_awake = True
            seat.answer = None if is_home else seat.actor.settle.remote(self._luggage())
            return []
        seat.answer, seat.shard = None, None
        events: List[Event] = list(said or ())
        self._is_over = any(isinstance(each, (Hopeless, Lost)) for each in events)
        if events:
            self._barren = 0
        return events

    def _given_up(self, seat: _Seat, error: Any) -> List[Event]:
        """Something raised in an actor: where the package is missing or the disk is full, the next one would fare no better."""
        self._is_over = True
        cause = f"{type(error.cause).__name__}: {error.cause}" if getattr(error, "cause", None) else _first_line(error)
        if seat.shard is not None:
            return [Lost(seat.shard.number, f"A worker on the node {seat.node} failed. {cause}")]
        return [Hopeless("engine-failed", f"A worker of the Ray cluster cannot begin. {cause}")]

    def _lost(self, seat: _Seat, error: Any) -> List[Event]:
        """The actor or its node is gone, or cannot be reached. Its shard goes to whoever is free first."""
        shard, node = seat.shard, seat.node
        self._ray.kill(seat.actor)
        self._seat_actor(seat)
        if shard is None:
            self._barren += 1
            if self._barren > MOST_BARREN * len(self._seats):
                self._is_over = True
                return [Hopeless("engine-failed", f"Workers of the Ray cluster end before they have scored anything: {_first_line(error)}")]
            return [Interruption(node, f"A worker ended before it had a shard. {_reason(error)}")]
        self._losses[shard.number] = self._losses.get(shard.number, 0) + 1
        if self._losses[shard.number] > MOST_LOSSES:
            self._is_over = True
            return [Lost(shard.number, f"Its worker ended {MOST_LOSSES} times; the last time on the node {node}. {_reason(error)}")]
        self._again.append(shard)
        return [Interruption(node, f"{_reason(error)} Shard {shard.number} is done again.")]

    def _luggage(self) -> Any:
        if self._archive is None:
            self._archive = self._ray.put(settling.packed(self._task))
        return self._archive


def _actor_class(ray: Any, crew: Crew) -> Any:
    options = crew.options
    gpus = options.get("gpus", 1 if crew.task.get("devices") else 0)
    environment = dict(options.get("runtime_env") or {})
    if any(node["Alive"] and node["NodeManagerHostname"] != socket.gethostname() for node in ray.nodes()):
        environment["py_modules"] = [*environment.get("py_modules", ()), settling.PACKAGE]
    return ray.remote(Worker).options(
        num_cpus=options.get("cpus", 1),
        num_gpus=gpus,
        max_restarts=0,
        max_concurrency=2,
        scheduling_strategy="SPREAD",
        runtime_env=environment or None,
    )


@contextlib.contextmanager
def _connected(ray: Any, crew: Crew) -> Iterator[None]:
    """A connection that is there already is left as it is."""
    if ray.is_initialized():
        yield
        return
    address = crew.options.get("address")
    folder = None if address else _folder(crew)
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(log_to_driver=False, logging_level="ERROR", **({"address": address} if address else _own(crew, folder)))
        if handler is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)  # Ray puts one of its own there
        yield
    finally:
        ray.shutdown()
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


def _folder(crew: Crew) -> str:
    """Short, for the names of sockets below it; the same for every driver of a job, so that what a killed one left is cleared away."""
    job = hashlib.sha256(str(crew.task.get("work") or os.getpid()).encode()).hexdigest()[:12]
    folder = f"/tmp/fairlead-ray-{os.getuid()}-{job}"  # noqa: S108 - only this user's drivers of this job have it
    shutil.rmtree(folder, ignore_errors=True)
    os.mkdir(folder, 0o700)
    return folder


def _own(crew: Crew, folder: Optional[str]) -> Dict[str, Any]:
    """A cluster of this machine alone: as many places as processes are wanted."""
    wanted = max(1, crew.nodes) * max(1, crew.processes) * float(crew.options.get("cpus", 1))
    return {
        "address": "local",
        "num_cpus": max(1, int(wanted + 0.999)),
        "num_gpus": len(crew.task.get("devices") or ()),
        "include_dashboard": False,
        "object_store_memory": STORE,
        "_temp_dir": folder,
    }


def _reason(error: Any) -> str:
    """Ray's own texts are a page long."""
    said = str(error).lower()
    if "node" in said and ("died" in said or "dead" in said or "terminated" in said):
        return "The node went away."
    return "Ray ended the worker for want of memory on its node." if "memory" in said else "The worker's process ended."


def _first_line(error: Any) -> str:
    return str(error).strip().splitlines()[0][:400] if str(error).strip() else type(error).__name__
