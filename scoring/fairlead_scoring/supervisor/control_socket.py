"""A Unix socket on which a supervisor is asked and told: JSON lines in, JSON lines out, one answer per line.

`{"do": "status"}`; `reload` (`"fresh": false`: without new workers where nothing has changed that concerns them); `stop`
(`"forget_secrets": true`: their folder and the keys file are removed at the end); `reopen-log` (front and workers follow a moment after the answer,
so whoever renamed the file compresses it a turn later: `delaycompress` of logrotate). A connection that ends without an answer has met
a change of supervisors: ask again. Whoever may open the socket may do all of it, so it is the owner's alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import selectors
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairlead_scoring.errors import BootFault, cause_of

LONGEST_PATH = 100  # bytes: macOS takes 103, Linux 107
LONGEST_LINE = 64 * 1024
MOST_CALLERS = 64

Answer = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class Place:
    """The listening socket and the lock that makes its owner the only one. Both are inherited from supervisor to supervisor."""

    path: str
    listener: socket.socket
    lock_fd: int

    def fds(self) -> tuple[int, int]:
        return self.listener.fileno(), self.lock_fd

    def leave(self) -> None:
        """At the end of the service. The lock goes with the process: then whoever waits for it finds the port free, too."""
        with contextlib.suppress(OSError):
            os.unlink(self.path)
        self.listener.close()


def take(path: str, lock_fd: int | None = None) -> Place:
    """Raises BootFault: the path cannot be used, or another supervisor has it. `lock_fd`: whoever started this one has taken the lock for it."""
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise BootFault(f"The control socket {path} has a path of more than {LONGEST_PATH} bytes; name a shorter one.", cause="options-invalid")
    try:
        _make_private_folder(Path(path).parent)
        if lock_fd is None:
            lock_fd = os.open(lock_of(path), os.O_RDWR | os.O_CREAT, 0o600)
        os.set_inheritable(lock_fd, False)
        fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return Place(path, _listen(path), lock_fd)
    except BlockingIOError:
        raise BootFault(f"Another supervisor runs this service already; ask it at {path}.", cause="already-running") from None
    except OSError as error:
        said = f"The control socket {path} cannot be made ({error.strerror}); name a place in a folder of yours."
        raise BootFault(said, cause=cause_of(error)) from error


def lock_of(path: str) -> str:
    """Whoever holds this file's lock runs the service."""
    return f"{path}.lock"


def _make_private_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.stat()
    if status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise BootFault(f"The folder {folder} of the control socket is open to others; it must be yours, with mode 700.", cause="options-invalid")


def _listen(path: str) -> socket.socket:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)  # of a supervisor that was killed: the lock is ours
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    os.chmod(path, 0o600)
    listener.listen(MOST_CALLERS)
    return listener


class ControlSocket:
    def __init__(self, place: Place, selector: selectors.BaseSelector, answer: Answer) -> None:
        self.place = place
        self._selector = selector
        self._answer = answer
        self._callers = 0
        place.listener.setblocking(False)
        place.listener.set_inheritable(False)
        selector.register(place.listener, selectors.EVENT_READ, self._called)

    def _called(self) -> None:
        try:
            sock, _ = self.place.listener.accept()
        except OSError:
            return
        if self._callers >= MOST_CALLERS:
            sock.close()
            return
        self._callers += 1
        sock.setblocking(False)
        held = bytearray()
        self._selector.register(sock, selectors.EVENT_READ, lambda: self._hear(sock, held))

    def _hear(self, sock: socket.socket, held: bytearray) -> None:
        try:
            data = sock.recv(LONGEST_LINE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        held += data
        *lines, rest = bytes(held).split(b"\n")
        held[:] = rest
        is_heard = all(self._reply(sock, line) for line in lines)
        if not (is_heard and data) or len(rest) > LONGEST_LINE:
            self._selector.unregister(sock)
            sock.close()
            self._callers -= 1

    def _reply(self, sock: socket.socket, line: bytes) -> bool:
        try:
            asked = json.loads(line)
            answer = self._answer(asked) if isinstance(asked, dict) else _not_understood()
        except (ValueError, RecursionError):
            answer = _not_understood()
        try:
            sock.settimeout(1.0)
            sock.sendall(json.dumps(answer).encode() + b"\n")
            sock.setblocking(False)
        except OSError:
            return False
        return True

    def close(self) -> None:
        self.place.leave()


def _not_understood() -> dict[str, Any]:
    return {"ok": False, "message": 'Each line is a JSON object such as {"do": "status"}.'}
