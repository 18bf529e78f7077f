"""Inputs of the format `files`: scripts get paths, whatever is in the files."""

from __future__ import annotations

import os
import tempfile
from typing import Iterator, List, Sequence, Tuple

from fairlead_scoring.batch.shards import Bad, Shard, Slice
from fairlead_scoring.batch.sources.batch import Batch
from fairlead_scoring.batch.sources.cutting import Size
from fairlead_scoring.batch.sources.files import Files, local_path
from fairlead_scoring.batch.sources.pieces import Unreadable, readable

LONGEST = 200  # bytes of a name; an archive may hold longer ones than a disk
Group = Tuple[str, ...]


def batches_of_paths(files: Files, shard: Shard, size: Size, keys: Sequence[str], most_bytes: int) -> Iterator[Batch]:
    """Files that are elsewhere are fetched for the batch, and gone with the next. most_bytes: of a mini-batch, 0: any."""
    for index, (group, parts) in enumerate(_cut(shard, size, keys, most_bytes)):
        with tempfile.TemporaryDirectory(prefix="fairlead-") as folder:
            yield _batch(index, files, parts, group, folder)


def _cut(shard: Shard, size: Size, keys: Sequence[str], most_bytes: int) -> Iterator[Tuple[Group, List[Slice]]]:
    taken: List[Slice] = []
    group: Group = ()
    weight = 0
    most = size.files or (len(shard.slices) if most_bytes else 10)
    for part in shard.slices:
        own = tuple(part.values.get(key, "") for key in keys)
        length = max(0, part.stop - part.start)
        full = len(taken) >= most or own != group or (most_bytes and weight + length > most_bytes)
        if taken and full:
            yield group, taken
            taken, weight = [], 0
        group = own
        taken.append(part)
        weight += length
    if taken:
        yield group, taken


def _batch(index: int, files: Files, parts: Sequence[Slice], group: Group, folder: str) -> Batch:
    paths: List[str] = []
    urls: List[str] = []
    bad: List[Bad] = []
    for number, part in enumerate(parts):
        try:
            paths.append(_path(files, part, os.path.join(folder, str(number))))
            urls.append(_url(part))
        except Unreadable as fault:
            bad.append(Bad(_url(part), None, None, str(fault)))
    return Batch(index, paths=paths, urls=urls, origins=[(url, None, 1) for url in urls], bad=bad, items=len(parts), group=group)


def _path(files: Files, part: Slice, folder: str) -> str:
    """Its name is that of the file, for scripts write it beside their answers."""
    file = files.file(part)
    local = None if part.member else local_path(part.url)
    if local is not None:
        return local
    os.mkdir(folder)
    if part.member:
        name = os.path.basename(part.member).encode("utf-8", "replace")[-LONGEST:].decode("utf-8", "ignore")
        target = os.path.join(folder, name or "member")
        return str(readable(lambda: file.copied(target), file.fault))
    return files.place.fetch(part.url, folder)


def _url(part: Slice) -> str:
    return f"{part.url}#{part.member}" if part.member else part.url
