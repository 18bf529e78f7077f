"""Rules of registered environments."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from fairlead.environments import locking
from fairlead.environments.spec import EnvironmentSpec
from fairlead.errors import InUse, Unavailable
from fairlead.schemas.environments import (
    Environment,
    EnvironmentChange,
    EnvironmentDifference,
    EnvironmentVersion,
    NewEnvironmentVersion,
    parse_environment,
)
from fairlead.schemas.wire import Page
from fairlead.server import audit, faults
from fairlead.server.access import Access
from fairlead.server.clock import now
from fairlead.server.conditional import check_tag
from fairlead.server.environments import uses
from fairlead.server.ids import new_id
from fairlead.server.numbered import ENVIRONMENTS
from fairlead.server.paging import Paging, page
from fairlead.server.tables.environments import EnvironmentRow, EnvironmentVersionRow

CREATED = faults.FaultPoint("environments.create.before-commit", "a version and its lock are written, not committed")
AT_ONCE = 4
PATIENCE = 30.0
_locking = threading.BoundedSemaphore(AT_ONCE)


def lock(body: NewEnvironmentVersion) -> locking.Lock:
    """Asks the index, so no transaction may be open. Raises EnvironmentFailure, UsageError, Unavailable."""
    spec = EnvironmentSpec.from_json(body.spec)
    if not _locking.acquire(timeout=PATIENCE):
        raise Unavailable(f"{AT_ONCE} environments are being locked at this moment; try again.")
    try:
        return locking.lock(spec)
    finally:
        _locking.release()


def create(session: Session, access: Access, body: NewEnvironmentVersion, made: locking.Lock) -> EnvironmentVersion:
    """The next version of the name; the latest one itself when it says the same. Raises Conflict when the name is known in another spelling."""
    spec = EnvironmentSpec.from_json(body.spec).to_json()
    digest = hashlib.sha256(made.text.encode()).hexdigest()
    environment = ENVIRONMENTS.take_number(session, access, body.name)
    latest = _numbered(session, environment, environment.latest_version)
    if latest is not None and (latest.spec, latest.lock_digest, latest.python) == (spec, digest, made.python):
        environment.last_version -= 1
        session.flush()
        return to_wire(latest, whole=True)
    row = _row(access, environment, body, made)
    row.spec, row.lock_digest = spec, digest
    session.add(row)
    environment.latest_version, environment.versions = row.version, environment.versions + 1
    environment.updated_at, environment.etag = row.created_at, environment.etag + 1
    audit.record(session, access, "create", "environment", row.id, f"{row.name}:{row.version}", lock_digest=digest)
    session.flush()
    CREATED.reach()
    return to_wire(row, whole=True)


def resolve(session: Session, workspace_id: str, reference: str) -> EnvironmentVersionRow:
    """What `name`, `name:3` or `name:latest` means now; `spec_of` gives what a revision keeps of it. Raises NotFound, UsageError."""
    return ENVIRONMENTS.version_of(session, workspace_id, *parse_environment(reference))


def spec_of(row: EnvironmentVersionRow) -> EnvironmentSpec:
    """With its lock, so that whoever builds it gets what was locked when it was registered."""
    return EnvironmentSpec.from_json({**row.spec, "python": row.python, "lock": row.lock})


def lock_of(row: EnvironmentVersionRow) -> locking.Lock:
    """For this machine's platform; nothing is asked of an index."""
    return locking.lock(spec_of(row))


def list_environments(session: Session, workspace_id: str, paging: Paging, *, containing: str | None) -> Page[Environment]:
    chosen = select(EnvironmentRow).where(EnvironmentRow.workspace_id == workspace_id, EnvironmentRow.deleted_at.is_(None))
    if containing:
        chosen = chosen.where(EnvironmentRow.folded.contains(containing.lower(), autoescape=True))
    return page(session, chosen, [EnvironmentRow.folded], paging, environment_to_wire)


def list_versions(session: Session, environment: EnvironmentRow, paging: Paging) -> Page[EnvironmentVersion]:
    """Newest first."""
    living = (EnvironmentVersionRow.environment_id == environment.id) & EnvironmentVersionRow.deleted_at.is_(None)
    return page(session, select(EnvironmentVersionRow).where(living), [EnvironmentVersionRow.version], paging, to_wire, newest_first=True)


def change(session: Session, access: Access, row: EnvironmentVersionRow, body: EnvironmentChange, if_match: str | None) -> None:
    environment = ENVIRONMENTS.hold(session, row.environment_id)
    ENVIRONMENTS.refuse_deleted(session, row)
    check_tag(if_match, row, f"{row.name}:{row.version}")
    changes = body.model_dump(exclude_unset=True)
    if body.description is not None:
        row.description = body.description
    if body.archived is not None:
        row.archived = body.archived
    if body.tags is not None:
        row.tags = {name: value for name, value in {**row.tags, **body.tags}.items() if value is not None}
    row.updated_at, row.etag = now(), row.etag + 1
    session.flush()
    _settle(session, environment)
    audit.record(session, access, "change", "environment", row.id, f"{row.name}:{row.version}", **changes)


def delete_version(session: Session, access: Access, row: EnvironmentVersionRow, if_match: str | None) -> None:
    """Its number is not given again. Raises InUse while something uses it."""
    environment = ENVIRONMENTS.hold(session, row.environment_id)
    ENVIRONMENTS.refuse_deleted(session, row)
    check_tag(if_match, row, f"{row.name}:{row.version}")
    _refuse_used(session, f"{row.name}:{row.version}", [row.id])
    row.deleted_at = row.updated_at = now()
    row.etag += 1
    session.flush()
    _settle(session, environment)
    audit.record(session, access, "delete", "environment", row.id, f"{row.name}:{row.version}")


def delete(session: Session, access: Access, environment: EnvironmentRow, if_match: str | None) -> None:
    """With all its versions; the name is free again. Raises InUse while something uses one."""
    check_tag(if_match, environment, f"The environment {environment.name!r}")
    living = select(EnvironmentVersionRow.id).where(EnvironmentVersionRow.environment_id == environment.id, EnvironmentVersionRow.deleted_at.is_(None))
    _refuse_used(session, f"The environment {environment.name!r}", list(session.scalars(living)))
    at = now()
    session.execute(update(EnvironmentVersionRow).where(EnvironmentVersionRow.id.in_(living)).values(deleted_at=at, updated_at=at))
    environment.deleted_at = environment.updated_at = at
    environment.etag += 1
    audit.record(session, access, "delete", "environment", environment.id, environment.name)


def difference(first: EnvironmentVersionRow, second: EnvironmentVersionRow) -> EnvironmentDifference:
    return EnvironmentDifference(
        first=f"{first.name}:{first.version}",
        second=f"{second.name}:{second.version}",
        python=[first.python, second.python] if first.python != second.python else None,
        packages=_differing(first.packages, second.packages),
        variables=_differing(first.spec.get("variables", {}), second.spec.get("variables", {})),
    )


def environment_to_wire(row: EnvironmentRow) -> Environment:
    kept = ("id", "created_at", "created_by", "name", "latest_version", "versions", "updated_at")
    return Environment(**{name: getattr(row, name) for name in kept})


def to_wire(row: EnvironmentVersionRow, *, whole: bool = False) -> EnvironmentVersion:
    kept = ("id", "created_at", "created_by", "name", "version", "python", "lock_digest", "packages", "description", "tags", "archived", "updated_at")
    spec = {name: value for name, value in row.spec.items() if name != "lock"}
    return EnvironmentVersion(
        **{name: getattr(row, name) for name in kept},
        requirements=row.spec.get("requirements", []),
        variables=row.spec.get("variables", {}),
        spec=spec,
        lock=row.lock if whole else None,
    )


def _row(access: Access, environment: EnvironmentRow, body: NewEnvironmentVersion, made: locking.Lock) -> EnvironmentVersionRow:
    at = now()
    return EnvironmentVersionRow(
        id=new_id(),
        environment_id=environment.id,
        name=environment.name,
        version=environment.last_version,
        python=made.python,
        lock=made.text,
        packages=_packages(made),
        description=body.description,
        tags=body.tags,
        archived=False,
        created_at=at,
        created_by=access.principal,
        updated_at=at,
        etag=1,
    )


def _packages(made: locking.Lock) -> dict[str, str]:
    """Name to version; the versions when platforms differ."""
    found: dict[str, list[str]] = {}
    for line in made.requirements:
        requirement = Requirement(line)
        found.setdefault(canonicalize_name(requirement.name), []).append(str(requirement.specifier).lstrip("="))
    return {name: " or ".join(dict.fromkeys(versions)) for name, versions in sorted(found.items())}


def _numbered(session: Session, environment: EnvironmentRow, version: int) -> EnvironmentVersionRow | None:
    chosen = select(EnvironmentVersionRow).where(EnvironmentVersionRow.environment_id == environment.id, EnvironmentVersionRow.version == version)
    return session.scalars(chosen).one_or_none()


def _settle(session: Session, environment: EnvironmentRow) -> None:
    """What the environment's row says of its versions, after one of them changed."""
    living = (EnvironmentVersionRow.environment_id == environment.id) & EnvironmentVersionRow.deleted_at.is_(None)
    counted = select(func.count(), func.max(EnvironmentVersionRow.version).filter(EnvironmentVersionRow.archived.is_(False)))
    versions, latest = session.execute(counted.where(living)).one()
    environment.versions, environment.latest_version = versions, latest or 0
    environment.updated_at, environment.etag = now(), environment.etag + 1


def _refuse_used(session: Session, what: str, version_ids: list[str]) -> None:
    users = uses.names_of(session, version_ids)
    if users:
        raise InUse(f"{what} is used by {', '.join(users)}; delete or update {'it' if len(users) == 1 else 'them'} first.", used_by=users)


def _differing(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, list[str | None]]:
    every = sorted({*first, *second})
    return {name: [first.get(name), second.get(name)] for name in every if first.get(name) != second.get(name)}
