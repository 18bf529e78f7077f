"""What one supervisor leaves to the next: after its own re-exec (SIGUSR2), or when the front replaces one that was killed."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fairlead_scoring.supervisor.child import Control, FrontRecord, WorkerRecord
from fairlead_scoring.supervisor.control_socket import Place
from fairlead_scoring.supervisor.options import ServeOptions
from fairlead_scoring.worker.link import DRAIN, in_memfd


@dataclass(kw_only=True)
class Handoff:
    """Descriptors are numbers in the receiving process. Workers: id, pid, generation, revision, contract, fd."""

    options: ServeOptions
    listener_fds: list[int]
    log_fd: int
    front_pid: int
    front_fd: int
    workers: list[dict[str, Any]]
    folder: str
    front_is_child: bool = False  # workers say so each for itself
    replaces_front: bool = False
    place: dict[str, Any] | None = None  # of the control socket: its path, and the descriptors of listener and lock
    last: dict[str, Any] = field(default_factory=dict)  # attempt
    serving: dict[str, Any] = field(default_factory=dict)


def of(
    *,
    options: ServeOptions,
    listeners: list[socket.socket],
    log_fd: int,
    folder: str,
    front: FrontRecord,
    workers: list[tuple[WorkerRecord, dict[str, Any]]],
) -> Handoff:
    """For a supervisor that replaces itself: everything stays its own child, every descriptor survives the exec."""
    listener_fds = [listener.fileno() for listener in listeners]
    front_fd = front.control.sock.fileno()
    left = [{**_left(record), "spec": spec} for record, spec in workers]
    fds = [one[name] for one in left for name in ("fd", "output_fd") if one[name] is not None]
    for fd in (*fds, *listener_fds, front_fd, log_fd):
        os.set_inheritable(fd, True)
    return Handoff(
        options=options,
        listener_fds=listener_fds,
        log_fd=log_fd,
        front_pid=front.pid,
        front_fd=front_fd,
        front_is_child=front.is_child,
        workers=left,
        folder=folder,
        replaces_front=True,
    )


def kept(place: Place | None) -> dict[str, Any]:
    """The control socket's part of a handoff; its descriptors survive the exec, too."""
    for fd in place.fds() if place else ():
        os.set_inheritable(fd, True)
    return {"place": {"path": place.path, "fds": place.fds()} if place else None}


def place_of(taken: Handoff) -> Place | None:
    """What an earlier supervisor left of its control socket."""
    if taken.place is None:
        return None
    listen_fd, lock_fd = taken.place["fds"]
    os.set_inheritable(lock_fd, False)
    return Place(taken.place["path"], socket.socket(fileno=listen_fd), lock_fd)


def _left(record: WorkerRecord) -> dict[str, Any]:
    return {
        "worker": record.ident,
        "pid": record.pid,
        "generation": record.generation,
        "revision": record.revision,
        "contract": record.contract,
        "fd": record.control.sock.fileno(),
        "output_fd": record.output_fd,
        "is_child": record.is_child,
    }


def lock(folder: Path) -> int:
    """The service's lock, held while the descriptor is open. Raises BlockingIOError when another supervisor has it."""
    fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise
    return fd


def is_alone(taken: Handoff) -> bool:
    """False when another supervisor has taken the service over already: two fronts were up, and each started one."""
    try:
        os.close(lock(Path(taken.folder)))
    except BlockingIOError:
        return False
    return True


def send_home(taken: Handoff) -> None:
    """Let the front that called finish what it has; the other one serves."""
    Control(socket.socket(fileno=taken.front_fd)).tell(DRAIN, {"grace": taken.options.drain_grace})


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
