"""When the supervisor has been killed, the front starts the next one and hands it everything that still runs."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fairlead_scoring.front.remote_worker import RemoteWorker
from fairlead_scoring.supervisor import handoff
from fairlead_scoring.supervisor.options import ServeOptions
from fairlead_scoring.worker import link

PACKAGE = str(Path(__file__).resolve().parent.parent)


class Resurrection:
    def __init__(self, told: dict[str, Any], listeners: list[socket.socket]) -> None:
        self._told = told
        self._listeners = listeners

    def start(self, workers: Iterable[RemoteWorker], status: dict[str, Any]) -> socket.socket:
        """The front's end of the link to the new supervisor. `status`: what the old one told of last."""
        ours, theirs = link.pair()
        kept = [theirs]
        entries = []
        for worker in workers:
            supervisor_end, worker_end = link.pair()
            worker.tell(link.CONTROL, fd=worker_end.fileno())
            worker_end.close()
            kept.append(supervisor_end)
            entries.append({**worker.told, "fd": supervisor_end.fileno()})
        left = handoff.leave(self._handoff(theirs.fileno(), entries, status))
        place: dict[str, Any] = self._told.get("place") or {"fds": ()}
        fds = [sock.fileno() for sock in kept] + [listener.fileno() for listener in self._listeners] + [left, self._told["log_fd"], *place["fds"]]
        subprocess.Popen([sys.executable, PACKAGE, "serve", "--adopt-fd", str(left)], pass_fds=fds, stdin=subprocess.DEVNULL)
        os.close(left)
        for sock in kept:
            with contextlib.suppress(OSError):
                sock.close()
        return ours

    def _handoff(self, front_fd: int, workers: list[dict[str, Any]], status: dict[str, Any]) -> handoff.Handoff:
        return handoff.Handoff(
            options=ServeOptions.from_json(self._told["options"]),
            listener_fds=[listener.fileno() for listener in self._listeners],
            log_fd=self._told["log_fd"],
            front_pid=os.getpid(),
            front_fd=front_fd,
            workers=workers,
            folder=self._told["folder"],
            place=self._told.get("place"),
            last=status.get("last", {}),
            serving=status.get("serving", {}),
        )
