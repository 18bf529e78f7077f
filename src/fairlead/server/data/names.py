"""Finding a data set by its name, and a version by number or `latest`."""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from fairlead.errors import Conflict, NotFound
from fairlead.server.access import Access
from fairlead.server.clock import now
from fairlead.server.ids import new_id
from fairlead.server.tables.data import DatasetRow, DatasetVersionRow


def dataset_named(session: Session, workspace_id: str, name: str, *, lock: bool = False) -> DatasetRow:
    """Raises NotFound."""
    chosen = select(DatasetRow).where(is_named(workspace_id, name))
    row = session.scalars(chosen.with_for_update() if lock else chosen).one_or_none()
    if row is None:
        raise NotFound(f"There is no data set {name[:255]!r} in this workspace; `fairlead dataset list` shows those there are.")
    return row


def version_of(session: Session, workspace_id: str, name: str, version: str) -> DatasetVersionRow:
    """`version`: a number or `latest`. Raises NotFound."""
    wanted = DatasetRow.latest_version if version == "latest" else int(version)
    chosen = (
        select(DatasetVersionRow)
        .join(DatasetRow, DatasetRow.id == DatasetVersionRow.dataset_id)
        .where(is_named(workspace_id, name), DatasetVersionRow.version == wanted, DatasetVersionRow.deleted_at.is_(None))
    )
    row = session.scalars(chosen).one_or_none()
    if row is None:
        raise _missing(dataset_named(session, workspace_id, name), version)
    return row


def version_with_id(session: Session, workspace_id: str, version_id: str) -> DatasetVersionRow:
    """Raises NotFound."""
    row = session.get(DatasetVersionRow, version_id)
    if row is None or row.workspace_id != workspace_id or row.deleted_at is not None:
        raise NotFound(f"There is no data set with the id {version_id[:80]!r} in this workspace; `fairlead dataset list` shows those there are.")
    return row


def hold(session: Session, dataset_id: str) -> DatasetRow:
    """The data set's row, locked until the transaction ends: changes of one data set happen one after the other."""
    return session.get_one(DatasetRow, dataset_id, with_for_update=True, populate_existing=True)


def refuse_deleted(session: Session, row: DatasetVersionRow) -> None:
    """Raises NotFound when it was deleted before its data set was held."""
    session.refresh(row)
    if row.deleted_at is not None:
        raise NotFound(f"{row.name}:{row.version} was deleted meanwhile; `fairlead dataset list {row.name}` shows the versions there are.")


def take_number(session: Session, access: Access, name: str) -> DatasetRow:
    """The data set's row, new or not, held, its `last_version` counted on. Raises Conflict when the name is known in another spelling."""
    taken = _count_on(session, access.workspace_id, name)
    if taken is None:
        _add(session, access, name)
        taken = _count_on(session, access.workspace_id, name)
    if taken is None:
        raise Conflict(f"The data set {name!r} was deleted at this moment; register it again.")
    row = hold(session, taken)
    if row.name != name:
        raise Conflict(f"There is a data set {row.name!r}, and names that differ only in case are one; write it so, or choose another name.")
    return row


def is_named(workspace_id: str, name: str) -> ColumnElement[bool]:
    return and_(DatasetRow.workspace_id == workspace_id, DatasetRow.folded == name.lower(), DatasetRow.deleted_at.is_(None))


def _count_on(session: Session, workspace_id: str, name: str) -> str | None:
    counted = update(DatasetRow).where(is_named(workspace_id, name)).values(last_version=DatasetRow.last_version + 1)
    return session.scalar(counted.returning(DatasetRow.id))


def _add(session: Session, access: Access, name: str) -> None:
    """Whoever loses the race for a new name finds the winner's row."""
    at = now()
    said = {"created_at": at, "updated_at": at, "created_by": access.principal, "etag": 1, "last_version": 0, "latest_version": 0, "versions": 0}
    row = DatasetRow(id=new_id(), workspace_id=access.workspace_id, name=name, folded=name.lower(), **said)
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        pass


def _missing(dataset: DatasetRow, version: str) -> NotFound:
    if version == "latest":
        return NotFound(f"The data set {dataset.name!r} has no latest version: all are deleted.")
    listed = f"`fairlead dataset list {dataset.name}` shows the versions there are"
    return NotFound(f"There is no {dataset.name}:{version}; the last that was registered is {dataset.last_version}. {listed}.")
