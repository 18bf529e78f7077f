"""Finding an environment by its name, and a version by number or `latest`."""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from fairlead.errors import Conflict, NotFound
from fairlead.server.access import Access
from fairlead.server.clock import now
from fairlead.server.ids import new_id
from fairlead.server.tables.environments import EnvironmentRow, EnvironmentVersionRow


def environment_named(session: Session, workspace_id: str, name: str, *, lock: bool = False) -> EnvironmentRow:
    """Raises NotFound."""
    chosen = select(EnvironmentRow).where(is_named(workspace_id, name))
    row = session.scalars(chosen.with_for_update() if lock else chosen).one_or_none()
    if row is None:
        raise NotFound(f"There is no environment {name!r} in this workspace; `fairlead environment list` shows those there are.")
    return row


def version_of(session: Session, workspace_id: str, name: str, version: str) -> EnvironmentVersionRow:
    """`version`: a number or `latest`. Raises NotFound."""
    wanted = EnvironmentRow.latest_version if version == "latest" else int(version)
    chosen = (
        select(EnvironmentVersionRow)
        .join(EnvironmentRow, EnvironmentRow.id == EnvironmentVersionRow.environment_id)
        .where(is_named(workspace_id, name), EnvironmentVersionRow.version == wanted, EnvironmentVersionRow.deleted_at.is_(None))
    )
    row = session.scalars(chosen).one_or_none()
    if row is None:
        raise _missing(environment_named(session, workspace_id, name), version)
    return row


def hold(session: Session, environment_id: str) -> EnvironmentRow:
    """The environment's row, locked until the transaction ends: changes of one environment happen one after the other."""
    return session.get_one(EnvironmentRow, environment_id, with_for_update=True, populate_existing=True)


def refuse_deleted(session: Session, row: EnvironmentVersionRow) -> None:
    """Raises NotFound when it was deleted before its environment was held."""
    session.refresh(row)
    if row.deleted_at is not None:
        raise NotFound(f"{row.name}:{row.version} was deleted meanwhile; `fairlead environment list {row.name}` shows the versions there are.")


def take_number(session: Session, access: Access, name: str) -> EnvironmentRow:
    """The environment's row, new or not, held, its `last_version` counted on. Raises Conflict when the name is known in another spelling."""
    taken = _count_on(session, access.workspace_id, name)
    if taken is None:
        _add(session, access, name)
        taken = _count_on(session, access.workspace_id, name)
    if taken is None:
        raise Conflict(f"The environment {name!r} was deleted at this moment; create it again.")
    row = hold(session, taken)
    if row.name != name:
        raise Conflict(f"There is an environment {row.name!r}, and names that differ only in case are one; write it so, or choose another name.")
    return row


def is_named(workspace_id: str, name: str) -> ColumnElement[bool]:
    return and_(EnvironmentRow.workspace_id == workspace_id, EnvironmentRow.folded == name.lower(), EnvironmentRow.deleted_at.is_(None))


def _count_on(session: Session, workspace_id: str, name: str) -> str | None:
    counted = update(EnvironmentRow).where(is_named(workspace_id, name)).values(last_version=EnvironmentRow.last_version + 1)
    return session.scalar(counted.returning(EnvironmentRow.id))


def _add(session: Session, access: Access, name: str) -> None:
    """Whoever loses the race for a new name finds the winner's row."""
    at = now()
    said = {"created_at": at, "updated_at": at, "created_by": access.principal, "etag": 1, "last_version": 0, "latest_version": 0, "versions": 0}
    row = EnvironmentRow(id=new_id(), workspace_id=access.workspace_id, name=name, folded=name.lower(), **said)
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        pass


def _missing(environment: EnvironmentRow, version: str) -> NotFound:
    if version == "latest":
        return NotFound(f"The environment {environment.name!r} has no latest version: all are archived or deleted. Name one by its number.")
    listed = f"`fairlead environment list {environment.name}` shows the versions there are"
    return NotFound(f"There is no {environment.name}:{version}; the last that was created is {environment.last_version}. {listed}.")
