"""The process tree: one front, its workers, and this supervisor, which holds the listening sockets and outlives both.

One selector loop; nothing here waits for a child. Signals: TERM/INT drain and end, HUP starts a new generation of workers,
USR2 replaces supervisor and front by freshly started ones on the same sockets, workers untouched. A control socket does the same.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from fairlead_scoring.errors import RuntimeFault
from fairlead_scoring.lines import LineWriter
from fairlead_scoring.supervisor import handoff
from fairlead_scoring.supervisor.attempt import failure_of
from fairlead_scoring.supervisor.banner import banner
from fairlead_scoring.supervisor.changes import Changes
from fairlead_scoring.supervisor.child import PACKAGE, Control, WorkerRecord, adopted, end_of, send_signal
from fairlead_scoring.supervisor.commands import Commands
from fairlead_scoring.supervisor.control_socket import ControlSocket, Place
from fairlead_scoring.supervisor.crew import Crew
from fairlead_scoring.supervisor.fronts import Fronts
from fairlead_scoring.supervisor.log_file import LogFile
from fairlead_scoring.supervisor.options import ServeOptions
from fairlead_scoring.supervisor.revision import Revision, prepare
from fairlead_scoring.worker import link

INTERRUPT_GRACE = 0.3
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2, signal.SIGCHLD)


class Supervisor:
    def __init__(self, options: ServeOptions, lines: LineWriter, listeners: list[socket.socket], folder: Path, place: Place | None = None) -> None:
        self._lines = lines
        self._listeners = listeners
        self._host, self.port = listeners[0].getsockname()[:2]  # asked now: while the service drains they are closed, and its status is asked all the same
        self._selector = selectors.DefaultSelector()
        self._folder = folder  # of this service: working directories of its workers, and the lock that makes this supervisor the only one
        self._lock = handoff.lock(folder)
        self._crew = Crew(options, lines)
        self._fronts = Fronts(options, lines, listeners, self._crew, self._register)
        self._fronts.folder = self._folder
        self._fronts.place = place
        self._changes = Changes(options, lines, self._crew, self._begin, self._configured)
        self._fronts.changes = lambda: {"last": self._changes.last.told(), "serving": self._changes.serving}
        self._log = LogFile(options, lines, self._controls)
        self._crew.on_started = self._watch_worker
        self._crew.last_lines = lambda worker: self._log.last_lines(worker, self._changes.last.began)
        self._crew.attach = self._fronts.attach
        self._crew.retire = self._fronts.retire
        self._crew.gone = self._fronts.gone
        self._control = ControlSocket(place, self._selector, Commands(self, self._crew, self._changes, self._log).answer) if place else None
        self._generation = 0
        self._stopping: float | None = None
        self._forgets_secrets = False
        self._force_at = 0.0
        self._exit_code: int | None = None
        self._has_taken_over = False
        self._told_ready = False
        self._wants_successor = False
        self._signals = _signal_pipe()
        self._selector.register(self._signals, selectors.EVENT_READ, self._signalled)

    def run(self) -> int:
        try:
            if not self._has_taken_over:
                self._announce()
                self._fronts.start()
                self._changes.start()
            while self._exit_code is None:
                self._turn()
            return self._exit_code
        except RuntimeFault as fault:
            self._changes.boot_failed(failure_of(fault))
            self._lines.say("error", "supervisor", str(fault))
            sys.stderr.write(f"{fault}\n")
            return fault.exit_code
        finally:
            self._end_everything()

    # One turn of the loop.
    def _turn(self) -> None:
        wait = max(0.0, min(self._crew.next_timer() - time.monotonic(), 0.5))
        turned = time.monotonic()
        for key, _ in self._selector.select(wait):
            key.data()
        now = time.monotonic()
        if now - turned > wait + 1.0:
            self._forgive(now - turned - wait)  # this process stood still: silence was ours, not theirs
        self._reap()
        self._crew.look_after(now)
        self._fronts.look_after(now)
        self._changes.look_after()
        self._log.look_after()
        self._fronts.tell_news()
        self._check_boot()
        self._check_stopping(now)
        if self._wants_successor:
            self._replace_self()

    def _forgive(self, lag: float) -> None:
        for worker in self._crew.workers.values():
            worker.last_beat += lag
        for front in self._fronts.records:
            front.last_beat += lag

    # Workers.
    def _begin(self, options: ServeOptions) -> None:
        self._generation += 1
        self._crew.begin(prepare(options, self._generation, self._folder), options)

    def _configured(self, options: ServeOptions) -> None:
        """These options serve from now on; workers that know them take over next."""
        self._lines.level = options.log_level
        self._log.most_bytes = options.log_max_bytes
        self._fronts.configure(options)

    def _controls(self) -> Iterator[Control]:
        """The links to all that write to the log."""
        yield from (record.control for record in self._crew.workers.values())
        yield from (record.control for record in self._fronts.records)

    def _watch_worker(self, record: WorkerRecord) -> None:
        self._register(record.control, lambda frame: self._worker_said(record, frame), lambda: self._worker_closed(record))
        if record.output_fd is not None:
            self._selector.register(record.output_fd, selectors.EVENT_READ, lambda: self._worker_printed(record))

    def _worker_said(self, record: WorkerRecord, frame: link.Frame) -> None:
        record.last_beat = time.monotonic()
        if frame.kind == link.READY:
            self._crew.ready(record, json.loads(bytes(frame.payload)))
        elif frame.kind == link.FAILED:
            self._crew.failed(record, json.loads(bytes(frame.payload)))

    def _worker_closed(self, record: WorkerRecord) -> None:
        record.control.close()
        if not record.is_child and record.ident in self._crew.workers:
            send_signal(record.pid, signal.SIGKILL)
            self._crew.ended(record, "ended")

    def _worker_printed(self, record: WorkerRecord) -> None:
        """Lines that did not go through Python's sys.stdout: C code, crashes."""
        fd = record.output_fd
        assert fd is not None
        with contextlib.suppress(BlockingIOError):
            data = os.read(fd, 65536)
            for line in data.decode("utf-8", "replace").splitlines():
                record.last_lines.append(line)
                self._lines.say("warning", "worker", line, worker=record.ident)
            if not data:
                self._selector.unregister(fd)
                os.close(fd)
                record.output_fd = None

    # Children, signals, selector.
    def _register(self, control: Control, hear: Callable[[link.Frame], None], closed: Callable[[], None]) -> None:
        def readable() -> None:
            try:
                for frame in control.inbox.receive(control.sock):
                    hear(frame)
            except BlockingIOError:
                return
            except (link.LinkClosed, OSError):
                self._selector.unregister(control.sock)
                closed()

        self._selector.register(control.sock, selectors.EVENT_READ, readable)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._child_ended(pid, end_of(status))

    def _child_ended(self, pid: int, how: str) -> None:
        for record in list(self._crew.workers.values()):
            if record.pid == pid:
                self._drain_output(record)
                self._crew.ended(record, how)
        self._fronts.child_ended(pid, how)
        self._changes.child_ended(pid, how)

    def _drain_output(self, record: WorkerRecord) -> None:
        """What it said last: its words on the link, and its raw output."""
        with contextlib.suppress(OSError, link.LinkClosed):
            for frame in record.control.inbox.receive(record.control.sock):
                self._worker_said(record, frame)
        if record.output_fd is not None:
            self._worker_printed(record)

    def _signalled(self) -> None:
        for number in os.read(self._signals, 256):
            if number == signal.SIGHUP and self._stopping is None and self._crew.active:
                self._changes.ask()
            elif number == signal.SIGUSR2:
                self._wants_successor = True
            elif number in (signal.SIGTERM, signal.SIGINT):
                self._stop(INTERRUPT_GRACE if number == signal.SIGINT else self._options.drain_grace)

    # Start and end.
    @property
    def _options(self) -> ServeOptions:
        return self._changes.options

    @property
    def is_linked(self) -> bool:
        return self._fronts.are_linked

    @property
    def has_served(self) -> bool:
        return self._told_ready

    @property
    def is_stopping(self) -> bool:
        return self._stopping is not None

    @property
    def url(self) -> str:
        host = self._host
        shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104  (to show, not to bind)
        return f"{'https' if self._options.tls_cert else 'http'}://{shown}:{self.port}"

    def _announce(self) -> None:
        if not self._options.quiet:
            self._lines.say("info", "supervisor", f"Listening on {self.url}", pid=os.getpid())

    def _say_ready(self) -> None:
        self._told_ready = True
        self._lines.say("info", "supervisor", "Ready.")
        if self._options.banner:
            contract = self._crew.ready_ones()[0].contract or {}
            prefix = f"/{self._options.prefix.strip('/')}" if self._options.prefix.strip("/") else ""
            text = banner(self.url + prefix, contract, has_keys=self._options.keys is not None, notices=self._options.notices)
            sys.stdout.write(text)
            sys.stdout.flush()

    def _check_boot(self) -> None:
        failure = self._crew.boot_failure
        if failure is not None and self._stopping is None:
            on_screen = os.isatty(2) and os.isatty(self._lines.fd)  # the log has just said it in the same place
            said = ["" if on_screen else failure["message"], failure.get("frames", ""), *failure.get("last_lines", [])]
            sys.stderr.write("\n".join(part.rstrip() for part in said if part) + "\n")
            self._changes.boot_failed(failure)
            self._exit_code = failure["exit_code"]
        elif self._crew.active and self._fronts.are_linked and not self._told_ready:
            self._say_ready()

    def stop(self, *, forget_secrets: bool) -> None:
        """As SIGTERM does it; asked twice, it is still the one end."""
        self._forgets_secrets = self._forgets_secrets or forget_secrets
        if self._stopping is None:
            self._stop(self._options.drain_grace)

    def _stop(self, grace: float) -> None:
        if self._stopping is not None:
            self._exit_code = 0 if self._exit_code is None else self._exit_code
            return
        self._stopping = time.monotonic()
        self._force_at = self._stopping + grace + self._options.limits.get("deadline", 60.0) + 2.0
        for listener in self._listeners:
            listener.close()
        self._fronts.drain(grace)

    def _check_stopping(self, now: float) -> None:
        if self._stopping is None:
            return
        if now > self._force_at:
            self._exit_code = 0
        elif not self._fronts.records:
            for record in self._crew.workers.values():
                if record.state != "stopping":
                    self._crew.stop(record)
            if not self._crew.workers:
                self._exit_code = 0

    def _end_everything(self) -> None:
        self._fronts.kill_all()
        self._crew.kill_all()
        deadline = time.monotonic() + 2.0
        while (self._fronts.records or self._crew.workers) and time.monotonic() < deadline:
            self._selector.select(0.02)
            self._reap()
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._forgets_secrets:
            self._forget_secrets()
        self._lines.flush()
        if self._control is not None:
            self._control.close()

    def _forget_secrets(self) -> None:
        if self._options.secrets is not None:
            shutil.rmtree(self._options.secrets, ignore_errors=True)
        if self._options.keys is not None:
            with contextlib.suppress(OSError):
                os.unlink(self._options.keys)

    # Taking over.
    def take_over(self, taken: handoff.Handoff) -> None:
        """Everything that an earlier supervisor left running."""
        self._has_taken_over = self._told_ready = True
        self._fronts.adopt(taken)
        for told in taken.workers:
            record = adopted(told)
            self._crew.adopt(record, Revision(**told["spec"]))
            self._watch_worker(record)
        self._generation = self._tidied_folder()
        self._lines.say("info", "supervisor", "A new supervisor has taken over.", pid=os.getpid(), workers=len(taken.workers))
        if taken.replaces_front:
            self._fronts.start_again(time.monotonic())
        self._changes.take_over(taken.last, taken.serving)

    def _tidied_folder(self) -> int:
        """The highest generation there was; what an earlier supervisor had begun and not brought to serve is removed."""
        highest = self._crew.active
        for work in self._folder.glob("generation-*"):
            generation = int(work.name.rpartition("-")[2])
            highest = max(highest, generation)
            if generation not in self._crew.revisions:
                shutil.rmtree(work, ignore_errors=True)
        return highest

    def _replace_self(self) -> None:
        """Become a freshly loaded supervisor: same pid, same children, same sockets; then a new front takes over from the old.

        Signals wait until the new program has its handlers, where a SIGTERM between would kill it. Those that came before are heard here: nobody else would.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        with contextlib.suppress(BlockingIOError):
            self._signalled()
        if self._stopping is not None:
            self._wants_successor = False
        if self._stopping is not None or not (self._fronts.is_settled and self._crew.is_settled and self._changes.is_settled):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            return  # later, when nothing is being started
        everything = handoff.of(
            options=self._options, listeners=self._listeners, log_fd=self._lines.fd, folder=str(self._folder),
            front=self._fronts.records[-1], workers=[(record, self._crew.spec_of(record)) for record in self._crew.ready_ones()],
        )  # fmt: skip
        left = handoff.leave(replace(everything, **handoff.kept(self._fronts.place), **self._fronts.changes()))
        self._lines.flush()
        os.execv(sys.executable, [sys.executable, PACKAGE, "serve", "--adopt-fd", str(left)])  # noqa: S606  (ourselves)


def _signal_pipe() -> int:
    """A descriptor that becomes readable with the number of each signal."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in SIGNALS:
        signal.signal(number, lambda _number, _frame: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    return reader
