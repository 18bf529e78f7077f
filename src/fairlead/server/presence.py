"""One server per state folder: who holds it, and where it answers."""

from __future__ import annotations

import fcntl
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fairlead import __version__, places
from fairlead.errors import BootFailure

ADDRESS_FILE = "server.json"
LOCK_FILE = "server.lock"


class Presence:
    """Holds the folder's lock until `leave`, or until the process dies."""

    def __init__(self, folder: Path) -> None:
        """Raises BootFailure when somebody holds it, and when the folder cannot be used."""
        self._folder = folder
        self._handle = _open(folder)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._handle)
            raise BootFailure(_who(folder)) from None
        os.truncate(self._handle, 0)
        os.pwrite(self._handle, f"{os.getpid()}\n".encode(), 0)  # to be believed for as long as the lock is held
        self._here: dict[str, Any] = {
            "version": __version__,
            "pid": os.getpid(),
            "python": sys.executable,
            "started_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        }

    def announce(self, url: str, **facts: Any) -> None:
        """For the CLI and SDK of this user, and for whoever started it."""
        path = self._folder / ADDRESS_FILE
        new = path.with_suffix(".new")
        new.write_text(json.dumps({"url": url, **self._here, **facts}) + "\n", encoding="utf-8")
        new.replace(path)

    def leave(self) -> None:
        (self._folder / ADDRESS_FILE).unlink(missing_ok=True)
        os.close(self._handle)


def _open(folder: Path) -> int:
    try:
        network = places.network_filesystem(folder)
        if network:
            raise BootFailure(
                f"The state folder {folder} is on {network}: its locks and its database would break there. Give the server a folder on a disk of this machine, "
                "with --state-dir or FAIRLEAD_HOME."
            )
        places.make_private(folder)
        return os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise BootFailure(
            f"The state folder {folder} cannot be used ({error.strerror or error}); give the server one that it may write to with --state-dir or FAIRLEAD_HOME."
        ) from error


def _who(folder: Path) -> str:
    cure = "Use it, stop it with `fairlead server stop`, or give this one a folder of its own with --state-dir."
    try:
        there = json.loads((folder / ADDRESS_FILE).read_text(encoding="utf-8"))
        who = f"{there['url']}, version {there['version']}, process {there['pid']}, since {there['started_at']}"
    except (OSError, ValueError, KeyError, TypeError):
        who = "it is starting or ending at this moment"
    return f"A server runs with the state folder {folder} already ({who}). {cure}"
