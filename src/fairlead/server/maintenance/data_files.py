"""The files of every workspace's own datastore in a backup: numbered members, and an index that says which path each has."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from fairlead.errors import StoreUnavailable, UsageError
from fairlead.places import discard
from fairlead.server.maintenance.archive import DATA_INDEX, Reader, Writer
from fairlead.stores.durable import flush_folder
from fairlead.stores.walking import plain_files


def has_files(folder: Path) -> bool:
    return next(_files(folder), None) is not None


def write(folder: Path, writer: Writer) -> int:
    """How many. Each as it is when it is opened; one that is being written appears in the next backup, one that goes meanwhile in none."""
    paths: list[str] = []
    for path in sorted(_files(folder)):
        try:
            stream = path.open("rb")
        except FileNotFoundError:
            continue
        with stream:
            writer.add(f"data/{len(paths):010d}", stream, os.fstat(stream.fileno()).st_size)
        paths.append(path.relative_to(folder).as_posix())
    writer.add_text(DATA_INDEX, json.dumps(paths))
    return len(paths)


def restore(folder: Path, reader: Reader) -> int:
    """How many. A file that is there already is replaced. Raises UsageError for an index that makes no sense, before anything is written."""
    index = next((stream.read() for name, stream, _ in reader.members() if name == DATA_INDEX), None)
    if index is None:
        return 0
    places = _places(folder, index)
    for name, stream, _ in reader.members():
        if name.startswith("data/"):
            _lay(places[name], stream)
    return len(places)


def _files(folder: Path) -> Iterator[Path]:
    """Plain ones; links are left out, and files that are on their way."""
    return (path for path, _ in plain_files(folder) if not path.name.startswith("."))


def _places(folder: Path, index: bytes) -> dict[str, Path]:
    refused = UsageError("The backup's list of data files makes no sense; use another backup.")
    try:
        said = json.loads(index)
        paths = [PurePosixPath(each) for each in said]
    except (ValueError, TypeError, RecursionError):
        raise refused from None
    if any(each.is_absolute() or ".." in each.parts or len(each.parts) < 2 or "\0" in str(each) for each in paths) or len(set(paths)) < len(paths):
        raise refused
    return {f"data/{number:010d}": folder / each for number, each in enumerate(paths)}


def _lay(place: Path, stream: BinaryIO) -> None:
    new = place.with_name(f".{secrets.token_hex(8)}")
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with new.open("xb") as file:
            shutil.copyfileobj(stream, file, 1 << 20)
            file.flush()
            os.fsync(file.fileno())
        new.replace(place)
        flush_folder(place.parent)
    except OSError as fault:
        raise StoreUnavailable(f"{place} cannot be written ({fault.strerror}); see to the disk, and restore again.") from fault
    finally:
        discard(new)
