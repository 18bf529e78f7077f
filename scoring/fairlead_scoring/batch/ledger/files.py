"""The ledger in files: lines on disk, objects in a store."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Dict, Mapping, Optional, Set

from fairlead_scoring.batch.ledger.holding import Hold
from fairlead_scoring.batch.ledger.layout import COMMIT, LINES, OBJECTS, ROWS, TEMPORARY
from fairlead_scoring.batch.ledger.ledger import Ledger
from fairlead_scoring.batch.ledger.lines import line_of, outcome_of, read_lines
from fairlead_scoring.batch.places import Place, Vanished
from fairlead_scoring.batch.places.disk import DiskPlace
from fairlead_scoring.batch.shards import Outcome


class FileLedger(Ledger):
    def __init__(self, place: Place, plan: Mapping[str, Any], hold: Hold) -> None:
        self.plan = plan
        self._place, self._hold = place, hold
        self._noted: Optional[Dict[int, Outcome]] = None

    def done(self) -> Dict[int, Outcome]:
        if self._noted is None:
            noted = self._read()
            there = sizes_in(self._place) if noted else {}
            self._noted = {number: each for number, each in sorted(noted.items()) if _is_there(each, there)}
        return dict(self._noted)

    def note(self, outcome: Outcome) -> None:
        self._hold.check()
        self._write(outcome)
        if self._noted is not None:
            self._noted[outcome.shard] = outcome

    def commit(self, manifest: Mapping[str, Any]) -> None:
        self._hold.check()
        self._place.put(COMMIT, json.dumps(manifest, indent=1).encode())
        for folder in (ROWS, TEMPORARY):
            self._place.delete_folder(folder)

    def close(self) -> None:
        self._hold.release()

    def _read(self) -> Dict[int, Outcome]:
        raise NotImplementedError

    def _write(self, outcome: Outcome) -> None:
        raise NotImplementedError


class DiskLedger(FileLedger):
    _place: DiskPlace

    def commit(self, manifest: Mapping[str, Any]) -> None:
        """The names of the parts must outlive a power failure before the manifest does."""
        self._place.flush_folders({part.path for each in self.done().values() for part in (*each.parts, *each.quarantine)} | {COMMIT})
        super().commit(manifest)
        self._place.flush_folders({COMMIT})

    def _read(self) -> Dict[int, Outcome]:
        if not self._place.exists(LINES):
            return {}
        content = self._place.read_bytes(LINES)
        found, end = read_lines(content)
        if end < len(content):
            os.truncate(self._place.url_of(LINES), end)
        return found

    def _write(self, outcome: Outcome) -> None:
        if self._noted is None:
            self.done()  # what is torn is cut off before anything is written behind it
        self._place.append_line(LINES, line_of(outcome))


class ObjectLedger(FileLedger):
    def _read(self) -> Dict[int, Outcome]:
        try:
            urls = [entry.url for entry in self._place.entries(OBJECTS)]
        except Vanished:
            return {}
        with ThreadPoolExecutor(16) as readers:
            outcomes = [outcome_of(content) for content in readers.map(self._place.read_bytes, urls)]
        return {outcome.shard: outcome for outcome in outcomes if outcome is not None}

    def _write(self, outcome: Outcome) -> None:
        self._place.put(f"{OBJECTS}/{outcome.shard:06d}.json", line_of(outcome))


class FinishedLedger(Ledger):
    """A job that was committed: its manifest says all."""

    plan: Mapping[str, Any] = {}

    def __init__(self, manifest: Dict[str, Any]) -> None:
        self.finished = manifest

    def done(self) -> Dict[int, Outcome]:
        return {}

    def note(self, outcome: Outcome) -> None:
        raise AssertionError(f"shard {outcome.shard} of a finished job")

    def commit(self, manifest: Mapping[str, Any]) -> None:
        raise AssertionError(f"a finished job: {manifest.get('job')}")

    def close(self) -> None:
        """Nothing is held."""


def sizes_in(place: Place) -> Dict[str, int]:
    """Every file of an output, by its path below it."""
    start = len(place.url_of("")) + 1
    try:
        return {entry.url[start:]: entry.size for entry in place.entries("", hidden=True)}
    except Vanished:
        return {}


def parts_of(outcome: Outcome) -> Set[str]:
    return {part.path for part in (*outcome.parts, *outcome.quarantine)}


def _is_there(outcome: Outcome, sizes: Mapping[str, int]) -> bool:
    return all(sizes.get(part.path) == part.bytes for part in (*outcome.parts, *outcome.quarantine))
