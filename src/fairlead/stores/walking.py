"""The files below a folder, as content: links that stay inside are followed, what is no file is refused."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from fairlead.errors import UsageError


def files_below(top: Path) -> Iterator[tuple[str, Path]]:
    """POSIX path below `top` and where the bytes are, in no order that matters. Raises UsageError."""
    root = top.resolve()
    yield from _walk(top, root, "", (root,))


def plain_files(top: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Links are left out, and what goes while it is looked for."""
    for folder, _, names in os.walk(top):
        for path in (Path(folder, name) for name in names):
            try:
                told = path.lstat()
            except FileNotFoundError:
                continue
            if stat.S_ISREG(told.st_mode):
                yield path, told


def refuse_unusual(path: Path) -> None:
    """Raises UsageError for what would block, or never end, when it is read."""
    kind = stat.S_IFMT(_stat(path).st_mode)
    if kind == stat.S_IFREG:
        return
    words = {stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFDIR: "a folder"}
    raise UsageError(f"{path} is {words.get(kind, 'no file')}; only plain files can be uploaded. Take it out of the folder.")


def _walk(top: Path, root: Path, below: str, above: tuple[Path, ...]) -> Iterator[tuple[str, Path]]:
    """above: the real folders on the way here, so that a link to one of them does not go round in circles."""
    for entry in _entries(top / below):
        path = f"{below}/{entry.name}" if below else entry.name
        here = top / path
        real = _resolve(here, top, root) if entry.is_symlink() else above[-1] / entry.name
        if stat.S_ISDIR(_stat(here).st_mode):
            if real in above:
                raise UsageError(f"{here} is a link to a folder that it lies in, so its files never end. Remove the link.")
            yield from _walk(top, root, path, (*above, real))
        else:
            refuse_unusual(here)
            yield path, here


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as fault:
        raise UsageError(f"{folder} cannot be read ({fault.strerror}); see to its permissions.") from fault


def _resolve(link: Path, top: Path, root: Path) -> Path:
    try:
        real = link.resolve(strict=True)
    except (OSError, RuntimeError) as fault:
        raise UsageError(f"{link} is a link that leads nowhere. Remove it, or put the file there.") from fault
    if not real.is_relative_to(root):
        raise UsageError(f"{link} is a link that leads out of {top}. Copy what it leads to there, or give the folder that holds both.")
    return real


def _stat(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except OSError as fault:
        raise UsageError(f"{path} cannot be read ({fault.strerror}).") from fault
