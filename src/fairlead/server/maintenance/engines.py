"""Clears up in container engines what this server brought there: images that no service needs, volumes that were left, logs of containers long gone."""

from __future__ import annotations

import logging
from datetime import timedelta

from sqlalchemy import select

from fairlead.errors import FairleadError
from fairlead.server.db import Database
from fairlead.server.images.clearing import CURRENT
from fairlead.server.maintenance.caches_of_machine import gone_services, remove
from fairlead.server.settings import Settings
from fairlead.server.tables.services import RevisionRow, ServiceRow
from fairlead.server.targets import used_here
from fairlead.stores import Store
from fairlead.targets.docker import DockerTarget
from fairlead.targets.types import Image

LOG = logging.getLogger("fairlead.server.maintenance")


def clear(settings: Settings, database: Database, store: Store, older_than: timedelta, *, dry_run: bool) -> list[Image]:
    """The images that went. An engine that does not answer is cleared up another time."""
    gone: list[Image] = []
    for name, target in used_here(settings, store)[0].items():
        if not isinstance(target, DockerTarget):
            continue
        try:
            handles = set(target.handles())
            gone += target.tidy(_needed(database), older_than.total_seconds(), dry_run=dry_run)
        except FairleadError as error:
            LOG.warning("nothing was cleared up on the target %s: %s", name, error)
            continue
        if not dry_run:
            for handle in gone_services(settings, database, older_than) - handles:
                remove(settings.state_dir / name / handle)
    return gone


def _needed(database: Database) -> set[str]:
    """Ids of images that a living service answers with, or is about to."""
    asked = select(RevisionRow.image).join(ServiceRow, ServiceRow.id == RevisionRow.service_id)
    with database.reading() as session:
        found = session.scalars(asked.where(ServiceRow.deleted_at.is_(None), RevisionRow.image_id.is_not(None), CURRENT))
        return {str(each["id"]) for each in found if each}
