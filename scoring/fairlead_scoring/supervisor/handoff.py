"""What one supervisor leaves to the next: after its own re-exec (SIGUSR2), or when the front replaces one that was killed."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from typing import Any

from fairlead_scoring.supervisor.options import ServeOptions
from fairlead_scoring.worker.link import in_memfd


@dataclass(kw_only=True)
class Handoff:
    """Descriptors are numbers in the receiving process. Workers: id, pid, generation, revision, contract, fd."""

    options: ServeOptions
    listener_fds: list[int]
    log_fd: int
    front_pid: int
    front_fd: int
    workers: list[dict[str, Any]]
    revision: dict[str, Any] | None = None
    folder: str | None = None
    are_children: bool = False
    replaces_front: bool = False
    counts: dict[str, Any] = field(default_factory=dict)


def leave(handoff: Handoff) -> int:
    """A descriptor that holds all of it, to be inherited."""
    fd = in_memfd([json.dumps({**asdict(handoff), "options": handoff.options.to_json()}).encode()])
    os.lseek(fd, 0, os.SEEK_SET)
    os.set_inheritable(fd, True)
    return fd


def receive(fd: int) -> Handoff:
    with os.fdopen(fd, "rb") as file:
        told = json.loads(file.read())
    told["options"] = ServeOptions.from_json(told["options"])
    return Handoff(**told)
