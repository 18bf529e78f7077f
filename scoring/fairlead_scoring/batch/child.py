"""The process that scores: `python /…/fairlead_scoring batch-child --fd N`. Shards in; each is read, scored and published here, and an outcome goes out.

It ends with its parent: at the end of the link it kills itself and all that the script has started, by a signal of the kernel where there is one.
"""

from __future__ import annotations

import argparse
import atexit
import fcntl
import logging
import os
import signal
import socket
import sys
import threading
import time
import traceback
from typing import Any, Dict, List, NoReturn, Optional

import pyarrow as pa

from fairlead_scoring.batch import frames
from fairlead_scoring.batch.job import Order
from fairlead_scoring.batch.job_places import JobPlaces
from fairlead_scoring.batch.places import PlaceFault, Refused
from fairlead_scoring.batch.scoring import Scorer, Segment, TooMany, Watch
from fairlead_scoring.batch.scoring.answers import are_lines
from fairlead_scoring.batch.script_files import FOLDER, ScriptFiles, files_of_script
from fairlead_scoring.batch.shards import Outcome, Shard
from fairlead_scoring.batch.sinks import Sink, open_sink
from fairlead_scoring.batch.sources import batches
from fairlead_scoring.batch.thresholds import most_failed
from fairlead_scoring.errors import RuntimeFault, cause_of
from fairlead_scoring.lines import LEVELS
from fairlead_scoring.worker import link
from fairlead_scoring.worker.step import Overdue

MOST_ERRORS = 1000  # tracebacks in one process's log


def main(arguments: Optional[List[str]] = None) -> int:
    parser = argparse.ArgumentParser(prog="fairlead_scoring batch-child")
    parser.add_argument("--fd", type=int, required=True, help="the link to the parent")
    parser.add_argument("--life-fd", type=int, required=True, help="closed when the parent ends")
    options = parser.parse_args(arguments)
    _end_with_parent(options.life_fd)
    os.set_inheritable(options.fd, False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when a child ends
    parent = link.Link(socket.socket(fileno=options.fd))
    try:
        return Child(parent, frames.said(parent.receive())).serve()
    except link.LinkClosed:
        return 0


def _end_with_parent(fd: int) -> None:
    """SIGKILL to this process group when the other end of a socket is gone; also when the script holds the interpreter."""
    os.set_inheritable(fd, False)
    if not hasattr(fcntl, "F_SETSIG"):  # not Linux
        threading.Thread(target=_wait_for_end, args=(fd,), name="fairlead-life", daemon=True).start()
        return
    fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(fd, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_ASYNC)


def _wait_for_end(fd: int) -> None:
    os.read(fd, 1)
    os.killpg(os.getpgrp(), signal.SIGKILL)


class Child:
    def __init__(self, parent: link.Link, task: Dict[str, Any]) -> None:
        self._parent = parent
        self._task = task
        self._order = Order.from_json(task["order"])
        self._places = JobPlaces(self._order, task.get("secrets") or {})
        self._errors = _ErrorLog(task.get("error_log"))
        self._files: Optional[ScriptFiles] = None
        self._is_running = False
        self._watch = Watch(self._begun, self._ended, self._errors.write)

    def serve(self) -> int:
        _prepare_process(self._order, self._task)
        signal.signal(signal.SIGTERM, self._interrupt)
        try:
            self._files = files_of_script(self._order, self._places.of_output, os.environ.get(FOLDER, "outputs"))
            scorer = Scorer(self._order, self._task["workplace"], self._watch)
            scorer.init()
        except RuntimeFault as fault:
            self._hopeless(fault)
            return fault.exit_code
        frames.tell(self._parent, frames.READY, {"pid": os.getpid()})
        while True:
            try:
                frame = self._parent.receive()
            except link.LinkClosed:
                return 0
            if frame.kind == frames.STOP:
                scorer.shutdown()
                self._bring_files()
                self._leave()
            self._do(scorer, frames.said(frame))

    def _leave(self) -> NoReturn:
        """What Python does at its end for the script: threads are waited for, `atexit` is kept. Memory is the kernel's affair, and nobody waits for it."""
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        self._parent.send(frames.GONE)
        os._exit(0)

    def _do(self, scorer: Scorer, said: Dict[str, Any]) -> None:
        shard = Shard.from_json(said["shard"])
        try:
            outcome = self._score(scorer, shard, said.get("suspects") or {})
        except RuntimeFault as fault:
            if isinstance(fault, PlaceFault) and not isinstance(fault, Refused):
                self._trouble(str(fault), cause_of(fault))
            else:
                self._hopeless(fault)
        except TooMany as too_many:
            said = {"cause": "too-many-failed", "message": f"More items have failed than may; the last: {str(too_many).rstrip('.')}."}
            frames.tell(self._parent, frames.HOPELESS, said)
        except link.LinkClosed:
            raise
        except (Exception, Overdue) as error:  # noqa: BLE001  (storage, disk, a file that is none: the parent decides whether to try again)
            self._trouble(f"{type(error).__name__}: {error}", cause_of(error))
        else:
            frames.tell(self._parent, frames.OUTCOME, outcome.to_json())

    def _score(self, scorer: Scorer, shard: Shard, suspects: Dict[str, Any]) -> Outcome:
        assert self._order.output is not None
        sink = open_sink(self._order, self._places.of_output(), shard.number)
        tally = _Tally(most_failed(self._order.limits))
        try:
            clock = time.perf_counter()
            for batch in batches(self._order, self._task["schema"], shard, self._places):
                tally.read += time.perf_counter() - clock
                segments = [Segment(*each) for each in suspects.get(str(batch.index), ())]
                scored = scorer.score(batch, segments, tally.left)
                tally.add(scored)
                clock = time.perf_counter()
                if scored.table is not None:
                    _write(sink, scored.table)
                sink.bad(scored.bad)
                tally.write += time.perf_counter() - clock
                clock = time.perf_counter()
            self._bring_files()
            node = str(self._task.get("node", ""))
            parts, quarantine = sink.publish(tally.outcome(shard.number, (), (), node))
            tally.write += time.perf_counter() - clock
        except BaseException:
            sink.abandon()
            raise
        return tally.outcome(shard.number, parts, quarantine, node)

    def _bring_files(self) -> None:
        if self._files is not None:
            self._files.bring()

    def _trouble(self, message: str, cause: str) -> None:
        if not cause:
            self._errors.write(traceback.format_exc())
        else:
            self._errors.write(message)  # the log may be on the same disk
        frames.tell(self._parent, frames.TROUBLE, {"message": message, "cause": cause})

    def _hopeless(self, fault: RuntimeFault) -> None:
        lines = str(getattr(fault, "frames", "")).splitlines()
        self._errors.write("\n".join([str(fault), *lines]))
        frames.tell(self._parent, frames.HOPELESS, {"cause": fault.cause, "message": str(fault), "log_lines": lines})

    def _begun(self, index: int, start: int, stop: int) -> None:
        self._parent.send(frames.BEGUN, frames.pack_in_hand(index, start, stop))
        self._is_running = True

    def _ended(self) -> None:
        self._is_running = False
        self._parent.send(frames.ENDED)

    def _interrupt(self, _signal: int, _frame: Any) -> None:
        if self._is_running:
            raise Overdue


def _write(sink: Sink, table: pa.Table) -> None:
    if are_lines(table):
        sink.lines(table.column(0).to_pylist())
    else:
        sink.write(table)


class _Tally:
    def __init__(self, most: Optional[int]) -> None:
        self._most = most
        self.items = self.rows = self.failed = self.batches = self.tries = 0
        self.read = self.run = self.write = 0.0

    @property
    def left(self) -> Optional[int]:
        return None if self._most is None else max(0, self._most - self.failed)

    def add(self, scored: Any) -> None:
        self.items += scored.items
        self.rows += 0 if scored.table is None else scored.table.num_rows
        self.failed += scored.failed
        self.batches += 1
        self.tries += scored.tries
        self.run += scored.seconds

    def outcome(self, number: int, parts: Any, quarantine: Any, node: str) -> Outcome:
        seconds = {"read": round(self.read, 4), "run": round(self.run, 4), "write": round(self.write, 4)}
        return Outcome(
            shard=number, parts=tuple(parts), quarantine=tuple(quarantine), items=self.items, rows=self.rows, failed=self.failed,
            mini_batches=self.batches, tries=self.tries, seconds=seconds, node=node,
        )  # fmt: skip


class _ErrorLog:
    def __init__(self, path: Optional[str]) -> None:
        self._path = path
        self._written = 0

    def write(self, text: str) -> None:
        if self._path is None or self._written >= MOST_ERRORS:
            return
        self._written += 1
        with open(self._path, "a", encoding="utf-8", errors="replace") as file:
            file.write(time.strftime("%Y-%m-%dT%H:%M:%SZ ", time.gmtime()) + text.rstrip() + "\n")


def _prepare_process(order: Order, task: Dict[str, Any]) -> None:
    os.chdir(task["workplace"]["app_root"])
    threads = int(task.get("threads") or 1)
    pa.set_cpu_count(threads)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # what a killed process has said is there to be read
    logging.basicConfig(level=LEVELS.get(order.log_level.lower(), 20), format="%(asctime)s %(levelname)s %(name)s %(message)s")
