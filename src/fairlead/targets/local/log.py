"""The log of a service, from its end: by blocks backwards over the file and those that were turned over, so its size does not matter."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from fairlead.targets.lines import Filter
from fairlead.targets.local.supervisor import pause

BLOCK = 64 * 1024
LATECOMERS = 0.2  # seconds in which every process of a service has heard that the file was turned over
KEPT = 5  # as fairlead_scoring.supervisor.log_file has it


def last_lines(path: Path, count: int, wanted: Filter) -> list[bytes]:
    """The last `count` that fit, oldest first."""
    with contextlib.ExitStack() as stack:
        return _last_of([stack.enter_context(file) for file in _open_all(path)], count, wanted)


def follow(path: Path, count: int, wanted: Filter, is_over: Callable[[], bool]) -> Iterator[bytes]:
    """Those, and each that is added, until it is over and all has been read."""
    current, lines = _begin(path, count, wanted)
    yield from lines
    yield from _added(path, current, wanted, is_over)


def _begin(path: Path, count: int, wanted: Filter) -> tuple[BinaryIO | None, list[bytes]]:
    """The newest file, read up to the end of its last whole line, and the last lines there."""
    files = _open_all(path)
    if not files:
        return None, []
    newest, *older = files
    end = _line_end(newest, os.fstat(newest.fileno()).st_size)
    lines = _last_of(files, count, wanted, end)
    newest.seek(end)
    for file in older:
        file.close()
    return newest, lines


def _last_of(files: list[BinaryIO], count: int, wanted: Filter, end: int | None = None) -> list[bytes]:
    found: deque[bytes] = deque()
    for number, file in enumerate(files):
        for line in _backwards(file, end if number == 0 and end is not None else os.fstat(file.fileno()).st_size):
            if len(found) >= count:
                return list(found)
            if wanted.fits(line):
                found.appendleft(line)
    return list(found)


def _open_all(path: Path) -> list[BinaryIO]:
    """The newest first. A file that is turned over meanwhile is met twice, and opened once."""
    opened: dict[tuple[int, int], BinaryIO] = {}
    for name in [path, *(path.with_name(f"{path.name}.{number}") for number in range(1, KEPT + 1))]:
        try:
            file = name.open("rb")
        except OSError:
            continue
        status = os.fstat(file.fileno())
        if (status.st_dev, status.st_ino) in opened:
            file.close()
        else:
            opened[status.st_dev, status.st_ino] = file
    return list(opened.values())


def _backwards(file: BinaryIO, end: int) -> Iterator[bytes]:
    """Whole lines from the end; one that is still being written is not one yet."""
    rest, position, is_last = b"", end, True
    while position > 0:
        size = min(BLOCK, position)
        position -= size
        file.seek(position)
        first, *lines = (file.read(size) + rest).split(b"\n")
        if lines and is_last:
            is_last = False
            lines.pop()
        yield from reversed(lines)
        rest = first
    if not is_last:
        yield rest


def _line_end(file: BinaryIO, end: int) -> int:
    """Where the last whole line ends."""
    position = end
    while position > 0:
        size = min(BLOCK, position)
        file.seek(position - size)
        found = file.read(size).rfind(b"\n")
        if found >= 0:
            return position - size + found + 1
        position -= size
    return 0


def _added(path: Path, current: BinaryIO | None, wanted: Filter, is_over: Callable[[], bool]) -> Iterator[bytes]:
    rest = b""
    try:
        while True:
            over = is_over()  # asked first: what was written before the end is read after it
            following = _next_after(path, current)
            if following is not None:
                pause(LATECOMERS)
            data = current.read() if current is not None else b""
            *lines, rest = (rest + data).split(b"\n")
            yield from (line for line in lines if wanted.fits(line))
            if following is not None:
                current, rest = _exchanged(current, following), b""
            elif over and not data:
                return
            elif not data:
                pause(0.1)
    finally:
        if current is not None:
            current.close()


def _exchanged(old: BinaryIO | None, new: BinaryIO) -> BinaryIO:
    if old is not None:
        old.close()
    return new


def _next_after(path: Path, current: BinaryIO | None) -> BinaryIO | None:
    """The file that has taken the place of this one."""
    files = _open_all(path)
    mine = None if current is None else os.fstat(current.fileno()).st_ino
    numbers = [os.fstat(file.fileno()).st_ino for file in files]
    newer = files[: numbers.index(mine)] if mine in numbers else files
    for file in files:
        if not newer or file is not newer[-1]:
            file.close()
    return newer[-1] if newer else None
