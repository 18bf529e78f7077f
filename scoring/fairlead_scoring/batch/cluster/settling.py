"""A task on the machine where a worker of a cluster woke up: paths that hold there, and what has to be brought along.

On the driver's own machine everything lies where the task says. Elsewhere the bundle and the script's secrets come as one archive, side inputs
are fetched again, and what scripts print goes where the cluster keeps its workers' output.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib
import io
import os
import shutil
import socket
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Any, Dict, Iterator, Mapping, Tuple

PACKAGE = str(Path(__file__).resolve().parent.parent.parent)
RUNNER = "fairlead_scoring.batch.runner:ShardRunner"
_MACHINE = "/proc/sys/kernel/random/boot_id"


def machine() -> str:
    """One value for all processes that may share files; a container has a name of its own."""
    try:
        with open(_MACHINE, encoding="ascii") as file:
            return f"{socket.gethostname()} {file.read().strip()}"
    except OSError:
        return socket.gethostname()


def leaving(task: Mapping[str, Any]) -> Dict[str, Any]:
    """The task with what `is_home` asks for."""
    return {**task, "machine": machine()}


def is_home(task: Mapping[str, Any]) -> bool:
    """Whether the task's folders are the ones of this machine."""
    return task.get("machine") == machine() and (not task.get("bundle") or os.path.isdir(task["bundle"]))


def packed(task: Mapping[str, Any]) -> bytes:
    """What a worker elsewhere needs, as an archive; the same bytes for the same content."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in ("bundle", "script_secrets"):
            folder = task.get(name)
            if folder and os.path.isdir(folder):
                archive.add(folder, name, filter=_plain)
    return buffer.getvalue()


def settled(task: Mapping[str, Any], archive: bytes) -> Dict[str, Any]:
    """The task for a machine that is not the driver's. Unpacked once per machine, whoever comes first."""
    folder = os.path.join(tempfile.gettempdir(), f"fairlead-{os.getuid()}-{hashlib.sha256(archive).hexdigest()[:24]}")
    _unpack(archive, folder)
    moved = {name: os.path.join(folder, name) for name in ("bundle", "script_secrets") if task.get(name)}
    return {**task, **moved, "side": {}, "logs": None, "work": None, "devices": []}


def runner(name: str, task: Mapping[str, Any]) -> Any:
    """An object like `ShardRunner`. name: `module:Class`."""
    module, _, kind = name.partition(":")
    return getattr(importlib.import_module(module), kind)(task)


def claimed(task: Mapping[str, Any]) -> Tuple[int, int]:
    """The lowest number that no living process of this job on this machine has, and the descriptor that holds it for as long as this one lives."""
    job = hashlib.sha256(str(task.get("order", {}).get("id")).encode()).hexdigest()[:16]
    folder = task.get("work") or os.path.join(tempfile.gettempdir(), f"fairlead-{os.getuid()}-numbers-{job}")
    os.makedirs(folder, exist_ok=True)
    number = 0
    while True:
        descriptor = os.open(os.path.join(folder, f"process{number:03d}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return number, descriptor
        except BlockingIOError:
            os.close(descriptor)
            number += 1


def zipped_package(path: str) -> None:
    """This package as a zip archive that Python imports from."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in _sources():
            archive.write(file, os.path.join("fairlead_scoring", os.path.relpath(file, PACKAGE)))


def unzip_package() -> None:
    """Where this package was imported from an archive, lay it down: a child process is started from a folder."""
    archive = os.path.dirname(PACKAGE)
    if not zipfile.is_zipfile(archive):
        return
    folder = tempfile.mkdtemp(prefix="fairlead-package-")
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder)  # noqa: S202 - our own archive, made by the driver
    sys.path.insert(0, folder)
    for name in [name for name in sys.modules if name.partition(".")[0] == "fairlead_scoring"]:
        del sys.modules[name]


def _sources() -> Iterator[str]:
    for place, folders, names in os.walk(PACKAGE):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        yield from (os.path.join(place, name) for name in sorted(names))


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.mtime, member.uid, member.gid, member.uname, member.gname = 0, 0, 0, "", ""
    return member


def _unpack(archive: bytes, folder: str) -> None:
    """Written beside and renamed; whoever was first has done it for all."""
    if os.path.isdir(folder):
        return
    beside = tempfile.mkdtemp(prefix="fairlead-", dir=os.path.dirname(folder))
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        opened.extractall(beside)  # noqa: S202 - our own archive, made by the driver
    try:
        os.rename(beside, folder)
    except OSError:
        shutil.rmtree(beside, ignore_errors=True)
