"""An engine behind SSH: each connection is one `ssh HOST docker system dial-stdio`, as the Docker client does it.

Keys, ports, jump hosts and known hosts are the ssh client's affair (~/.ssh/config). The engine's library would want a second SSH implementation.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import weakref
from pathlib import Path
from urllib.parse import urlsplit

from fairlead.errors import UsageError

FLAGS = ("-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-T")


class Bridge:
    """A Unix socket, for this process alone, whose other end is the engine's. It ends with this object."""

    def __init__(self, url: str) -> None:
        """Raises UsageError when there is no ssh client."""
        if shutil.which("ssh") is None:
            raise UsageError(f"{url} needs the ssh client, which is not installed here.")
        self.command = ssh_command(url)
        self._folder = tempfile.mkdtemp(prefix="fairlead-ssh-")
        self.path = Path(self._folder) / "engine.sock"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen(16)
        self.last_words = Path(self._folder) / "ssh.log"
        self._thread = threading.Thread(target=_accept, args=(self._listener, self.command, self.last_words), name="ssh-bridge", daemon=True)
        self._thread.start()
        self.close = weakref.finalize(self, _end, self._listener, self._folder)

    def why(self) -> str:
        """What the ssh client said last."""
        with contextlib.suppress(OSError):
            lines = self.last_words.read_text(encoding="utf-8", errors="replace").splitlines()
            return lines[-1].strip() if lines else ""
        return ""


def ssh_command(url: str) -> list[str]:
    """`ssh://[user@]host[:port]`."""
    parts = urlsplit(url)
    if not parts.hostname or parts.hostname.startswith("-") or (parts.username or "").startswith("-"):
        raise UsageError(f"{url} names no host; write ssh://user@host or ssh://user@host:port.")
    user = ("-l", parts.username) if parts.username else ()
    port = ("-p", str(parts.port)) if parts.port else ()
    return ["ssh", *FLAGS, *user, *port, "--", parts.hostname, "docker", "system", "dial-stdio"]


def _accept(listener: socket.socket, command: list[str], last_words: Path) -> None:
    running: list[subprocess.Popen[bytes]] = []
    while True:
        try:
            caller, _ = listener.accept()
        except OSError:
            break
        running = [process for process in running if process.poll() is None]
        with caller, contextlib.suppress(OSError), last_words.open("wb") as words:
            os.fchmod(words.fileno(), 0o600)
            running.append(subprocess.Popen(command, stdin=caller.fileno(), stdout=caller.fileno(), stderr=words, start_new_session=True))
    for process in running:
        process.terminate()
        process.wait()


def _end(listener: socket.socket, folder: str) -> None:
    with contextlib.suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    shutil.rmtree(folder, ignore_errors=True)
