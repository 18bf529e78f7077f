"""Which shared libraries of the system the wheels of an environment want; a base without them fails only when a module is imported.

Contract: ELF (System V ABI, chapter 5), 64 bits, little endian, as all platforms of wheels here are.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from fairlead.images.distributions import Distribution

_BY_DRIVER = ("libcuda.so", "libnvidia-", "libnvcuvid.so")  # come into a container with the graphics card
_IN_DEBIAN = {
    "libgomp.so.1": "libgomp1",
    "libstdc++.so.6": "libstdc++6",
    "libGL.so.1": "libgl1",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgfortran.so.5": "libgfortran5",
}
_LOAD, _DYNAMIC = 1, 2
_END, _NEEDED, _STRINGS, _STRINGS_SIZE = 0, 1, 5, 10
_MOST = 1 << 20


def libraries_wanted(distributions: Iterable[Distribution]) -> dict[str, str]:
    """Library to the first package that wants it; without those that the wheels bring themselves."""
    wanted: dict[str, str] = {}
    brought = set()
    for distribution in distributions:
        for entry in distribution.entries:
            name = entry.path.rpartition("/")[2]
            if entry.file is not None and ".so" in name:
                brought.add(name)
                for library in _needed(entry.file):
                    wanted.setdefault(library, distribution.name)
    return {library: name for library, name in sorted(wanted.items()) if library not in brought}


def lacking(wanted: Mapping[str, str], there: Collection[str]) -> list[str]:
    """One sentence for each library that the base has not."""
    return [
        f"{package} wants {library}, which the base does not have; put it there{_debian(library)}, unless what uses it is never imported."
        for library, package in wanted.items()
        if library not in there and not library.startswith(_BY_DRIVER)
    ]


def _debian(library: str) -> str:
    return f" (Debian: {_IN_DEBIAN[library]})" if library in _IN_DEBIAN else ""


def _needed(file: Path) -> list[str]:
    """Nothing for what is no such file, or a damaged one."""
    try:
        with file.open("rb") as stream:
            head = stream.read(64)
            if head[:6] != b"\x7fELF\x02\x01":
                return []
            offset, size, count = struct.unpack_from("<Q", head, 32)[0], *struct.unpack_from("<HH", head, 54)
            stream.seek(offset)
            table = stream.read(size * count)
            segments = [struct.unpack_from("<IIQQQQ", table, size * number) for number in range(count)]
            dynamic = next(((at, long) for kind, _, at, _, _, long in segments if kind == _DYNAMIC), (0, 0))
            stream.seek(dynamic[0])
            raw = stream.read(min(dynamic[1], _MOST))
            entries = list(struct.iter_unpack("<QQ", raw[: len(raw) // 16 * 16]))
            where = {tag: value for tag, value in entries if tag in (_STRINGS, _STRINGS_SIZE)}
            place = next(at + where[_STRINGS] - start for kind, _, at, start, _, long in segments if kind == _LOAD and start <= where[_STRINGS] < start + long)
            stream.seek(place)
            strings = stream.read(min(where[_STRINGS_SIZE], _MOST))
    except (OSError, struct.error, KeyError, StopIteration, ValueError, OverflowError):
        return []
    before_end = entries[: next((number for number, (tag, _) in enumerate(entries) if tag == _END), len(entries))]
    return [strings[value:].partition(b"\0")[0].decode("ascii", "replace") for tag, value in before_end if tag == _NEEDED and value < len(strings)]
