"""Does what runs on this machine, and what is on its way, agree with the rows?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from sqlalchemy import select

from fairlead.errors import FairleadError
from fairlead.server.clock import now
from fairlead.server.maintenance.findings import Finding, Ground
from fairlead.server.node import ID_FILE
from fairlead.server.tables.blobs import UploadRow
from fairlead.server.tables.services import ServiceRow
from fairlead.server.targets import used_here
from fairlead.targets.docker import DockerTarget
from fairlead.targets.local import LocalTarget

STALE = timedelta(days=14)
"""Twice of what clearing up takes (`Settings.keep_uploads_days`)."""


def workloads(ground: Ground) -> Iterator[Finding]:
    """What this machine's targets keep running is a service that somebody wants here."""
    path = ground.settings.state_dir / ID_FILE
    if not path.exists():
        return
    here = path.read_text(encoding="ascii").strip()
    targets, absent = used_here(ground.settings, ground.store)
    for name, target in targets.items():
        try:
            handles = target.handles()
        except FairleadError as error:
            absent[name] = str(error)
            continue
        yield from _unwanted(ground, target, handles, _wanted(ground, here, name))
    for name, why in absent.items():
        count = len(_wanted(ground, here, name))
        if count:
            cure = "Mend that, or delete the services, and check again."
            yield Finding(what="target-absent", message=f"{count} services run on the target {name}, which cannot be asked. {why}", cure=cure)


def _wanted(ground: Ground, here: str, target: str) -> set[str]:
    living = select(ServiceRow.handle).where(ServiceRow.deleted_at.is_(None), ServiceRow.place == here, ServiceRow.target == target)
    with ground.database.engine.connect() as fresh:  # asked after the target, which is told of nothing that is not committed
        return set(fresh.scalars(living))


def _unwanted(ground: Ground, target: LocalTarget | DockerTarget, handles: list[str], wanted: set[str]) -> Iterator[Finding]:
    for handle in handles:
        ground.checked += 1
        if handle not in wanted:
            if ground.repair and isinstance(target, DockerTarget):
                target.end(handle)  # containers end while somebody looks
            elif ground.repair:
                target.stop(handle)
            message = f"The workload {handle} runs on this machine, and no service wants it here."
            yield Finding(what="workload-unwanted", message=message, cure="Run `fairlead server fsck --repair`, which stops it.", repaired=ground.repair)


def stale_uploads(ground: Ground) -> Iterator[Finding]:
    """Uploads that nobody went on with, and that should have been cleared up."""
    border = now() - STALE
    rows = {row.id: row.created_at for row in ground.connection.execute(select(UploadRow.id, UploadRow.created_at)).all()}
    parts = {each.id: each.modified for each in ground.store.uploads()}
    for upload_id, at in sorted((rows | parts).items()):
        ground.checked += 1
        if max(at, parts.get(upload_id, at)) < border:
            yield Finding(what="upload-stale", message=f"The upload {upload_id} was left half-way at {at:%Y-%m-%d}.", cure="Run `fairlead server gc`.")
