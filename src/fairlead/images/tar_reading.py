"""Reads tar archives of strangers in one pass: nothing is extracted, and what is read into memory has limits.

ustar, GNU long names and pax, as POSIX.1-2017 (pax) and GNU tar's manual describe them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from fairlead.errors import UsageError

MOST_ENTRIES = 2_000_000
LARGEST_FILE = 1 << 50  # bytes
LONGEST_NOTE = 1 << 20  # bytes of long names and pax records before one entry

_RECORD = 512
_SIZE = re.compile(r"[0-9]{1,20}")
_FILES = frozenset((b"0", b"\0", b"7"))
_HARD, _SYMBOLIC, _FOLDER = b"1", b"2", b"5"
_GNU_NAME, _GNU_LINK, _PAX, _PAX_FOR_ALL, _SPARSE = b"L", b"K", b"x", b"g", b"S"

Read = Callable[[int], bytes]
Seek = Callable[[int], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """`path`: without leading `./` and `/`. `kind`: file, folder, link, hardlink, other. `offset`: of its content in the archive."""

    path: str
    kind: str
    link: str
    size: int
    offset: int


class TarReader:
    """Goes over an archive that `read(n)` gives, n bytes each time and fewer only at the end. Raises UsageError when it is no tar archive.

    seek: jumps forward by n bytes, where that is cheaper than reading them; False past the end.
    """

    def __init__(self, read: Read, what: str, seek: Seek | None = None) -> None:
        self._read = read
        self._seek = seek
        self._what = what
        self._position = 0

    def members(self, wanted: Callable[[Member], bool]) -> Iterator[tuple[Member, bytes]]:
        """Every member in order, with its content when it is wanted, else nothing."""
        count = 0
        notes: dict[str, str] = {}
        while header := self._header():
            kind, size = header[156:157], self._size(_number(header[124:136]))
            if kind in (_GNU_NAME, _GNU_LINK, _PAX, _PAX_FOR_ALL):
                self._note(kind, size, notes)
                continue
            size = self._size(int(notes["size"])) if _SIZE.fullmatch(notes.get("size", "")) else size
            member = self._member(header, kind, size, notes)
            notes = {}
            count += 1
            if count > MOST_ENTRIES:
                raise self._broken(f"it lists more than {MOST_ENTRIES} files")
            yield member, self._content(member, wanted)

    def _header(self) -> bytes:
        """Nothing at the end of the archive."""
        header = self._take(_RECORD)
        if not header.strip(b"\0"):
            return b""
        if len(header) < _RECORD or _number(header[148:156]) != sum(header[:148]) + sum(header[156:]) + 8 * 32:
            raise self._broken("a header is damaged")
        return header

    def _member(self, header: bytes, kind: bytes, size: int, notes: dict[str, str]) -> Member:
        name, prefix = _text(header[:100]), _text(header[345:500]) if header[257:263] == b"ustar\0" else ""
        path = notes.get("path") or (f"{prefix}/{name}" if prefix else name)
        kinds = {_HARD: "hardlink", _SYMBOLIC: "link", _FOLDER: "folder"}
        of_file = kind in _FILES
        said = "folder" if of_file and path.endswith("/") else "file" if of_file else kinds.get(kind, "other")
        return Member(
            path=_plain(path),
            kind=said,
            link=notes.get("linkpath") or _text(header[157:257]),
            size=size if of_file or kind == _SPARSE else 0,
            offset=self._position,
        )

    def _size(self, said: int) -> int:
        if not 0 <= said <= LARGEST_FILE:
            raise self._broken("a size in it is none")
        return said

    def _content(self, member: Member, wanted: Callable[[Member], bool]) -> bytes:
        padded = member.size + -member.size % _RECORD
        if member.kind == "file" and wanted(member):
            content = self._take(padded)
            if len(content) < member.size:
                raise self._broken("it ends too early")
            return content[: member.size]
        self._skip(padded)
        return b""

    def _note(self, kind: bytes, size: int, notes: dict[str, str]) -> None:
        if size > LONGEST_NOTE:
            raise self._broken("a file name in it is longer than any system allows")
        said = self._take(size + -size % _RECORD)[:size]
        if kind == _GNU_NAME:
            notes["path"] = _text(said)
        elif kind == _GNU_LINK:
            notes["linkpath"] = _text(said)
        elif kind == _PAX:
            notes.update(_pax(said))

    def _take(self, size: int) -> bytes:
        data = self._read(size)
        self._position += len(data)
        return data

    def _skip(self, size: int) -> None:
        if self._seek is not None and size:
            self._position += size
            if not self._seek(size):
                raise self._broken("it ends too early")
            return
        while size:
            gone = len(self._take(min(size, 1 << 20)))
            if not gone:
                raise self._broken("it ends too early")
            size -= gone

    def _broken(self, why: str) -> UsageError:
        return UsageError(f"{self._what} is no usable tar archive: {why}. Copy the image again.")


def _pax(said: bytes) -> dict[str, str]:
    """Records `LENGTH KEY=VALUE\\n`; what is not one ends them."""
    found = {}
    while said:
        digits, _, _ = said[:20].partition(b" ")
        length = int(digits) if digits.isdigit() else 0
        if length <= len(digits) + 1 or length > len(said):
            break
        key, _, value = said[len(digits) + 1 : length - 1].partition(b"=")
        found[key.decode("utf-8", "replace")] = value.decode("utf-8", "surrogateescape")
        said = said[length:]
    return found


def _number(field: bytes) -> int:
    """Octal, or GNU's base 256; -1 for anything else."""
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0")
    if not digits:
        return 0
    return int(digits, 8) if all(each in b"01234567" for each in digits) else -1


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _plain(path: str) -> str:
    return "/".join(part for part in path.split("/") if part not in ("", "."))
