"""Which machine and state folder this server is: services stay where they were started, and only the server of that place can reach them."""

from __future__ import annotations

import fcntl
import os
import uuid
from pathlib import Path

from fairlead.errors import BootFailure
from fairlead.places import make_private

ID_FILE = "node.id"


class Node:
    """Holds the state folder for as long as the process lives, so that whoever finds the same id in the database knows that its writer is dead."""

    def __init__(self, folder: Path) -> None:
        """Raises BootFailure when another server uses the folder."""
        make_private(folder)
        self._descriptor = os.open(folder / ID_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise BootFailure(f"Another server runs with the state folder {folder}; stop it, or give this one a folder of its own with --state-dir.") from None
        self.id = self._read() or self._write()

    def close(self) -> None:
        os.close(self._descriptor)

    def _read(self) -> str:
        return os.pread(self._descriptor, 64, 0).decode("ascii", "replace").strip()

    def _write(self) -> str:
        made = str(uuid.uuid4())
        os.pwrite(self._descriptor, f"{made}\n".encode(), 0)
        os.fsync(self._descriptor)
        return made
