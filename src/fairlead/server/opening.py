"""Puts a server's parts together: database, key, store, targets, and the loop that acts by itself."""

from __future__ import annotations

from pathlib import Path

from fairlead import places
from fairlead.errors import BootFailure
from fairlead.server import schema, sealing
from fairlead.server.bootstrap import bootstrap
from fairlead.server.context import Context
from fairlead.server.db import Database
from fairlead.server.images import trust
from fairlead.server.images.assembling import Yard
from fairlead.server.images.imaging import Imaging
from fairlead.server.jobs.driving import Driving, Limits
from fairlead.server.jobs.preparation import JobPreparation
from fairlead.server.making.caches import Caches
from fairlead.server.means import Means
from fairlead.server.news import News
from fairlead.server.node import Node
from fairlead.server.services.preparation import Preparation
from fairlead.server.services.reconcile import Upkeep
from fairlead.server.settings import Settings
from fairlead.server.targets import targets_of
from fairlead.server.work import Loop
from fairlead.stores import Store, check_store, open_store


def open_context(settings: Settings) -> Context:
    """Raises BootFailure, Unavailable, UsageError."""
    node = Node(settings.state_dir)
    database = open_database(settings)
    bootstrap(database, settings.state_dir)
    store = open_files(settings)
    check_store(store)
    return Context(
        settings=settings,
        database=database,
        seal=sealing.load(settings),
        store=store,
        node=node,
        news=News(),
        targets=targets_of(settings, store),
    )


def open_database(settings: Settings) -> Database:
    """With the newest schema."""
    database = reach_database(settings)
    schema.ensure(database)
    return database


def reach_database(settings: Settings, called: str = "fairlead server") -> Database:
    """As it is."""
    database = Database(settings.database, called=called)
    folder = Path(str(database.engine.url.database)).parent
    network = places.network_filesystem(folder) if database.is_sqlite else None
    if network:
        raise BootFailure(f"The database {database.shown} is on {network}, where SQLite loses data; put it on a disk of this machine, or use PostgreSQL.")
    database.ping()
    return database


def open_files(settings: Settings) -> Store:
    try:
        places.make_private(settings.cache_dir)
    except OSError as error:
        raise BootFailure(
            f"The cache folder {settings.cache_dir} cannot be used ({error.strerror or error}); give the server one that it may write to with --cache-dir."
        ) from error
    return open_store(settings.store, spool=settings.cache_dir / "spool")


def loop_of(context: Context) -> Loop:
    """Everything that this server does without being asked."""
    settings, means = context.settings, means_of(context)
    yard = yard_of(context)
    preparation = Preparation(means, yard, lease_seconds=settings.lease_seconds, threads=settings.workers)
    upkeep = Upkeep(means, lease_seconds=settings.lease_seconds, threads=settings.workers)
    imaging = Imaging(means, yard, lease_seconds=settings.lease_seconds, threads=settings.workers)
    threads, leases = settings.workers, settings.lease_seconds
    preparing = JobPreparation(means, context.store, lease_seconds=leases, threads=threads)
    driving = Driving(means, context.store, lease_seconds=leases, threads=threads, limits=Limits(settings.state_dir, settings.batch_jobs))
    return Loop((preparation, upkeep, imaging, preparing, driving), settings.lease_seconds, context.news)


def yard_of(context: Context) -> Yard:
    """Where this server builds images. Raises BootFailure."""
    settings = context.settings
    return Yard(
        store=context.store,
        cache=settings.images_cache,
        base=settings.image_base,
        seal=context.seal,
        docker_host=settings.docker_host,
        may_build=settings.may_build,
        lends_logins=settings.local,
        key=trust.key_of(settings.image_key),
    )


def means_of(context: Context) -> Means:
    settings = context.settings
    return Means(
        database=context.database,
        seal=context.seal,
        caches=Caches(settings.cache_dir, settings.state_dir / "private"),
        targets=context.targets,
        node=context.node.id,
        news=context.news,
        unsafe_formats=settings.formats,
    )
