"""Which files an input has, and what their paths say of them. Nothing is opened but zip archives."""

from __future__ import annotations

import hashlib
import os
import zipfile
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Tuple

import pyarrow as pa

from fairlead_scoring.batch.job import Input
from fairlead_scoring.batch.places.patterns import has_magic
from fairlead_scoring.batch.shards import Slice
from fairlead_scoring.batch.sources.files import Files, local_path
from fairlead_scoring.batch.sources.folders import NOTHING, PartitionFormat, hive_values, path_types, relative, scalar
from fairlead_scoring.batch.sources.formats import FILES, FORMATS, checked_options, format_of
from fairlead_scoring.batch.sources.outputs import without_others
from fairlead_scoring.batch.sources.pieces import Unusable
from fairlead_scoring.batch.sources.sifting import instant

BROKEN = "(the archive cannot be read)"
ARCHIVE = ".zip"
MOST_MEMBERS = 1_000_000
_NO_VALUES: Mapping[str, str] = {}


class Listed(NamedTuple):
    """parts: whole files, in order; sizes: of each. types: of the columns that paths say. digest: of all names, sizes and stamps."""

    format: str
    parts: List[Slice]
    sizes: List[int]
    types: Dict[str, pa.DataType]
    digest: str
    notices: Tuple[str, ...] = ()


class _Found(NamedTuple):
    url: str
    size: int
    stamp: str
    member: str
    base: str


def listed(place: Any, said: Input, number: int) -> Listed:
    """Raises Unusable, and what the storage raises."""
    found = [each for url in said.urls for each in _matched(place, url)]
    found, notices = without_others(place, found)
    if not said.urls:
        raise Unusable(f"Input {number + 1} names neither files nor a query.")
    kind = said.format or _common_format(found)
    if kind not in (*FORMATS, FILES):
        raise Unusable(f"{kind!r} is no format that is read; those are {', '.join((*FORMATS, FILES))}.")
    checked_options(kind, said.options)
    values, types = _path_values(found, said)
    taken = [place for place, each in enumerate(values) if _is_in_time(each, said, types)]
    parts = [_slice(found[place], number, values[place]) for place in taken]
    return Listed(kind, parts, [found[place].size for place in taken], types, _digest(found), notices)


def _matched(place: Any, url: str) -> List[_Found]:
    """Raises Unusable where a pattern matches nothing; a folder that is there may be empty."""
    found = list(_found(place, url))
    path = local_path(url)
    if not found and has_magic(url) and not (path is not None and os.path.isdir(path)):
        raise Unusable(f"No file matches {url}; see to the pattern, and to whether the files are there. Names that begin with _ or . are left out.")
    return found


def _found(place: Any, url: str) -> Iterator[_Found]:
    archives = Files(place)
    try:
        for entry in place.entries(url):
            if entry.url.lower().endswith(ARCHIVE):
                yield from _members(archives, entry, url)
            else:
                yield _Found(entry.url, entry.size, entry.stamp, "", url)
    finally:
        archives.close()


def _members(archives: Files, entry: Any, base: str) -> Iterator[_Found]:
    try:
        members = archives.archive(entry.url).infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError):
        yield _Found(entry.url, entry.size, entry.stamp, BROKEN, base)
        return
    if len(members) > MOST_MEMBERS:
        raise Unusable(f"{entry.url} has {len(members):,} members; {MOST_MEMBERS:,} at most are read of one archive.")
    names = {each.filename: each.file_size for each in members if not each.is_dir() and not _is_hidden(each.filename)}  # the last of two is what is unpacked
    for name, size in sorted(names.items()):
        yield _Found(entry.url, size, entry.stamp, name, base)


def _is_hidden(name: str) -> bool:
    return any(part.startswith((".", "_")) and "=" not in part for part in name.split("/"))


def _common_format(found: List[_Found]) -> str:
    kinds: Dict[str, str] = {}
    for each in found:
        if each.member != BROKEN:
            kinds.setdefault(format_of(each.member or each.url), each.member or each.url)
    if len(kinds) > 1:
        told = ", ".join(f"{name} ({kind})" for kind, name in sorted(kinds.items()))
        raise Unusable(f"The files are of several formats: {told}. An input has one: leave out the others, or say which it is (--input-format).")
    return next(iter(kinds), FILES)


def _path_values(found: List[_Found], said: Input) -> Tuple[List[Mapping[str, str]], Dict[str, pa.DataType]]:
    pattern = said.options.get("partition_format")
    if pattern:
        known = PartitionFormat(str(pattern))
        return [known.values(relative(each.url, each.base)) for each in found], known.types()
    if not said.options.get("hive", True) or not any("=" in each.url for each in found):
        return [_NO_VALUES] * len(found), {}
    of_folder: Dict[Tuple[str, str], Mapping[str, str]] = {}
    values = []
    for each in found:
        folder = (each.url.rpartition("/")[0], each.base)
        if folder not in of_folder:
            of_folder[folder] = hive_values(relative(folder[0] + "/", each.base))
        values.append(of_folder[folder])
    distinct = list(of_folder.values())
    return values, path_types(distinct)


def _is_in_time(values: Mapping[str, str], said: Input, types: Mapping[str, pa.DataType]) -> bool:
    """A timestamp that the path says decides for the whole file."""
    if said.timestamp is None or said.timestamp not in types:
        return True
    text = values[said.timestamp]
    if text == NOTHING:
        return False
    kind = pa.timestamp("us")
    moment = scalar(text, types[said.timestamp]) if pa.types.is_timestamp(types[said.timestamp]) else instant(text, kind)
    early = said.after is not None and moment.as_py() < instant(said.after, kind).as_py()
    late = said.before is not None and moment.as_py() >= instant(said.before, kind).as_py()
    return not early and not late


def _slice(found: _Found, number: int, values: Mapping[str, str]) -> Slice:
    return Slice(found.url, 0, -1, 0, found.stamp, found.member, number, values)


def _digest(found: List[_Found]) -> str:
    text = "\n".join(f"{each.url}\0{each.size}\0{each.stamp}\0{each.member}" for each in found)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
