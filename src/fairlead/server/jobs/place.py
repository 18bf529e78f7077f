"""A job's folder, by which its driver and whoever looks after it speak to each other (`fairlead_scoring.batch.job`); no process ids.

jobs/<handle>/job.json, lock, cancel, progress.json, events.jsonl, secrets/, logs/    as the contract has them
              inputs/     uploaded trees, laid down
              output/     answers that the server keeps
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fairlead_scoring.batch import job as contract

from fairlead.schemas.storable import made_storable
from fairlead.targets.files import check_handle, is_held, read_json, write_json, write_whole

ENDED = {"succeeded", "failed", "canceled"}
DRIVER_LOG = "sys/driver.txt"
MOST_EVENTS = 1 << 20  # bytes that are read at once


class Place:
    def __init__(self, root: Path, handle: str) -> None:
        """root: the server's state folder."""
        check_handle(handle)
        self.folder = root / "jobs" / handle
        self.logs = self.folder / contract.LOGS
        self.secrets = self.folder / contract.SECRETS
        self.inputs = self.folder / "inputs"
        self.output = self.folder / "output"
        self.driver_log = self.logs / DRIVER_LOG

    def make(self) -> None:
        for folder in (self.folder, self.secrets, self.inputs, self.driver_log.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def write_order(self, order: contract.Order) -> None:
        write_json(self.folder / contract.ORDER, order.to_json())

    def write_secrets(self, secrets: Mapping[str, bytes]) -> None:
        for name, content in secrets.items():
            write_whole(self.secrets / name, content)

    def ask_end(self) -> None:
        (self.folder / contract.CANCEL).touch(mode=0o600)

    @property
    def is_running(self) -> bool:
        """Whether a driver holds the lock."""
        return is_held(self.folder / contract.LOCK)

    @property
    def progress(self) -> dict[str, Any]:
        """Empty until a driver has said something."""
        said: dict[str, Any] = made_storable(read_json(self.folder / contract.PROGRESS))
        return said

    def events_since(self, offset: int) -> tuple[list[dict[str, Any]], int]:
        """Whole lines, and where the next one begins; one that is longer than what is read at once is passed over, piece by piece."""
        try:
            with (self.folder / contract.EVENTS).open("rb") as file:
                file.seek(offset)
                said = file.read(MOST_EVENTS)
        except OSError:
            return [], offset
        end = said.rfind(b"\n") + 1
        whole = said if len(said) == MOST_EVENTS and not end else said[:end]
        return list(_parsed(whole)), offset + len(whole)

    def last_lines(self, most: int = 50) -> list[str]:
        """Of what the driver itself said."""
        try:
            with self.driver_log.open("rb") as file:
                file.seek(max(0, self.driver_log.stat().st_size - 64_000))
                lines: list[str] = made_storable(file.read().decode(errors="replace").splitlines()[-most:])
                return lines
        except OSError:
            return []

    def forget_secrets(self) -> None:
        shutil.rmtree(self.secrets, ignore_errors=True)

    def clear(self) -> int:
        """All but the answers; how many bytes that were."""
        if not self.folder.is_dir():
            return 0
        freed = 0
        for each in [path for path in self.folder.iterdir() if path != self.output]:
            freed += _size(each)
            _remove(each)
        return freed

    def remove(self) -> None:
        """Out of its place first, so that nobody takes half of it for whole."""
        if self.folder.is_dir():
            aside = self.folder.with_name(f".{self.folder.name}.gone")
            shutil.rmtree(aside, ignore_errors=True)
            self.folder.rename(aside)
            _remove(aside)


def _parsed(lines: bytes) -> Iterator[dict[str, Any]]:
    for line in lines.splitlines():
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if isinstance(said, dict):
            yield made_storable(said)


def _size(path: Path) -> int:
    return sum(each.lstat().st_size for each in (path, *path.rglob("*")) if not each.is_dir())


def _remove(path: Path) -> None:
    """Also laid-down trees, whose folders may be read-only."""
    if path.is_dir() and not path.is_symlink():
        for each in (path, *path.rglob("*")):
            if each.is_dir() and not each.is_symlink():
                each.chmod(0o700)
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
