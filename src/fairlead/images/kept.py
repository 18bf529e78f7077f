"""Remembers what was packed, by what it was made of, so that the same inputs are never packed twice. Processes may share the folder.

CACHE/parts/<key>         compressed part of a layer; <key>.json says its size
CACHE/layers/<key>.json   digest, size and diff_id of a layer, and the parts that it is joined of
CACHE/facts/<key>.json    what was found out about a base
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

FORMAT = 4  # another number: nothing that was kept before is used again


def key_of(said: Mapping[str, Any]) -> str:
    """Of everything that decides over the bytes."""
    return hashlib.sha256(json.dumps({"format": FORMAT, **said}, sort_keys=True).encode()).hexdigest()


class Kept:
    """All that is remembered in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def facts(self, kind: str, key: str) -> dict[str, Any] | None:
        """What was remembered; None when nothing was. Marks it as used."""
        path = self._facts(kind, key)
        try:
            said = json.loads(path.read_text())
        except (OSError, ValueError):
            return None
        _touch(path)
        return said if isinstance(said, dict) else None

    def remember(self, kind: str, key: str, said: Mapping[str, Any]) -> None:
        path = self._facts(kind, key)
        with self._beside(path) as out:
            out.write(json.dumps(said, sort_keys=True).encode())

    def has_part(self, key: str) -> bool:
        """Whole: a machine that lost its power may have kept less."""
        said = self.facts("parts", key)
        try:
            return said is not None and self._part(key).stat().st_size == said.get("size")
        except OSError:
            return False

    def open_part(self, key: str) -> BinaryIO:
        """Raises FileNotFoundError."""
        _touch(self._part(key))
        _touch(self._facts("parts", key))
        return self._part(key).open("rb")

    def put_part(self, key: str, write: Callable[[BinaryIO], object]) -> None:
        with self._beside(self._part(key)) as out:
            write(out)
            size = out.tell()
        self.remember("parts", key, {"size": size})

    def trim(self, quota: int) -> int:
        """Removes what was not used for longest until at most `quota` bytes are left; answers the bytes removed. Nothing while somebody is at work."""
        with self._nobody_at_work() as alone:
            if not alone:
                return 0
            for debris in self.folder.glob(".work-*"):
                shutil.rmtree(debris, ignore_errors=True)
            files = self._files()
            left = sum(each.stat().st_size for each in files)
            removed = 0
            for each in files:
                if left - removed <= quota:
                    break
                removed += each.stat().st_size
                each.unlink(missing_ok=True)
        return removed

    def forget(self, older_than: float, *, dry_run: bool = False) -> int:
        """Removes what was not used for so many seconds; answers the bytes. Nothing while somebody is at work."""
        if not self.folder.is_dir():
            return 0
        old = time.time() - older_than
        sizes = [each.stat().st_size for each in self._files() if each.stat().st_mtime < old]
        return sum(sizes) if dry_run else self.trim(sum(each.stat().st_size for each in self._files()) - sum(sizes))

    @contextmanager
    def room(self) -> Iterator[Path]:
        """A folder for work in progress, gone afterwards; on the same disk as what is kept."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as lock, tempfile.TemporaryDirectory(prefix=".work-", dir=self.folder) as name:
            fcntl.flock(lock, fcntl.LOCK_SH)
            yield Path(name)

    @contextmanager
    def _nobody_at_work(self) -> Iterator[bool]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    @contextmanager
    def _beside(self, path: Path) -> Iterator[BinaryIO]:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as out:
            try:
                yield out  # type: ignore[misc]
                out.flush()
                Path(out.name).rename(path)
            except BaseException:
                Path(out.name).unlink(missing_ok=True)
                raise

    def _files(self) -> list[Path]:
        """Longest unused first."""
        return sorted((each for each in self.folder.glob("[!.]*/*") if each.is_file()), key=lambda each: each.stat().st_mtime)

    def _facts(self, kind: str, key: str) -> Path:
        return self.folder / kind / f"{key}.json"

    def _part(self, key: str) -> Path:
        return self.folder / "parts" / key


def _touch(path: Path) -> None:
    try:
        os.utime(path)
    except OSError:
        pass  # a cache that is read-only here is cleared up elsewhere
