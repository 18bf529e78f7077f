"""The front process, and its successor while one drains: started, told of workers, watched, replaced."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fairlead_scoring.errors import BootFault
from fairlead_scoring.lines import LineWriter
from fairlead_scoring.supervisor import handoff
from fairlead_scoring.supervisor.child import Control, FrontRecord, WorkerRecord, send_signal, start_front
from fairlead_scoring.supervisor.control_socket import Place
from fairlead_scoring.supervisor.crew import Crew, new_link
from fairlead_scoring.supervisor.front_settings import front_settings, is_loopback
from fairlead_scoring.supervisor.options import ServeOptions
from fairlead_scoring.worker import link

SILENCE = 15.0
STEADY = 5.0  # one that has run this long is replaced at once; a younger one with back-off
BACKOFF_MOST = 30.0
NEWS_AT_LEAST_EVERY = 5.0

Register = Callable[[Control, Callable[[link.Frame], None], Callable[[], None]], None]


class Fronts:
    def __init__(self, options: ServeOptions, lines: LineWriter, listeners: list[socket.socket], crew: Crew, register: Register) -> None:
        self._options = options
        self._lines = lines
        self._listeners = listeners
        self._on_loopback = is_loopback(listeners[0])  # asked now: at a stop they are closed, and some reload may still come to its end
        self._crew = crew
        self._register = register
        self.records: list[FrontRecord] = []
        self.folder = Path()
        self.place: Place | None = None  # of the control socket
        self.changes: Callable[[], dict[str, Any]] = dict  # what was tried last and what serves, also for the next supervisor
        self._ending = False
        self._was_up = False
        self._backoff = 0.0
        self._start_at: float | None = None
        self._last_news = ""
        self._last_news_at = 0.0

    def start(self) -> None:
        ready = self._crew.ready_ones()
        told = {
            "settings": self._settings(self._options),
            "options": self._options.to_json(),
            "folder": str(self.folder),
            "await_workers": len(ready),
            "place": {"path": self.place.path, "fds": self.place.fds()} if self.place else None,
        }
        self._add(start_front(told, self._listeners, self._lines.fd, self.place.fds() if self.place else ()))

    def configure(self, options: ServeOptions) -> None:
        """From now on, for fronts that run and for those to come."""
        self._options = options
        told = {"settings": self._settings(options), "options": options.to_json()}
        for front in self.records:
            front.control.tell(link.SETTINGS, told)

    def _settings(self, options: ServeOptions) -> dict[str, Any]:
        return front_settings(options, self._lines, on_loopback=self._on_loopback)

    def adopt(self, taken: handoff.Handoff) -> None:
        """One that an earlier supervisor started; it has its links to the workers."""
        self._was_up = True
        control = Control(socket.socket(fileno=taken.front_fd))
        self._add(FrontRecord(pid=taken.front_pid, control=control, is_child=taken.front_is_child, is_up=True, is_linked=True))

    def _add(self, front: FrontRecord) -> None:
        self.records.append(front)
        self._register(front.control, lambda frame: self._said(front, frame), lambda: self._closed(front))

    # Workers for the fronts.
    @property
    def are_linked(self) -> bool:
        """Whether a front has been given the ready workers: only then does the service answer."""
        return any(front.is_linked for front in self.records)

    def attach(self, record: WorkerRecord) -> None:
        for front in self.records:
            if front.is_up and not front.is_draining:
                self._attach_to(front, record)

    def _attach_to(self, front: FrontRecord, record: WorkerRecord) -> None:
        told = {"worker": record.ident, "pid": record.pid, "generation": record.generation, "revision": record.revision}
        sock = new_link(record)
        front.control.tell(link.ADD, {**told, "contract": record.contract, "spec": self._crew.spec_of(record)}, fd=sock.fileno())
        sock.close()

    def retire(self, ident: str) -> None:
        for front in self.records:
            front.retiring.add(ident)
            front.control.tell(link.RETIRE, {"worker": ident})
        self._check_retired(ident)

    def _check_retired(self, ident: str) -> None:
        """While one front drains there are two, and the worker goes when both have its last answers."""
        if all(ident not in front.retiring for front in self.records):
            self._crew.retired(ident)

    def gone(self, ident: str) -> None:
        for front in self.records:
            front.control.tell(link.GONE, {"worker": ident})

    # What a front says.
    def _said(self, front: FrontRecord, frame: link.Frame) -> None:
        front.last_beat = time.monotonic()
        told: dict[str, Any] = json.loads(bytes(frame.payload)) if frame.payload else {}
        if frame.kind == link.UP:
            self._up(front)
        elif frame.kind == link.RETIRED:
            front.retiring.discard(told["worker"])
            self._check_retired(told["worker"])
        elif frame.kind == link.FAILED:
            front.failure = told
        elif frame.kind == link.OVERDUE:
            self._crew.overdue(told["worker"], told["ms"])
        elif frame.kind == link.RECOVERED:
            self._crew.recovered(told["worker"])

    def _up(self, front: FrontRecord) -> None:
        self._was_up = True
        if not front.is_linked:
            front.is_up = front.is_linked = True
            for record in self._crew.ready_ones():
                self._attach_to(front, record)
            self._last_news = ""  # it accepts connections when it has heard some
        for other in self.records:
            if other is not front and other.is_up and not other.is_draining:
                other.is_draining = True
                other.control.tell(link.DRAIN, {"grace": self._options.drain_grace})

    @property
    def is_settled(self) -> bool:
        """Whether none is being started: only then can this supervisor be replaced without one being forgotten."""
        return self._start_at is None and bool(self.records) and all(front.is_up for front in self.records)

    @property
    def _serving_pid(self) -> int | None:
        return next((front.pid for front in reversed(self.records) if front.is_up and not front.is_draining), None)

    # How a front ends.
    def drain(self, grace: float) -> None:
        """All of them, for good."""
        self._ending = True
        for front in self.records:
            front.is_draining = True
            front.control.tell(link.DRAIN, {"grace": grace})

    def _closed(self, front: FrontRecord) -> None:
        front.control.close()
        if not front.is_child and front in self.records:
            self._ended(front, "ended")

    def child_ended(self, pid: int, how: str) -> None:
        for front in [front for front in self.records if front.pid == pid]:
            with contextlib.suppress(OSError, link.LinkClosed):
                for frame in front.control.inbox.receive(front.control.sock):  # its last words
                    self._said(front, frame)
            self._ended(front, how)

    def _ended(self, front: FrontRecord, how: str) -> None:
        self.records.remove(front)
        for ident in front.retiring:
            self._check_retired(ident)
        if self._ending or front.is_draining:
            return
        if front.failure is not None and not self._was_up:
            self._crew.boot_failure = front.failure
            return
        why = f" ({front.failure['message']})" if front.failure else ""
        self._lines.say("error", "supervisor", f"The front (pid {front.pid}) {how}{why}; a new one is started, models stay loaded.")
        now = time.monotonic()
        self._backoff = 0.0 if now - front.started > STEADY else min(BACKOFF_MOST, max(0.25, 2 * self._backoff))
        self._start_at = now + self._backoff
        self.look_after(now)

    def start_again(self, now: float) -> None:
        """Models stay loaded while there is no front, however long that takes."""
        try:
            self.start()
        except BootFault as fault:
            self._lines.say("error", "supervisor", f"{fault} It is tried again.")
            self._backoff = min(BACKOFF_MOST, max(0.25, 2 * self._backoff))
            self._start_at = now + self._backoff

    def kill_all(self) -> None:
        self._ending = True
        for front in self.records:
            send_signal(front.pid, signal.SIGKILL)

    def look_after(self, now: float) -> None:
        if self._start_at is not None and now >= self._start_at and not self._ending:
            self._start_at = None
            self.start_again(now)
        for front in self.records:
            allowed = SILENCE + (self._options.limits.get("deadline", 60.0) if front.is_draining else 0.0)
            if now - front.last_beat > allowed:
                front.last_beat = now
                self._lines.say("error", "supervisor", f"The front (pid {front.pid}) has been silent for {allowed:.0f} s and is replaced.")
                send_signal(front.pid, signal.SIGKILL)

    def tell_news(self) -> None:
        """What /status, /readyz and /metrics say about processes: at each change, and every few seconds."""
        news = {**self._crew.told(), **self.changes(), "supervisor_pid": os.getpid(), "front_pid": self._serving_pid}
        said = json.dumps({**news, "workers": [{**worker, "resident": None} for worker in news["workers"]]})
        now = time.monotonic()
        if said != self._last_news or now - self._last_news_at > NEWS_AT_LEAST_EVERY:
            self._last_news, self._last_news_at = said, now
            for front in self.records:
                front.control.tell(link.NEWS, news)
