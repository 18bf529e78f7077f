"""Clears up what this machine can make again: environments, bundles laid down, parts of images, and what is left of services that are gone."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy import select

from fairlead.images.kept import Kept
from fairlead.server.clock import now
from fairlead.server.db import Database
from fairlead.server.making.caches import Caches
from fairlead.server.node import ID_FILE
from fairlead.server.settings import Settings
from fairlead.server.tables.jobs import JobRow
from fairlead.server.tables.services import RevisionRow, ServiceRow
from fairlead.targets.local import LocalTarget

DEBRIS_AFTER = timedelta(days=1)
GB = 10**9


@dataclass(frozen=True)
class Tidied:
    """`bytes`: also of parts of images."""

    environments: int
    bundles: int
    bytes: int


@dataclass(frozen=True)
class _Needed:
    """What services and jobs of this machine run, or are about to."""

    bundles: set[str]
    locks: set[str]


def clear(settings: Settings, database: Database, older_than: timedelta, *, dry_run: bool) -> Tidied:
    caches = Caches(settings.cache_dir, settings.state_dir / "private")
    needed = _needed(database)
    environments, freed = _clear_environments(caches, needed.locks, older_than, dry_run=dry_run)
    bundles = [path for path in _children(caches.folder / "bundles") if path.name not in needed.bundles and _age(path) > older_than]
    freed += sum(_size(path) for path in bundles)
    freed += Kept(settings.images_cache).forget(older_than.total_seconds(), dry_run=dry_run)
    if not dry_run:
        for path in (*bundles, *_debris(caches), *_debris_of_images(settings)):
            remove(path)
        _clear_services(settings, database, older_than)
        freed += Kept(settings.images_cache).trim(int(settings.keep_layers_gb * GB))
    return Tidied(environments, len(bundles), freed)


def _needed(database: Database) -> _Needed:
    """Of every living service, and every job that is not over, wherever it runs: what another machine has is not here anyway."""
    asked = select(RevisionRow.bundle_digest, RevisionRow.lock_digest).join(ServiceRow, ServiceRow.id == RevisionRow.service_id)
    on_stage = RevisionRow.number.in_([ServiceRow.wanted_revision, ServiceRow.serving_revision, ServiceRow.applied_revision])
    jobs = select(JobRow.bundle_digest, JobRow.batch_lock_digest).where(JobRow.finished_at.is_(None))
    with database.reading() as session:
        rows = [*session.execute(asked.where(ServiceRow.deleted_at.is_(None), on_stage)).all(), *session.execute(jobs).all()]
    return _Needed({bundle for bundle, _ in rows if bundle}, {lock for _, lock in rows if lock})


def _clear_environments(caches: Caches, keep: set[str], older_than: timedelta, *, dry_run: bool) -> tuple[int, int]:
    unused = caches.builder.unused(older_than=older_than.total_seconds(), keep=keep)
    if dry_run:
        return len(unused), sum(each.size for each in unused)
    gone = [each for each in unused if caches.builder.remove(each.digest)]
    for digest in caches.builder.debris():
        if _age(caches.folder / "environments" / digest) > DEBRIS_AFTER:
            caches.builder.remove(digest)
    return len(gone), sum(each.size for each in gone)


def _debris(caches: Caches) -> list[Path]:
    """What killed processes left, and marks of checks that can be made again."""
    making = [path for path in _children(caches.folder / "making") if _age(path) > DEBRIS_AFTER]
    return making + [path for path in _children(caches.folder / "checked") if _age(path) > DEBRIS_AFTER * 30]


def _debris_of_images(settings: Settings) -> list[Path]:
    """Bases and contexts that were laid down for builds, by processes that were killed."""
    return [path for path in _children(settings.images_cache) if path.is_dir() and path.name.startswith(".") and _age(path) > DEBRIS_AFTER]


def _clear_services(settings: Settings, database: Database, older_than: timedelta) -> None:
    """Logs and working folders of services that were deleted on this machine, long ago."""
    for handle in gone_services(settings, database, older_than) - set(LocalTarget(settings.state_dir).handles()):
        remove(settings.state_dir / "services" / handle)
        remove(settings.state_dir / "private" / handle)


def gone_services(settings: Settings, database: Database, older_than: timedelta) -> set[str]:
    """Handles of those that were deleted on this machine so long ago."""
    path = settings.state_dir / ID_FILE
    here = path.read_text(encoding="ascii").strip() if path.exists() else ""
    gone = select(ServiceRow.handle).where(ServiceRow.deleted_at < now() - older_than, ServiceRow.place == here)
    with database.reading() as session:
        return set(session.scalars(gone))


def _children(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _age(path: Path) -> timedelta:
    try:
        return timedelta(seconds=time.time() - path.stat().st_mtime)
    except OSError:
        return timedelta(0)


def _size(path: Path) -> int:
    return sum(each.lstat().st_size for each in path.rglob("*") if not each.is_dir())


def remove(path: Path) -> None:
    """Out of its place first: nobody takes half a bundle for a whole one."""
    if path.is_file():
        path.unlink(missing_ok=True)
    elif path.is_dir():
        aside = path.with_name(f".{path.name}.gone")
        shutil.rmtree(aside, ignore_errors=True)
        path.rename(aside)
        _writable(aside)
        shutil.rmtree(aside, ignore_errors=True)


def _writable(folder: Path) -> None:
    for each in (folder, *folder.rglob("*")):
        if each.is_dir() and not each.is_symlink():
            each.chmod(0o700)
