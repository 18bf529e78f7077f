"""Files that say what is wanted: whole or not at all, for the owner alone, changed by one at a time."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fairlead.errors import BootFailure, UsageError
from fairlead.places import discard

HANDLE = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


def check_handle(handle: str) -> None:
    """Raises UsageError for one that is none: it becomes the name of a folder."""
    if not HANDLE.fullmatch(handle):
        raise UsageError(f"{handle!r} is no handle of a workload; one has at most 40 lower-case letters, digits and dashes.")


def read_json(path: Path) -> dict[str, Any]:
    """Empty when there is none, or something else."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def write_json(path: Path, content: Any) -> None:
    write_whole(path, json.dumps(content, indent=1).encode())


def write_whole(path: Path, content: bytes) -> None:
    """The old content or the new, for the owner alone."""
    new = path.with_name(f".{path.name}.new")
    try:
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError:
        discard(new)
        raise


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """One at a time, over threads and processes."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


@contextlib.contextmanager
def locked_at_once(path: Path) -> Iterator[bool]:
    """Whether nobody else has the lock at this moment; then it is held."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(fd)


def is_held(path: Path) -> bool:
    """Whether somebody has the lock at this moment; nobody has one that is not there."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def not_written(folder: Path, error: OSError) -> BootFailure:
    return BootFailure(f"{folder} cannot be written to ({error.strerror or error}); make room there, or make it yours, and try again.")
