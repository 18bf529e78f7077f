"""The worker's talk with its supervisor, on a helper thread: heartbeats out; new links, a new log file and the order to stop in.

The heartbeat comes from a thread, so it goes on while `run()` is busy in Python, and stops when the process is stopped or
the GIL is held: just what the supervisor wants to tell apart (DECISIONS 4).
"""

from __future__ import annotations

import json
import os
import select
import socket
import threading
import time
from typing import Any, Dict, List, Optional

from fairlead_scoring.lines import LineWriter
from fairlead_scoring.worker import link


class Control:
    def __init__(self, supervisor: link.Link, lines: LineWriter, *, beat_seconds: float) -> None:
        self.running_since: Optional[float] = None  # set by the loop around run()
        self.stopping = False
        self._lines = lines
        self._supervisor: Optional[link.Link] = supervisor
        self._beat_seconds = beat_seconds
        self._new_links: List[socket.socket] = []
        self._lock = threading.Lock()
        self.wake_fd, self._wake_in = os.pipe()
        os.set_blocking(self._wake_in, False)
        os.set_blocking(self.wake_fd, False)
        threading.Thread(target=self._talk, name="fairlead-control", daemon=True).start()

    def tell(self, kind: int, message: Dict[str, Any]) -> None:
        supervisor = self._supervisor
        if supervisor is None:
            return
        try:
            supervisor.send(kind, json.dumps(message, default=str).encode())
        except link.LinkClosed:
            self._supervisor = None

    def take_links(self) -> List[socket.socket]:
        """Links to fronts that have come since the last call."""
        with self._lock:
            links, self._new_links = self._new_links, []
        return links

    def adopt(self, fd: int) -> None:
        """A new supervisor has taken over; it sent this descriptor through the front."""
        self._supervisor = link.Link(socket.socket(fileno=fd))
        threading.Thread(target=self._talk, name="fairlead-control", daemon=True).start()

    def _talk(self) -> None:
        supervisor = self._supervisor
        poll = select.poll()
        if supervisor is None:
            return
        poll.register(supervisor.fileno(), select.POLLIN)
        beat_every = min(1.0, self._beat_seconds / 2)
        while supervisor is self._supervisor:
            try:
                self._beat(supervisor)
                if supervisor.has_frame or poll.poll(beat_every * 1000):
                    self._hear(supervisor.receive())
            except link.LinkClosed:
                if supervisor is self._supervisor:
                    self._supervisor = None
                self._wake()

    def _beat(self, supervisor: link.Link) -> None:
        since = self.running_since
        busy = None if since is None else round((time.monotonic() - since) * 1000)
        supervisor.send(link.BEAT, json.dumps({"busy_ms": busy}).encode())

    def _hear(self, frame: link.Frame) -> None:
        if frame.kind == link.ATTACH:
            with self._lock:
                self._new_links.append(socket.socket(fileno=frame.fds[0]))
        elif frame.kind == link.LOG:
            self._lines.turn_to(frame.fds[0])
        elif frame.kind == link.STOP:
            self.stopping = True
        self._wake()

    def _wake(self) -> None:
        try:
            os.write(self._wake_in, b"!")
        except BlockingIOError:
            pass  # it is awake already

    @property
    def orphaned(self) -> bool:
        return self._supervisor is None
