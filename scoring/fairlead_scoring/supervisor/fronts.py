"""The front process, and its successor while one drains: started, told of workers, watched, replaced."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fairlead_scoring.lines import LineWriter
from fairlead_scoring.supervisor import handoff
from fairlead_scoring.supervisor.child import Control, FrontRecord, WorkerRecord, send_signal, start_front
from fairlead_scoring.supervisor.crew import Crew, new_link
from fairlead_scoring.supervisor.front_settings import front_settings
from fairlead_scoring.supervisor.options import ServeOptions
from fairlead_scoring.worker import link

SILENCE = 15.0
NEWS_AT_LEAST_EVERY = 5.0

Register = Callable[[Control, Callable[[link.Frame], None], Callable[[], None]], None]


class Fronts:
    def __init__(self, options: ServeOptions, lines: LineWriter, listeners: list[socket.socket], crew: Crew, register: Register) -> None:
        self._options = options
        self._lines = lines
        self._listeners = listeners
        self._crew = crew
        self._register = register
        self.records: list[FrontRecord] = []
        self.folder = Path()
        self._ending = False
        self._last_news = ""
        self._last_news_at = 0.0

    def start(self) -> None:
        ready = self._crew.ready_ones()
        told = {
            "settings": front_settings(self._options, self._listeners, self._lines),
            "options": self._options.to_json(),
            "folder": str(self.folder),
            "await_workers": len(ready),
        }
        self._add(start_front(told, self._listeners, self._lines.fd))

    def adopt(self, taken: handoff.Handoff) -> None:
        """One that an earlier supervisor started; it has its links to the workers."""
        control = Control(socket.socket(fileno=taken.front_fd))
        self._add(FrontRecord(pid=taken.front_pid, control=control, is_child=taken.front_is_child, is_up=True, is_linked=True))

    def _add(self, front: FrontRecord) -> None:
        self.records.append(front)
        self._register(front.control, lambda frame: self._said(front, frame), lambda: self._closed(front))

    @property
    def serving(self) -> FrontRecord | None:
        """The one that accepts connections, once it is up and no other is on its way in or out."""
        if len(self.records) == 1 and self.records[0].is_up and not self.records[0].is_draining:
            return self.records[0]
        return None

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
            front.control.tell(link.RETIRE, {"worker": ident})

    # What a front says.
    def _said(self, front: FrontRecord, frame: link.Frame) -> None:
        front.last_beat = time.monotonic()
        told: dict[str, Any] = json.loads(bytes(frame.payload)) if frame.payload else {}
        if frame.kind == link.UP:
            self._up(front)
        elif frame.kind == link.RETIRED:
            self._crew.retired(told["worker"])
        elif frame.kind == link.OVERDUE:
            self._crew.overdue(told["worker"], told["ms"])
        elif frame.kind == link.RECOVERED:
            self._crew.recovered(told["worker"])

    def _up(self, front: FrontRecord) -> None:
        if not front.is_linked:
            front.is_up = front.is_linked = True
            for record in self._crew.ready_ones():
                self._attach_to(front, record)
        for other in self.records:
            if other is not front and other.is_up and not other.is_draining:
                other.is_draining = True
                other.control.tell(link.DRAIN, {"grace": self._options.drain_grace})

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
            self._ended(front, how)

    def _ended(self, front: FrontRecord, how: str) -> None:
        self.records.remove(front)
        if not self._ending and not front.is_draining:
            self._lines.say("error", "supervisor", f"The front (pid {front.pid}) {how}; a new one is started, models stay loaded.")
            self.start()

    def kill_all(self) -> None:
        self._ending = True
        for front in self.records:
            send_signal(front.pid, signal.SIGKILL)

    def look_after(self, now: float) -> None:
        for front in self.records:
            allowed = SILENCE + (self._options.limits.get("deadline", 60.0) if front.is_draining else 0.0)
            if now - front.last_beat > allowed:
                front.last_beat = now
                self._lines.say("error", "supervisor", f"The front (pid {front.pid}) has been silent for {allowed:.0f} s and is replaced.")
                send_signal(front.pid, signal.SIGKILL)

    @property
    def _front_pid(self) -> int | None:
        return next((front.pid for front in reversed(self.records) if front.is_up), None)

    def tell_news(self) -> None:
        """What /status, /readyz and /metrics say about processes: at each change, and every few seconds."""
        news = {**self._crew.told(), "supervisor_pid": os.getpid(), "front_pid": self._front_pid}
        said = json.dumps({**news, "workers": [{**worker, "resident": None} for worker in news["workers"]]})
        now = time.monotonic()
        if said != self._last_news or now - self._last_news_at > NEWS_AT_LEAST_EVERY:
            self._last_news, self._last_news_at = said, now
            for front in self.records:
                front.control.tell(link.NEWS, news)
