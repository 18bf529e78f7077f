"""One child process, kept for as many shards as come: fed, watched, killed when a run() takes too long, and started again when it has died.

The same under every engine. `task` is plain JSON and enough to work on another machine:

    order      as in job.json                       secrets    name → what a file in PLACE/secrets says
    schema     of the plan                          logs       folder for what the script prints, None: it goes to stderr
    bundle     folder                               work       folder for working directories, None: the system's
    verify     whether to read the bundle whole     side       side inputs that are here already: name → path
    node       for logs and records                 process    number of this runner on its node
    threads    for BLAS and its like                devices    one of them for each process
    script_secrets   folder of the script's own secrets
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Union

from fairlead_scoring.batch import frames, side_inputs, workplace
from fairlead_scoring.batch.engines import Event, Hopeless, Interruption, Lost, Stop
from fairlead_scoring.batch.frames import InHand
from fairlead_scoring.batch.job import Order
from fairlead_scoring.batch.shards import Outcome, Shard
from fairlead_scoring.batch.suspects import Suspects
from fairlead_scoring.errors import RuntimeFault
from fairlead_scoring.worker import link

PACKAGE = str(Path(__file__).resolve().parent.parent)
LOOK = 0.2  # seconds between looks at `stop` and the process
MERCY = 1.0  # between SIGTERM and SIGKILL
TROUBLES = 3
LAST_LINES = 50
OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


class Died(NamedTuple):
    """how: after "The process that scored it". reason: of a row that is alone to blame."""

    how: str
    from_outside: bool
    hand: Optional[InHand]
    said: str = ""

    @property
    def reason(self) -> str:
        return self.said or f"The process that scored it {self.how}."


class Trouble(NamedTuple):
    message: str
    cause: str = ""


Said = Union[Outcome, Hopeless, Trouble, Died, None]


class ShardRunner:
    def __init__(self, task: Mapping[str, Any]) -> None:
        self._task = dict(task)
        self._order = Order.from_json(task["order"])
        self._folder: Optional[str] = None
        self._place: Optional[workplace.Workplace] = None
        self._side: Dict[str, str] = dict(task.get("side") or {})
        self._child: Optional[_Child] = None
        self._interruptions: List[Interruption] = []

    def run(self, shard: Shard, stop: Stop) -> Optional[Event]:
        """Outcome, Hopeless or Lost; None when it was stopped before the shard was done."""
        suspects = Suspects(self._order.limits.run_max_try)
        troubles = 0
        while not stop():
            said = self._once(shard, suspects, stop)
            if isinstance(said, Died):
                self._note(said)
                if suspects.died(said.hand, said.reason, from_outside=said.from_outside):
                    continue
                return self._given_up(shard, said)
            if isinstance(said, Trouble):
                troubles += 1
                if troubles < TROUBLES:
                    continue
                return Lost(shard.number, said.message, said.cause)
            if isinstance(said, Outcome) and suspects.tries:
                return Outcome(**{**vars(said), "tries": said.tries + suspects.tries})
            return said
        return None

    def take_interruptions(self) -> List[Interruption]:
        """Since the last call: processes that somebody else killed."""
        found, self._interruptions = self._interruptions, []
        return found

    def close(self, *, at_once: bool = False) -> None:
        """Lets the script's shutdown() run, unless there is no time for it; ends everything."""
        if self._child is not None and not at_once:
            self._child.dismiss()
            self._child = None
        self._drop()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _once(self, shard: Shard, suspects: Suspects, stop: Stop) -> Said:
        try:
            if self._child is None:
                self._child = self._start()
            child = self._child
            if not child.is_ready:
                said = child.wait_ready(stop)
                if said is not None or not child.is_ready:
                    self._drop()
                    return said
            said = child.score(shard, suspects, stop)
        except RuntimeFault as fault:
            return Hopeless(fault.cause, str(fault))
        if not isinstance(said, (Outcome, Trouble)):
            self._drop()
        return said

    def _start(self) -> _Child:
        if self._place is None:
            self._prepare()
        assert self._place is not None
        return _Child(self._task, self._order, self._place, self._side)

    def _prepare(self) -> None:
        """Raises BundleFault; OSError where a side input cannot be fetched."""
        above = self._task.get("work")
        if above:
            os.makedirs(above, exist_ok=True)
        self._folder = tempfile.mkdtemp(prefix="fairlead-batch-", dir=above)
        self._place = workplace.lay_out(self._task["bundle"], os.path.join(self._folder, "app"), verify=bool(self._task.get("verify")))
        self._side = side_inputs.fetch_all(self._order, self._task.get("secrets") or {}, self._folder, self._side)

    def _note(self, died: Died) -> None:
        if died.from_outside:
            self._interruptions.append(Interruption(str(self._task.get("node", "")), f"A process that scored {died.how}; its shard is done again."))

    def _given_up(self, shard: Shard, died: Died) -> Event:
        if self._child is None and died.hand is None and not died.from_outside:
            return Hopeless("killed", f"A process that scores {died.how} before or between mini-batches, again and again.", tuple(self._last_lines()))
        return Lost(shard.number, f"The process that scored it {died.how}, again and again.")

    def _last_lines(self) -> List[str]:
        path = log_path(self._task, "stderr")
        if path is None or not os.path.exists(path):
            return []
        with open(path, "rb") as file:
            file.seek(max(0, os.path.getsize(path) - 16384))
            return file.read().decode("utf-8", "replace").splitlines()[-LAST_LINES:]

    def _drop(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child = None


class _Child:
    """The process, and the link to it."""

    def __init__(self, task: Mapping[str, Any], order: Order, place: workplace.Workplace, side: Mapping[str, str]) -> None:
        self.is_ready = False
        self._limit = order.limits.run_invocation_timeout
        ours, theirs = link.pair()
        self._life, their_life = socket.socketpair()
        environment = workplace.environment(place, order, task, side)
        outputs = [_opened(log_path(task, name)) for name in ("stdout", "stderr")]
        try:
            self._process = subprocess.Popen(
                [sys.executable, PACKAGE, "batch-child", "--fd", str(theirs.fileno()), "--life-fd", str(their_life.fileno())],
                env=environment,
                cwd=place.app_root,
                stdin=subprocess.DEVNULL,
                stdout=outputs[0],
                stderr=outputs[1],
                pass_fds=(theirs.fileno(), their_life.fileno()),
                start_new_session=True,  # what a script starts ends with its process
            )
        finally:
            theirs.close()
            their_life.close()
            for output in outputs:
                if output is not None:
                    os.close(output)
        self._link = link.Link(ours)
        self._poll = select.poll()
        self._poll.register(ours.fileno(), select.POLLIN)
        known = {name: task.get(name) for name in ("order", "schema", "secrets", "node", "threads")}
        arguments = [workplace.filled(word, side) for word in order.arguments]
        known["order"] = {**order.to_json(), "arguments": arguments}
        frames.tell(self._link, frames.TASK, {**known, "workplace": place.to_json(), "error_log": log_path(task, "error")})

    def wait_ready(self, stop: Stop) -> Said:
        """None: it is ready, or `stop` said so."""
        try:
            frame = self._next(stop, None)
        except link.LinkClosed:
            return self._died(None)
        if frame is None:
            return None
        if frame.kind == frames.HOPELESS:
            return _hopeless(frame)
        self.is_ready = True
        return None

    def score(self, shard: Shard, suspects: Suspects, stop: Stop) -> Said:
        hand: Optional[InHand] = None
        watch = _Deadline(self, self._limit)
        try:
            frames.tell(self._link, frames.SHARD, {"shard": shard.to_json(), "suspects": suspects.to_json()})
            while True:
                frame = self._next(stop, watch if hand is not None else None)
                if frame is None:
                    return None
                if frame.kind == frames.BEGUN:
                    hand = frames.unpack_in_hand(frame)
                    suspects.begun(hand)
                    watch.begin()
                elif frame.kind == frames.ENDED:
                    hand = None
                elif frame.kind == frames.HOPELESS:
                    return _hopeless(frame)
                elif frame.kind == frames.TROUBLE:
                    return _trouble(frame)
                else:
                    return Outcome.from_json(frames.said(frame))
        except link.LinkClosed:
            if watch.has_killed:
                said = f"run() took longer than {self._limit:g} s, and the process that scored it had to be killed."
                return Died(f"took longer than {self._limit:g} s for one run()", False, hand, said)
            return self._died(hand)

    def _next(self, stop: Stop, watch: Optional[_Deadline]) -> Optional[link.Frame]:
        """None when `stop` says so. Raises LinkClosed when the process has ended."""
        while not self._link.has_frame:
            wait = LOOK if watch is None else watch.look(LOOK)
            if self._poll.poll(wait * 1000):
                break
            if stop():
                return None
            if self._process.poll() is not None:
                raise link.LinkClosed("the process has ended")  # though something that it started may hold its end
        return self._link.receive()

    def _died(self, hand: Optional[InHand]) -> Died:
        try:
            code = self._process.wait(MERCY)
        except subprocess.TimeoutExpired:
            self.send_signal(signal.SIGKILL)  # it is no use to anybody
            self._process.wait()
            return Died("closed the file descriptors that are not its own, and had to be killed", False, hand)
        if code < 0:
            return Died(f"was ended by {_name(-code)}", -code in OUTSIDE, hand)
        return Died(f"exited with {code}", False, hand)

    def send_signal(self, number: int) -> None:
        try:
            os.killpg(self._process.pid, number)
        except (ProcessLookupError, PermissionError):
            pass  # it has ended by itself

    def interrupt(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    def dismiss(self) -> None:
        """shutdown() may take as long as a run(). Nobody waits for the end of a process that has nothing left to do."""
        ends = time.monotonic() + self._limit
        is_gone = False
        if self.is_ready:
            try:
                self._link.send(frames.STOP)
                is_gone = self._next(lambda: time.monotonic() >= ends, None) is not None
            except link.LinkClosed:
                pass  # it is killed
        self.kill(waits=not is_gone)

    def kill(self, *, waits: bool = True) -> None:
        self.send_signal(signal.SIGKILL)
        if waits:
            self._process.wait()
        else:
            threading.Thread(target=self._process.wait, name="fairlead-reaper", daemon=True).start()
        self._link.close()
        self._life.close()


class _Deadline:
    """How long the run() in hand may still take: then SIGTERM, which raises in Python code, and MERCY later SIGKILL."""

    def __init__(self, child: _Child, limit: float) -> None:
        self._child = child
        self._limit = limit
        self._ends = 0.0
        self._was_asked = False
        self.has_killed = False

    def begin(self) -> None:
        self._ends = time.monotonic() + self._limit
        self._was_asked = False

    def look(self, most: float) -> float:
        """Acts when it is time, and answers how long to wait before the next look."""
        left = self._ends - time.monotonic()
        if left <= 0:
            if not self._was_asked:
                self._child.interrupt()
                self._was_asked = True
                self._ends = time.monotonic() + MERCY
                return min(most, MERCY)
            self._child.send_signal(signal.SIGKILL)
            self.has_killed = True
            return most
        return min(most, left)


def log_path(task: Mapping[str, Any], stream: str) -> Optional[str]:
    """logs/user/stdout/NODE/process000.stdout.txt and its like (P5); makes the folder."""
    logs = task.get("logs")
    if not logs:
        return None
    folder = os.path.join(logs, "user", stream, str(task.get("node") or "node"))
    os.makedirs(folder, exist_ok=True)
    return os.path.join(folder, "process{:03d}.{}.txt".format(int(task.get("process") or 0), stream))


def _opened(path: Optional[str]) -> Optional[int]:
    return None if path is None else os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)


def _hopeless(frame: link.Frame) -> Hopeless:
    said = frames.said(frame)
    return Hopeless(said["cause"], said["message"], tuple(said.get("log_lines") or ()))


def _trouble(frame: link.Frame) -> Trouble:
    said = frames.said(frame)
    return Trouble(said["message"], said.get("cause") or "")


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
