"""Engine `spark`: a task per shard, each a job of its own, so that every shard comes back when it is done; Spark decides where it runs.

A Python worker of Spark holds one runner for as long as Spark keeps it. What dies is Spark's to try again; the task says how often it had to.
Options of the order:

    master     URL of a cluster; none: this machine, as many tasks at a time as processes
    python     the interpreter on the cluster's machines; default: PYSPARK_PYTHON, or python3
    spark.*    Spark's own properties
"""

from __future__ import annotations

import contextlib
import os
import queue
import re
import signal
import sys
import tempfile
import threading
import uuid
from typing import Any, Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Set, Tuple

from fairlead_scoring.batch.cluster import settling
from fairlead_scoring.batch.engines import Crew, Event, Hopeless, Interruption, Lost, Stop
from fairlead_scoring.batch.shards import Shard

PAUSE = 0.25
CLOSING = 10.0  # seconds for Spark to begin with the end
TRIES = 4  # of a task, as on any cluster; a local master would try once
LOOPBACK = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
SETTINGS = {
    "spark.app.name": "fairlead",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
    "spark.driver.memory": "1g",  # it schedules; rows never come near it
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.python.worker.reuse": "true",
    "spark.task.maxFailures": str(TRIES),
    "spark.scheduler.barrier.maxConcurrentTasksCheck.interval": "1s",
    "spark.scheduler.barrier.maxConcurrentTasksCheck.maxFailures": "2",
}
_RAISED = re.compile(r"(?!org\.|java|py4j)[\w.]+(Error|Exception|Fault): ")
_OTHER_PYTHON = "Workers run the engine's option `python`, else PYSPARK_PYTHON, else python3: name one that has what the model needs."
LUGGAGE, PACKAGE = "fairlead-luggage.tar", "fairlead-scoring.zip"


class SparkEngine:
    name = "spark"

    def __init__(self, runner: str = settling.RUNNER) -> None:
        """Raises ImportError."""
        import pyspark

        self.pyspark = pyspark
        self._runner = runner

    def run(self, crew: Crew, shards: Iterable[Shard], stop: Stop) -> Iterator[Event]:
        try:
            with session(self.pyspark, crew) as context:
                yield from _Jobs(context, self.pyspark, crew, self._runner).events(shards, stop)
        except _NoSpark as fault:
            yield Hopeless("engine-failed", str(fault))


class _NoSpark(Exception):
    pass


class _Said(NamedTuple):
    """events: of the runner. attempt: how often Spark had tried before. worker: the process that holds the runner, on its node."""

    events: List[Event]
    attempt: int
    node: str
    worker: int


class Task:
    """What a Spark task does: hands its shard to the runner of its Python worker."""

    def __init__(self, task: Mapping[str, Any], runner: str) -> None:
        self._task = task
        self._runner = runner

    def __call__(self, shards: Iterator[Shard]) -> Iterator[_Said]:
        from pyspark import TaskContext

        attempt = TaskContext.get().attemptNumber()
        mine = kept(self._task, self._runner)
        for shard in shards:
            event = mine.runner.run(shard, _never)
            events = [*mine.runner.take_interruptions(), *([] if event is None else [event])]
            yield _Said(events, attempt, mine.node, os.getpid())


class _Kept(NamedTuple):
    """number: a descriptor that holds this process's number on its machine."""

    runner: Any
    node: str
    number: int


_KEPT: Dict[str, _Kept] = {}  # of this Python worker, for one run of an engine


def kept(task: Mapping[str, Any], name: str) -> _Kept:
    """The runner for this run; one of an earlier run in the same session is closed."""
    run = task["run"]
    if run not in _KEPT:
        _close_kept()
        settling.unzip_package()
        here, number = _at(task)
        _KEPT[run] = _Kept(settling.runner(name, here), here["node"], number)
    return _KEPT[run]


def _at(task: Mapping[str, Any]) -> Tuple[Dict[str, Any], int]:
    """The task for this machine and process, and the descriptor of its number."""
    from pyspark import SparkFiles, TaskContext

    here = {**task, "node": task["node"] if settling.is_home(task) else os.uname().nodename}
    if not settling.is_home(task):
        with open(SparkFiles.get(LUGGAGE), "rb") as file:
            here = settling.settled(here, file.read())
    gpu = TaskContext.get().resources().get("gpu")
    if gpu is not None:
        here["devices"] = list(gpu.addresses)[:1]
    here["process"], number = settling.claimed(here)
    return here, number


class Closing:
    """Ends the runners of all Python workers: a task in each at the same time, so that a script's shutdown() runs everywhere."""

    def __call__(self, _numbers: Iterator[int]) -> Iterator[int]:
        from pyspark import BarrierTaskContext

        BarrierTaskContext.get().barrier()
        _close_kept()
        return iter(())


def _close_kept() -> None:
    for each in _KEPT.values():
        each.runner.close()
        os.close(each.number)
    _KEPT.clear()


def _never() -> bool:
    """Spark ends a task that is to stop by ending its Python worker, and a runner's child ends with it."""
    return False


class _Jobs:
    """As many jobs at a time as there are processes, each of one task, each started by a thread of its own."""

    def __init__(self, context: Any, pyspark: Any, crew: Crew, runner: str) -> None:
        self._context = context
        self._pyspark = pyspark
        self._group = f"fairlead-{uuid.uuid4().hex[:12]}"
        self._task = Task({**settling.leaving(crew.task), "run": self._group, "node": crew.task.get("node") or "node-0"}, runner)
        self._count = max(1, crew.nodes) * max(1, crew.processes)
        self._heard: queue.Queue[_Heard] = queue.Queue()
        self._threads: Set[Any] = set()
        self._workers: Set[Tuple[str, int]] = set()
        self._limit = float((crew.task.get("order") or {}).get("limits", {}).get("run_invocation_timeout", 60.0))
        self._folder = tempfile.TemporaryDirectory(prefix="fairlead-spark-")
        if not _is_here(str(context.master)):
            _send_along(context, crew, self._folder.name)

    def events(self, shards: Iterable[Shard], stop: Stop) -> Iterator[Event]:
        source = iter(shards)
        try:
            running = sum(self._start(shard) for shard in _first(source, self._count))
            while running and not stop():
                try:
                    heard = self._heard.get(timeout=PAUSE)
                except queue.Empty:
                    continue
                following = next(source, None)
                running += -1 if following is None else 0
                if following is not None and not heard.ends_all:
                    self._start(following)
                yield from heard.events
                if heard.ends_all:
                    return
            if not stop():
                self._close()
        finally:
            self._end()

    def _start(self, shard: Shard) -> int:
        thread = self._pyspark.InheritableThread(target=self._do, args=(shard,))
        thread.daemon = True
        self._threads.add(thread)
        thread.start()
        return 1

    def _do(self, shard: Shard) -> None:
        try:
            self._context.setJobGroup(self._group, f"shard {shard.number}", interruptOnCancel=True)
            (said,) = self._context.parallelize([shard], 1).mapPartitions(self._task).collect()
            self._workers.add((said.node, said.worker))
            again = [Interruption(said.node, f"A task of Spark ended before its shard was done; shard {shard.number} was done again.")] * said.attempt
            self._heard.put(_Heard([*again, *said.events]))
        except Exception as error:  # noqa: BLE001  (of Spark, Py4J, or a Java process that is gone: the shard did not come back)
            self._heard.put(_Heard([Lost(shard.number, f"Spark gave it up after {TRIES} tries: {_reason(error)}")]))

    def _close(self) -> None:
        """As far as Spark runs a task in every worker at once; what does not come to its shutdown() is ended with its worker."""
        thread = self._pyspark.InheritableThread(target=self._run_closing)
        thread.daemon = True
        self._threads.add(thread)
        thread.start()
        thread.join(self._limit + CLOSING)

    def _run_closing(self) -> None:
        count = len(self._workers)
        with contextlib.suppress(Exception):
            self._context.setJobGroup(self._group, "shutdown", interruptOnCancel=True)
            self._context.parallelize(range(count), max(1, count)).barrier().mapPartitions(Closing()).collect()

    def _end(self) -> None:
        """Nobody waits for what still runs."""
        if any(thread.is_alive() for thread in self._threads):
            with contextlib.suppress(Exception):  # the Java process may be gone
                self._context.cancelJobGroup(self._group)
        for thread in self._threads:
            thread.join(2.0)
        self._folder.cleanup()


class _Heard:
    def __init__(self, events: List[Event]) -> None:
        self.events = events
        self.ends_all = any(isinstance(each, (Hopeless, Lost)) for each in events)


def _first(source: Iterator[Shard], count: int) -> List[Shard]:
    found = []
    for _ in range(count):
        shard = next(source, None)
        if shard is None:
            break
        found.append(shard)
    return found


def _send_along(context: Any, crew: Crew, folder: str) -> None:
    """For executors on other machines: this package, and what `settling.settled` unpacks. They ask for it as they come, so it stays."""
    package, luggage = os.path.join(folder, PACKAGE), os.path.join(folder, LUGGAGE)
    settling.zipped_package(package)
    with open(luggage, "wb") as file:
        file.write(settling.packed(crew.task))
    context.addPyFile(package)
    context.addFile(luggage)


@contextlib.contextmanager
def session(pyspark: Any, crew: Crew) -> Iterator[Any]:
    """A session that is there already is used, and left as it is. Raises _NoSpark."""
    there = pyspark.SparkContext._active_spark_context  # what is public makes one where there is none
    if there is not None:
        yield there
        return
    handler = signal.getsignal(signal.SIGINT)
    master = str(crew.options.get("master") or f"local[{max(1, crew.nodes) * max(1, crew.processes)},{TRIES}]")
    _choose_python(crew, master)
    try:
        with _errors_to(crew.task.get("logs")):
            context = pyspark.SparkContext(conf=_configuration(pyspark, crew, master))
    except Exception as error:
        raise _NoSpark(f"Spark cannot start with master {master}: {_reason(error)}{_without_java()}") from error
    if handler is not None and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, handler)  # Spark puts one of its own there
    try:
        yield context
    finally:
        with contextlib.suppress(Exception):
            context.stop()


def _configuration(pyspark: Any, crew: Crew, master: str) -> Any:
    is_local = _is_here(master)
    given = {name: str(value) for name, value in crew.options.items() if name.startswith("spark.")}
    folder = {"spark.local.dir": str(crew.task["work"])} if is_local and crew.task.get("work") else {}
    settings = {**SETTINGS, **(LOOPBACK if is_local else {}), **folder, **given}
    return pyspark.SparkConf().setMaster(master).setAll(list(settings.items()))


def _is_here(master: str) -> bool:
    return re.match(r"local($|\[)", master) is not None


def _choose_python(crew: Crew, master: str) -> None:
    """Else workers take the python3 of the PATH, which has none of the packages."""
    if _is_here(master):
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        os.environ["PYSPARK_PYTHON"] = sys.executable
    elif crew.options.get("python"):
        os.environ["PYSPARK_PYTHON"] = str(crew.options["python"])
    os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable


@contextlib.contextmanager
def _errors_to(logs: Optional[str]) -> Iterator[None]:
    """Spark's Java process, and the workers below it, keep what is standard error when it starts: a file of the job's."""
    if not logs:
        yield
        return
    folder = os.path.join(logs, "sys")
    os.makedirs(folder, exist_ok=True)
    kept = os.dup(2)
    file = os.open(os.path.join(folder, "spark.txt"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.dup2(file, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(file)


def _reason(error: BaseException) -> str:
    """The line that says it, of Java's many: Python's, where a worker raised."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and not line.startswith(("\t", "Traceback", "  "))]
    python = [line for line in lines if _RAISED.match(line)]
    java = [line for line in lines if "Exception" in line or "Error" in line or line.startswith("[")]
    said = (python or java or lines or [type(error).__name__])[0].lstrip(": ")[:500]
    return f"{said}. {_OTHER_PYTHON}" if said.startswith("ModuleNotFoundError") else said


def _without_java() -> str:
    home = os.environ.get("JAVA_HOME", "")
    folders = [os.path.join(home, "bin")] if home else os.environ.get("PATH", "").split(os.pathsep)
    if any(os.access(os.path.join(folder, "java"), os.X_OK) for folder in folders):
        return ""
    where = f"JAVA_HOME is {home}, where no bin/java is" if home else "no java is on the PATH, and JAVA_HOME is not set"
    return f" Spark needs Java 17, and {where}. Install it (Debian: openjdk-17-jre-headless), or set JAVA_HOME."
