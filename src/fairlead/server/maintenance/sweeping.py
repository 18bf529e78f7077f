"""Clearing up: everything that nobody needs any more, in the database, the store and on this machine. The audit log is not touched."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from fairlead.errors import FairleadError
from fairlead.server import once
from fairlead.server.blobs.collecting import forget_stale_uploads
from fairlead.server.db import Database
from fairlead.server.locks import held_if_free
from fairlead.server.maintenance import caches_of_machine, contents, engines, jobs_long_over
from fairlead.server.settings import Settings
from fairlead.server.tables.access import WorkspaceRow
from fairlead.stores import Store

MARK = "swept"
FIRST_AFTER = 60.0  # seconds: a server that is started for one command is left in peace
LOG = logging.getLogger("fairlead.server.maintenance")


@dataclass(frozen=True)
class Parts:
    settings: Settings
    database: Database
    store: Store


@dataclass(frozen=True, kw_only=True)
class Summary:
    """`images`: of container engines. `jobs`: whose logs and bundles went. `freed_bytes`: of the store and of this machine's caches.

    With dry_run: what would go.
    """

    dry_run: bool
    released_contents: int
    swept_contents: int
    uploads: int
    answers: int
    environments: int
    bundles: int
    images: int
    jobs: int
    freed_bytes: int
    workspaces: list[dict[str, Any]] = field(default_factory=list)


def sweep_all(parts: Parts, *, dry_run: bool = False) -> Summary | None:
    """None when somebody else is at it, or makes a backup."""
    settings, database = parts.settings, parts.database
    with held_if_free(database, "maintenance") as free:
        if not free:
            return None
        answers = 0 if dry_run else _forget_answers(database)
        uploads = 0 if dry_run else forget_stale_uploads(parts, timedelta(days=settings.keep_uploads_days))
        jobs = jobs_long_over.clear(settings, database, timedelta(days=settings.keep_jobs_days), dry_run=dry_run)
        cleared = contents.clear(database, parts.store, timedelta(days=settings.keep_contents_days), dry_run=dry_run)
        tidied = caches_of_machine.clear(settings, database, timedelta(days=settings.keep_caches_days), dry_run=dry_run)
        images = engines.clear(settings, database, parts.store, timedelta(days=settings.keep_caches_days), dry_run=dry_run)
        return Summary(
            dry_run=dry_run,
            released_contents=cleared.released,
            swept_contents=cleared.swept.blobs,
            uploads=uploads + cleared.swept.uploads,
            answers=answers,
            environments=tidied.environments,
            bundles=tidied.bundles,
            images=len(images),
            jobs=jobs,
            freed_bytes=cleared.swept.bytes + tidied.bytes,
            workspaces=_workspaces(database),
        )


class Sweeper:
    """Clears up by itself, once in `sweep_hours`, however often the server is started anew."""

    def __init__(self, parts: Parts, first_after: float = FIRST_AFTER) -> None:
        self._parts = parts
        self._first_after = first_after
        self._mark = parts.settings.state_dir / MARK
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)

    def start(self) -> None:
        if self._parts.settings.sweep_hours > 0:
            self._thread.start()

    def stop(self) -> None:
        self._stopping.set()

    def pause(self) -> float:
        """Seconds until the next time."""
        return max(self._first_after, self._parts.settings.sweep_hours * 3600 - _age(self._mark))

    def _run(self) -> None:
        while not self._stopping.wait(self.pause()):
            try:
                summary = sweep_all(self._parts)
            except (FairleadError, SQLAlchemyError, OSError) as error:
                LOG.warning("nothing was cleared up: %s", str(error).splitlines()[0])
            else:
                if summary is not None:
                    LOG.info("cleared up", extra={name: value for name, value in asdict(summary).items() if name != "workspaces"})
            try:
                self._mark.touch()
            except OSError as error:
                LOG.warning("that it was cleared up cannot be noted: %s", error)


def _age(mark: Path) -> float:
    try:
        return time.time() - mark.stat().st_mtime
    except FileNotFoundError:
        return float("inf")


def _forget_answers(database: Database) -> int:
    with database.writing() as session:
        return once.forget(session)


def _workspaces(database: Database) -> list[dict[str, Any]]:
    asked = select(WorkspaceRow.name, WorkspaceRow.used_bytes, WorkspaceRow.quota_bytes).where(WorkspaceRow.deleted_at.is_(None)).order_by(WorkspaceRow.name)
    with database.reading() as session:
        return [{"name": name, "used_bytes": used, "quota_bytes": quota} for name, used, quota in session.execute(asked)]
