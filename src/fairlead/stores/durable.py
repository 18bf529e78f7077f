"""Files that are there whole or not at all, also after the power failed: written beside, flushed, renamed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform != "win32":
    import fcntl


def rename(source: Path, target: Path) -> None:
    """Replaces the target in one step; the source's bytes must have been flushed."""
    source.replace(target)
    flush_folder(target.parent)


def flush_folder(folder: Path) -> None:
    """Makes names in the folder survive a power failure."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def locked(handle: int, *, shared: bool = False) -> Iterator[None]:
    """Holds the file against other processes and other handles of this one; it is free when its holder dies."""
    if sys.platform == "win32":
        yield
        return
    fcntl.flock(handle, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(handle, fcntl.LOCK_UN)


def try_lock(handle: int) -> bool:
    """Takes the file until the handle is closed, unless somebody has it."""
    if sys.platform != "win32":
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
