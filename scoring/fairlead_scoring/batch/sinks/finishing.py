"""The end of a job that went well: what is made of all shards, and the manifest that says what is there."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, Dict, List, Mapping, Sequence

from fairlead_scoring.batch.job import Order
from fairlead_scoring.batch.ledger import order_digest
from fairlead_scoring.batch.ledger.files import sizes_in
from fairlead_scoring.batch.ledger.layout import COMMIT, OWN_FOLDER, QUARANTINE
from fairlead_scoring.batch.places import Outgoing, Place, PlaceFault, Refused
from fairlead_scoring.batch.places.database import DatabasePlace
from fairlead_scoring.batch.shards import Outcome, Part

VERSION = 1
_COUNTS = ("items", "rows", "failed", "mini_batches", "tries")
_CHUNK = 8 << 20


def finish(order: Order, place: Place, outcomes: Mapping[int, Outcome]) -> Dict[str, Any]:
    """The manifest, for `Ledger.commit`. append_row's shards become one file, in their order. outcomes: every shard's."""
    assert order.output is not None, "a job that scores has an output"
    ordered = [outcomes[number] for number in sorted(outcomes)]
    parts = [part for outcome in ordered for part in outcome.parts]
    if order.output.action == "append_row" and not isinstance(place, DatabasePlace):
        parts = [_join(place, order.output.file_name, parts)]
    files = _files_of_script(place) if order.output.action == "summary_only" and not isinstance(place, DatabasePlace) else []
    quarantine = [part for outcome in ordered for part in outcome.quarantine]
    schemas = _schemas(parts)
    return {
        "version": VERSION,
        "job": order.id,
        "digest": order_digest(order),
        "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "shards": len(ordered),
        "totals": _totals(ordered, parts, quarantine),
        "schema": next(iter(schemas), None),
        "parts": [*(_plain(part) for part in parts), *files],
        "quarantine": [_plain(part) for part in quarantine],
        "notices": _notices(schemas),
    }


def _totals(ordered: Sequence[Outcome], parts: Sequence[Part], quarantine: Sequence[Part]) -> Dict[str, Any]:
    """seconds: of all workers together."""
    counts: Dict[str, Any] = {name: sum(getattr(outcome, name) for outcome in ordered) for name in _COUNTS}
    names = sorted({name for outcome in ordered for name in outcome.seconds})
    seconds = {name: round(sum(outcome.seconds.get(name, 0.0) for outcome in ordered), 3) for name in names}
    return {**counts, "bytes": sum(part.bytes for part in parts), "quarantined": sum(part.rows for part in quarantine), "seconds": seconds}


def _join(place: Place, name: str, parts: Sequence[Part]) -> Part:
    if not name or name[0] in "._" or "/" in name:
        raise Refused(f"{name!r} is no name for the file that append_row writes. Give a plain file name that does not begin with '_' or '.'.")
    with place.write(name) as whole:
        for part in parts:
            _append(place, part, whole)
    return Part(name, sum(part.rows for part in parts), whole.bytes, whole.sha256)


def _append(place: Place, part: Part, whole: Outgoing) -> None:
    before = whole.bytes
    with place.open(part.path) as stream:
        while chunk := stream.read(_CHUNK):
            whole.write(chunk)
    if whole.bytes - before != part.bytes:
        raise PlaceFault(
            f"{place.url_of(part.path)} has {whole.bytes - before} bytes, and {part.bytes} were written. Resume the job, so that it is written again."
        )


def _files_of_script(place: Place) -> List[Dict[str, Any]]:
    """What a script of summary_only wrote itself; rows and digests of it nobody knows."""
    own = (f"{OWN_FOLDER}/", f"{QUARANTINE}/", COMMIT)
    return [{"path": path, "bytes": size} for path, size in sorted(sizes_in(place).items()) if not path.startswith(own)]


def _schemas(parts: Sequence[Part]) -> Dict[str, str]:
    """Each schema, and the first part that has it."""
    found: Dict[str, str] = {}
    for part in parts:
        if part.schema:
            found.setdefault(part.schema, part.path)
    return found


def _notices(schemas: Mapping[str, str]) -> List[str]:
    if len(schemas) < 2:
        return []
    (one, first), (other, second) = list(schemas.items())[:2]
    cure = "Readers that expect one schema may refuse them; convert the answers in the script, such as with astype()"
    return [f"Parts differ in their columns: {first} has {one}; {second} has {other}. {cure}."]


def _plain(part: Part) -> Dict[str, Any]:
    return {"path": part.path, "rows": part.rows, "bytes": part.bytes, "sha256": part.sha256}
