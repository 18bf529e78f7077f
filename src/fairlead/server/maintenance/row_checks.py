"""Do rows agree with each other: the schema, references, versions without gaps, aliases, uses, services?"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import func, select, text, update
from sqlalchemy.orm import aliased

from fairlead.errors import FairleadError
from fairlead.server import schema
from fairlead.server.clock import now
from fairlead.server.maintenance.findings import Finding, Ground
from fairlead.server.tables import guards
from fairlead.server.tables.access import PrincipalRow, SecretRow
from fairlead.server.tables.environments import EnvironmentUseRow
from fairlead.server.tables.registry import ModelAliasRow, ModelRow, ModelUseRow, ModelVersionRow
from fairlead.server.tables.services import EndpointRow, RevisionRow, ServiceRow

REPORT = "This is a fault of Fairlead: report it with the output of `fairlead server fsck --json`."
REPAIR = "Run `fairlead server fsck --repair`."


def database_itself(ground: Ground) -> Iterator[Finding]:
    """The file's own structure, and rows that refer to nothing."""
    if not ground.database.is_sqlite:
        return
    for (said,) in ground.connection.execute(text("PRAGMA integrity_check" if ground.deep else "PRAGMA quick_check")).all():
        if said != "ok":
            yield Finding(what="database-damaged", message=f"SQLite says: {said}", cure="Restore the last backup; see to the disk before that.")
    for table, row, parent, _ in ground.connection.execute(text("PRAGMA foreign_key_check")).all():
        yield Finding(what="row-refers-to-nothing", message=f"Row {row} of {table} refers to a row of {parent} that is not there.", cure=REPORT)


def audit_guards(ground: Ground) -> Iterator[Finding]:
    """The database still refuses to change the audit log."""
    lite = ground.database.is_sqlite
    asked = "SELECT name FROM sqlite_master WHERE type = 'trigger'" if lite else "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal"
    there = set(ground.connection.scalars(text(asked)))
    for table in guards.APPEND_ONLY:
        wanted = guards.sqlite_triggers(table) if lite else guards.postgresql_triggers(table)
        lacking = [name for name in wanted if name not in there and not name.endswith("_refuse")]
        if lacking and ground.repair:
            for statement in wanted.values():
                if lite:
                    ground.connection.execute(text(f"DROP TRIGGER IF EXISTS {statement.split()[2]}"))
                ground.connection.exec_driver_sql(statement)
        if lacking:
            yield Finding(what="audit-unguarded", message=f"Nothing keeps rows of {table} from being changed.", cure=REPAIR, repaired=ground.repair)


def someone_in_charge(ground: Ground) -> Iterator[Finding]:
    if ground.connection.scalar(select(func.count()).select_from(PrincipalRow).where(PrincipalRow.is_admin)) == 0:
        yield Finding(what="no-administrator", message="Nobody is an administrator of this server.", cure="Restore a backup in which somebody is.")


def dense_versions(ground: Ground) -> Iterator[Finding]:
    """As many versions as were counted, from 1 on, and the latest is the highest that can be used."""
    usable = (ModelVersionRow.deleted_at.is_(None), ModelVersionRow.archived_at.is_(None))
    asked = (
        select(
            ModelRow.id,
            ModelRow.name,
            ModelRow.last_version,
            ModelRow.latest_version,
            func.count(ModelVersionRow.id),
            func.max(ModelVersionRow.version),
            func.coalesce(func.max(ModelVersionRow.version).filter(*usable), 0),
        )
        .outerjoin(ModelVersionRow, ModelVersionRow.model_id == ModelRow.id)
        .group_by(ModelRow.id)
    )
    for row_id, name, last, latest, count, highest, right in ground.connection.execute(asked).all():
        ground.checked += 1
        if not last == count == (highest or 0):
            yield Finding(what="versions-miscounted", message=f"The model {name!r} counted {last} versions; {count} are there, up to {highest}.", cure=REPORT)
        if latest != right:
            if ground.repair:
                ground.connection.execute(update(ModelRow).where(ModelRow.id == row_id).values(latest_version=right))
            message = f"The latest version of {name!r} is {right}, and its row says {latest}."
            yield Finding(what="latest-wrong", message=message, cure=REPAIR, repaired=ground.repair)


def aliases(ground: Ground) -> Iterator[Finding]:
    """Each names a version of its own model that is not deleted."""
    asked = select(ModelAliasRow.alias, ModelRow.name, ModelAliasRow.version, ModelVersionRow.deleted_at, ModelVersionRow.model_id == ModelAliasRow.model_id)
    joined = asked.join(ModelRow, ModelRow.id == ModelAliasRow.model_id).join(ModelVersionRow, ModelVersionRow.id == ModelAliasRow.version_id)
    for alias, name, version, deleted_at, is_own in ground.connection.execute(joined).all():
        ground.checked += 1
        if deleted_at is not None or not is_own:
            cure = f"Move or delete the alias: `fairlead model alias set {name} {alias} VERSION`."
            yield Finding(what="alias-points-nowhere", message=f"{name}@{alias} names version {version}, which is deleted or not its own.", cure=cure)


def uses(ground: Ground) -> Iterator[Finding]:
    """Only what lives keeps a version from being deleted."""
    for table in (ModelUseRow, EnvironmentUseRow):
        asked = select(table.id, table.name, ServiceRow.id, ServiceRow.deleted_at).outerjoin(ServiceRow, ServiceRow.id == table.object_id)
        for use, name, service, deleted_at in ground.connection.execute(asked.where(table.until.is_(None), table.kind == "service")).all():
            ground.checked += 1
            if not service or deleted_at is not None:
                if ground.repair:
                    ground.connection.execute(update(table).where(table.id == use).values(until=now()))
                message = f"The service {name!r} is gone, and {table.__tablename__} {use} says it is in use."
                yield Finding(what="use-of-nothing", message=message, cure=REPAIR, repaired=ground.repair)


def deleted_versions(ground: Ground) -> Iterator[Finding]:
    """None of them is in use."""
    asked = select(ModelVersionRow.name, ModelVersionRow.version, ModelUseRow.name).join(ModelUseRow, ModelUseRow.version_id == ModelVersionRow.id)
    for name, version, service in ground.connection.execute(asked.where(ModelUseRow.until.is_(None), ModelVersionRow.deleted_at.is_not(None))).all():
        message = f"{name}:{version} is deleted, and the service {service!r} uses it."
        yield Finding(what="deleted-in-use", message=message, cure=f"Update the service {service!r} to another version.")


def service_rows(ground: Ground) -> Iterator[Finding]:
    """The revisions that a service wants and has are there."""
    wanted, serving = aliased(RevisionRow), aliased(RevisionRow)
    asked = select(ServiceRow.name, ServiceRow.wanted_revision, wanted.id, ServiceRow.serving_revision, serving.id).where(ServiceRow.deleted_at.is_(None))
    for each, column in ((wanted, ServiceRow.wanted_revision), (serving, ServiceRow.serving_revision)):
        asked = asked.outerjoin(each, (each.service_id == ServiceRow.id) & (each.number == column))
    for name, want, want_id, serve, serve_id in ground.connection.execute(asked).all():
        ground.checked += 1
        for number, found in ((want, want_id), (serve, serve_id)):
            if number is not None and not found:
                message = f"The service {name!r} refers to its revision {number}, which is not there."
                yield Finding(what="revision-lost", message=message, cure=f"Deploy {name!r} again. {REPORT}")


def sealed_rows(ground: Ground) -> Iterator[Finding]:
    """Keys and secrets can be opened with the master key that there is."""
    cure = "Start the server with the master key that it had (FAIRLEAD_MASTER_KEY, or --master-key-file), or set the secret again."
    living = select(EndpointRow.id, EndpointRow.sealed_primary, ServiceRow.name).join(ServiceRow, ServiceRow.endpoint_id == EndpointRow.id)
    keys = ground.connection.execute(living.where(EndpointRow.sealed_primary.is_not(None), ServiceRow.deleted_at.is_(None))).all()
    sealed = [(row.id, row.sealed, f"The secret {row.name!r}") for row in ground.connection.execute(select(SecretRow)).all()]
    sealed += [(f"{row.id}.primary", row.sealed_primary, f"The primary key of {row.name!r}") for row in keys]
    for belongs_to, content, shown in sealed:
        ground.checked += 1
        try:
            if ground.seal is None:
                raise FairleadError("there is no master key")
            ground.seal.open(content, belongs_to)
        except FairleadError:
            yield Finding(what="secret-sealed", message=f"{shown} cannot be opened with this server's master key.", cure=cure)


def schema_itself(ground: Ground) -> Iterator[Finding]:
    found, newest = schema.revision_of(ground.connection), schema.revisions()[-1]
    if found != newest:
        yield Finding(what="schema-old", message=f"The schema is at {found}, and this version needs {newest}.", cure="Run `fairlead server upgrade`.")
