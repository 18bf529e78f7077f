"""What a folder of laid-down wheels holds, by distribution, and where each file goes in a Python environment of an image."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path

from packaging.utils import canonicalize_name

from fairlead.images.tar_writing import Entry

UNRECORDED = "files-of-no-package"

_BESIDE = frozenset(("bin", "etc", "include", "share"))  # uv puts these into the same folder; they belong above site-packages
_THIS_MACHINE = frozenset(("direct_url.json", "uv_build.json", "uv_cache.json"))
_SHEBANG = re.compile(rb"\A#!(?:[^\n]*python[0-9.]*[^\n]*|/bin/sh\n'''exec' [^\n]*\n' ''')\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """`entries`: its files, sorted by path. `licence` and `summary` as its metadata says them, `tags` as its WHEEL does (`py3-none-any`)."""

    name: str
    version: str
    entries: tuple[Entry, ...]
    licence: str = ""
    summary: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A Python environment in an image, such as `opt/fairlead/env` of Python 3.11."""

    path: str
    minor: str

    @property
    def packages(self) -> str:
        return f"{self.path}/lib/python{self.minor}/site-packages"

    @property
    def python(self) -> str:
        return f"/{self.path}/bin/python"


def distributions_in(folder: Path, site: Site) -> list[Distribution]:
    """Sorted by name. A file that several list belongs to the first of them; those that nobody lists come last, without a version."""
    found, taken = [], set[str]()
    for info in sorted(folder.glob("*.dist-info"), key=lambda each: each.name):
        distribution = _read(folder, info, site, taken)
        taken.update(entry.path for entry in distribution.entries)
        found.append(distribution)
    names = sorted(each.relative_to(folder).as_posix() for each in folder.rglob("*") if "__pycache__" not in each.parts)
    left = [entry for name in names if (entry := _entry(folder, name, site)) is not None and entry.path not in taken]
    return [*found, Distribution(name=UNRECORDED, version="", entries=tuple(sorted(left, key=lambda each: each.path)))] if left else found


def _read(folder: Path, info: Path, site: Site, taken: set[str]) -> Distribution:
    metadata = _headers(info / "METADATA")
    rows = [row for row in csv.reader(io.StringIO((info / "RECORD").read_text(encoding="utf-8"))) if row]
    entries: dict[str, Entry] = {}
    record = []
    for path, *rest in rows:
        entry = _entry(folder, path, site)
        if entry is None or entry.path in taken:
            continue
        entries[entry.path] = entry
        record.append(_row(path, rest, entry, site))
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(record)
    place = f"{site.packages}/{info.name}/RECORD"
    entries[place] = Entry(path=place, content=text.getvalue().encode())
    return Distribution(
        name=canonicalize_name(metadata["Name"] or info.name.partition("-")[0]),
        version=str(metadata["Version"] or ""),
        entries=tuple(entries[each] for each in sorted(entries)),
        licence=str(metadata["License-Expression"] or ""),
        summary=str(metadata["Summary"] or ""),
        tags=tuple(_headers(info / "WHEEL").get_all("Tag", ())),
    )


def _headers(path: Path) -> Message:
    return HeaderParser().parsestr(path.read_text(encoding="utf-8", errors="replace"))


def _entry(folder: Path, path: str, site: Site) -> Entry | None:
    """None for what is not there, leads out of the folder, or tells of this machine."""
    source = folder / path
    parts = path.split("/")
    if ".." in parts or path.startswith("/") or parts[-1] in _THIS_MACHINE or path == ".lock" or not _is_plain(source):
        return None
    place = f"{site.path}/{path}" if parts[0] in _BESIDE else f"{site.packages}/{path}"
    executable = bool(source.stat().st_mode & 0o100)
    if parts[0] == "bin" and _SHEBANG.match(content := source.read_bytes()):
        return Entry(path=place, content=_SHEBANG.sub(f"#!{site.python}\n".encode(), content, count=1), executable=True)
    return Entry(path=place, file=source, executable=executable)


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _row(path: str, rest: list[str], entry: Entry, site: Site) -> list[str]:
    """Of RECORD, as it is once the file lies where it goes."""
    if path.partition("/")[0] in _BESIDE:
        path = "../" * (site.packages.count("/") - site.path.count("/")) + path
    if entry.content is None:
        return [path, *rest]
    digest = base64.urlsafe_b64encode(hashlib.sha256(entry.content).digest()).rstrip(b"=").decode()
    return [path, f"sha256={digest}", str(len(entry.content))]
