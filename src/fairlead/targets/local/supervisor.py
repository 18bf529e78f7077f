"""The service's supervisor: started as a process of its own, asked and told over its control socket."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from fairlead.targets.local.place import Place

ANSWERS_WITHIN = 5.0
# What a service takes over from whoever starts it: the same after a reboot as from a shell, and nothing of Fairlead's own, such as tokens.
INHERITED = re.compile(
    r"PATH|HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|LC_\w+|TZ|TMPDIR|LD_LIBRARY_PATH|DYLD_\w+|(?:https?|no|all|ftp)_proxy|(?:HTTPS?|NO|ALL|FTP)_PROXY"
    r"|SSL_CERT_(?:FILE|DIR)|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|CUDA_\w+|NVIDIA_\w+|OMP_\w+|OPENBLAS_\w+|MKL_\w+|NUMEXPR_\w+|JAVA_HOME|SPARK_HOME"
)


def start(place: Place, lock_fd: int) -> int:
    """Its process id, for whoever wants to hear of its end. It runs in its own session, and holds the lock from its first moment on."""
    output = os.open(place.output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    command = [sys.executable, "-P", "-m", "fairlead_scoring", "serve", "--options", str(place.options), "--control-lock-fd", str(lock_fd)]
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={name: value for name, value in os.environ.items() if INHERITED.fullmatch(name)},
            cwd=place.folder,
            pass_fds=(lock_fd,),
            start_new_session=True,
        )
    finally:
        os.close(output)
    process.returncode = 0  # it outlives this program; while that lives, Reaper sees to it
    return process.pid


def ask(place: Place, command: dict[str, Any], *, patience: float = 0.0) -> dict[str, Any] | None:
    """None when nobody answers. `patience`: seconds that a supervisor which holds the lock may take to begin listening."""
    give_up = time.monotonic() + patience
    while True:
        answer = _ask_once(place.socket, command)
        if answer is not None or time.monotonic() > give_up or not place.is_running:
            return answer
        pause(0.02)


def lock(place: Place, seconds: float) -> int | None:
    """As Place.lock(), once whoever holds it has let go."""
    give_up = time.monotonic() + seconds
    while (fd := place.lock()) is None and time.monotonic() < give_up:
        pause(0.02)
    return fd


def wait_until_gone(place: Place, seconds: float) -> bool:
    give_up = time.monotonic() + seconds
    while place.is_running:
        if time.monotonic() > give_up:
            return False
        pause(0.02)
    return True


def pause(seconds: float) -> None:
    """There is nothing to wait on: another process holds a lock, or writes to a file."""
    threading.Event().wait(seconds)


class Reaper:
    """Supervisors that this program started and that have ended leave a zombie each until somebody asks."""

    def __init__(self) -> None:
        self._pids: set[int] = set()
        self._lock = threading.Lock()

    def add(self, pid: int) -> None:
        with self._lock:
            self._pids.add(pid)

    def reap(self) -> None:
        with self._lock:
            self._pids = {pid for pid in self._pids if _is_our_living_child(pid)}


def _is_our_living_child(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG) == (0, 0)
    except ChildProcessError:
        return False


def _ask_once(path: Path, command: dict[str, Any]) -> dict[str, Any] | None:
    with contextlib.suppress(OSError, ValueError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(ANSWERS_WITHIN)
        sock.connect(str(path))
        sock.sendall(json.dumps(command).encode() + b"\n")
        with sock.makefile("rb") as answers:
            answer = json.loads(answers.readline())
            return answer if isinstance(answer, dict) else None
    return None
