"""Begins a job's output, or goes on with it: never with another job's."""

from __future__ import annotations

import json
import os
import platform
from typing import Any, Callable, Dict, Mapping, Optional, Sequence

from fairlead_scoring.batch.job import Order
from fairlead_scoring.batch.ledger.database import open_in_database
from fairlead_scoring.batch.ledger.files import DiskLedger, FinishedLedger, ObjectLedger, parts_of, sizes_in
from fairlead_scoring.batch.ledger.holding import DiskLock, Hold, Lease
from fairlead_scoring.batch.ledger.layout import COMMIT, OWN_FOLDER, PLAN, QUARANTINE, TEMPORARY, is_part
from fairlead_scoring.batch.ledger.ledger import Ledger
from fairlead_scoring.batch.ledger.orders import differences, digest_of, essence
from fairlead_scoring.batch.places import Place, Refused, Vanished
from fairlead_scoring.batch.places.database import DatabasePlace
from fairlead_scoring.batch.places.disk import DiskPlace

VERSION = 1
MakePlan = Callable[[], Mapping[str, Any]]


def open_ledger(place: Place, order: Order, make_plan: MakePlan, *, overwrite: bool = False) -> Ledger:
    """place: the output's. make_plan is asked once in a job's life, and what it gave is kept. overwrite: removes first what we wrote there, and only that.

    Raises Refused for an output that is another job's, holds what we did not write, or is being written.
    """
    if isinstance(place, DatabasePlace):
        return open_in_database(place, order, make_plan)
    said = essence(order)
    if not overwrite:
        finished = _manifest(place, said)
        if finished is not None:
            return FinishedLedger(finished)
    hold = _hold(place, order)
    try:
        if overwrite:
            _remove_ours(place)
        place.delete_folder(TEMPORARY)
        plan = _take_plan(place, said, order, make_plan)
        return DiskLedger(place, plan, hold) if isinstance(place, DiskPlace) else ObjectLedger(place, plan, hold)
    except BaseException:
        hold.release()
        raise


def _hold(place: Place, order: Order) -> Hold:
    """Whose lease it is: of this job's driver on this machine, of which its own lock allows one."""
    _refuse_foreign(place)
    return DiskLock(place) if isinstance(place, DiskPlace) else Lease(place, f"{order.id} on {platform.node()}")


def _manifest(place: Place, said: Mapping[str, Any]) -> Optional[Dict[str, Any]]:
    found = _read(place, COMMIT)
    if found is None:
        return None
    if "digest" not in found:
        raise _foreign(place, COMMIT)
    if found["digest"] != digest_of(said):
        raise _of_another_job(place, _read(place, PLAN) or found, said)
    return found


def _take_plan(place: Place, said: Mapping[str, Any], order: Order, make_plan: MakePlan) -> Mapping[str, Any]:
    found = _read(place, PLAN)
    if found is None:
        found = {"version": VERSION, "job": order.id, "digest": digest_of(said), "order": said, "plan": make_plan()}
        if not place.create(PLAN, json.dumps(found).encode()):
            return _take_plan(place, said, order, make_plan)
    if found.get("version", 0) > VERSION:
        raise Refused(f"{place.url_of(PLAN)} was written by a newer release. Resume with that one, or give another --out.")
    if found["digest"] != digest_of(said):
        raise _of_another_job(place, found, said)
    plan: Mapping[str, Any] = found["plan"]
    return plan


def _read(place: Place, path: str) -> Optional[Dict[str, Any]]:
    try:
        found = json.loads(place.read_bytes(path))
    except Vanished:
        return None
    except ValueError:
        raise _foreign(place, path) from None
    return found if isinstance(found, dict) else {}


def _refuse_foreign(place: Place) -> None:
    """A folder with files and without our plan is somebody's data."""
    if place.exists(PLAN):
        return
    if isinstance(place, DiskPlace) and os.path.isfile(place.url):
        raise Refused(f"{place.url} is a file. Give a folder for --out.", cause="output-taken")
    foreign = next((path for path in sorted(sizes_in(place)) if not path.startswith(f"{OWN_FOLDER}/")), None)
    if foreign is not None:
        raise _foreign(place, foreign)


def _remove_ours(place: Place) -> None:
    """By the names that the plan gives; the lock stays, because it is held."""
    manifest = _read(place, COMMIT) or {}
    place.delete(COMMIT)  # first, so that nobody takes what is left for the whole
    named = {*(part["path"] for part in manifest.get("parts", ())), *_whole_file(place)}
    for path in sorted(sizes_in(place)):
        held = path.startswith((f"{OWN_FOLDER}/lock", f"{OWN_FOLDER}/lease/", PLAN))
        if not held and (path in named or is_part(path) or path.startswith((f"{OWN_FOLDER}/", f"{QUARANTINE}/"))):
            place.delete(path)
    place.delete(PLAN)  # last, because it says that the rest is ours


def _whole_file(place: Place) -> Sequence[str]:
    """What append_row makes of all rows, in the moment before the manifest names it."""
    output = ((_read(place, PLAN) or {}).get("order") or {}).get("output") or {}
    return (output["file_name"],) if output.get("action") == "append_row" else ()


def discard(place: Place, ledger: Ledger) -> None:
    """After a cancelled job: only whole shards stay."""
    if isinstance(place, DatabasePlace) or ledger.finished is not None:
        return
    whole = {path for outcome in ledger.done().values() for path in parts_of(outcome)}
    for path in sorted(sizes_in(place)):
        if is_part(path) and path not in whole:
            place.delete(path)
    for path in _whole_file(place):
        place.delete(path)
    place.delete_folder(TEMPORARY)


def _foreign(place: Place, path: str) -> Refused:
    return Refused(f"{place.url} is not empty, and Fairlead did not write it: it holds {path}. Give another --out.", cause="output-taken")


def _of_another_job(place: Place, found: Mapping[str, Any], said: Mapping[str, Any]) -> Refused:
    order = found.get("order")
    what = f": {differences(order, said)}" if isinstance(order, dict) else ""
    cure = "Give another --out, or --overwrite, which removes what that job wrote"
    return Refused(f"{place.url} is the output of another job, {found.get('job')}{what}. {cure}.", cause="output-taken")
