"""Rules and queries of data sets: dense versions, definitions that never change, tags that do."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from fairlead.errors import Conflict, NotFound
from fairlead.schemas.data import Dataset, DatasetChange, DatasetDefinition, DatasetVersion, NewDatasetVersion
from fairlead.schemas.wire import Page
from fairlead.server import audit
from fairlead.server.access import Access
from fairlead.server.accounts.workspaces import keep_workspace
from fairlead.server.clock import now
from fairlead.server.conditional import check_tag
from fairlead.server.data.shelf import Found
from fairlead.server.faults import FaultPoint
from fairlead.server.ids import new_id
from fairlead.server.numbered import DATASETS
from fairlead.server.paging import Paging, page
from fairlead.server.tables.data import DatasetRow, DatasetVersionRow

REGISTERED = FaultPoint("datasets.register.before-commit", "a version of a data set is written, not committed")


@dataclass(frozen=True)
class Listing:
    """What there was when it was registered."""

    files: int
    size: int
    digest: str

    @classmethod
    def of(cls, found: Sequence[Found]) -> Listing:
        lines = "".join(f"{each.path}\t{each.size}\t{each.stamp}\n" for each in found)
        return cls(len(found), sum(each.size for each in found), hashlib.sha256(lines.encode()).hexdigest())


def register(session: Session, access: Access, body: NewDatasetVersion, listing: Listing | None) -> DatasetVersion:
    """The next version of the name; the latest itself when it says the same. Raises Conflict for a name that is there and should be new."""
    keep_workspace(session, access)
    said = body.definition.model_dump(mode="json")
    digest = digest_of(body.definition, listing)
    dataset = DATASETS.take_number(session, access, body.name)
    latest = _numbered(session, dataset, dataset.latest_version)
    if latest is not None and latest.digest == digest:
        dataset.last_version -= 1
        session.flush()
        return to_wire(latest)
    if latest is not None and not body.create_new_version:
        raise Conflict(
            f"There is a data set {dataset.name!r} already, and it says otherwise; ask for a new version (create_new_version), or choose another name."
        )
    at = now()
    row = DatasetVersionRow(id=new_id(), workspace_id=access.workspace_id, dataset_id=dataset.id, name=dataset.name, version=dataset.last_version)
    row.kind, row.definition, row.digest = body.definition.kind, said, digest
    row.files, row.size = (listing.files, listing.size) if listing else (None, None)
    row.description, row.tags, row.etag = body.description, dict(body.tags), 1
    row.created_at, row.updated_at, row.created_by = at, at, access.principal
    session.add(row)
    session.flush()
    _settle(session, dataset)
    audit.record(session, access, "register", "dataset", row.id, f"{row.name}:{row.version}", digest=digest)
    session.flush()
    REGISTERED.reach()
    return to_wire(row)


def digest_of(definition: DatasetDefinition, listing: Listing | None) -> str:
    """Of what it says, and of the files that there were."""
    said = json.dumps(definition.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(f"{said}\n{listing.digest if listing else ''}".encode()).hexdigest()


def version_with_id(session: Session, workspace_id: str, version_id: str) -> DatasetVersionRow:
    """Raises NotFound."""
    row = session.get(DatasetVersionRow, version_id)
    if row is None or row.workspace_id != workspace_id or row.deleted_at is not None:
        raise NotFound(f"There is no data set with the id {version_id[:80]!r} in this workspace; `fairlead dataset list` shows those there are.")
    return row


def list_datasets(session: Session, workspace_id: str, paging: Paging, containing: str | None) -> Page[Dataset]:
    chosen = select(DatasetRow).where(DatasetRow.workspace_id == workspace_id, DatasetRow.deleted_at.is_(None))
    if containing:
        chosen = chosen.where(DatasetRow.folded.contains(containing.lower(), autoescape=True))
    return page(session, chosen, [DatasetRow.folded], paging, dataset_to_wire)


def list_versions(session: Session, dataset: DatasetRow, paging: Paging) -> Page[DatasetVersion]:
    """Newest first."""
    living = (DatasetVersionRow.dataset_id == dataset.id) & DatasetVersionRow.deleted_at.is_(None)
    return page(session, select(DatasetVersionRow).where(living), [DatasetVersionRow.version], paging, to_wire, newest_first=True)


def change(session: Session, access: Access, row: DatasetVersionRow, body: DatasetChange, if_match: str | None) -> None:
    DATASETS.hold(session, row.dataset_id)
    DATASETS.refuse_deleted(session, row)
    check_tag(if_match, row, f"{row.name}:{row.version}")
    if body.description is not None:
        row.description = body.description
    if body.tags is not None:
        row.tags = {name: value for name, value in {**row.tags, **body.tags}.items() if value is not None}
    row.updated_at, row.etag = now(), row.etag + 1
    audit.record(session, access, "change", "dataset", row.id, f"{row.name}:{row.version}", fields=sorted(body.model_fields_set))
    session.flush()


def delete_version(session: Session, access: Access, row: DatasetVersionRow, if_match: str | None) -> None:
    """The data stays where it is; its number is not given again."""
    dataset = DATASETS.hold(session, row.dataset_id)
    DATASETS.refuse_deleted(session, row)
    check_tag(if_match, row, f"{row.name}:{row.version}")
    row.deleted_at = row.updated_at = now()
    row.etag += 1
    session.flush()
    _settle(session, dataset)
    audit.record(session, access, "delete", "dataset", row.id, f"{row.name}:{row.version}")


def delete(session: Session, access: Access, dataset: DatasetRow, if_match: str | None) -> None:
    """With all its versions; the name is free again, the data stays where it is."""
    check_tag(if_match, dataset, f"The data set {dataset.name!r}")
    at = now()
    living = (DatasetVersionRow.dataset_id == dataset.id, DatasetVersionRow.deleted_at.is_(None))
    session.execute(update(DatasetVersionRow).where(*living).values(deleted_at=at, updated_at=at))
    dataset.deleted_at = dataset.updated_at = at
    dataset.versions = dataset.latest_version = 0
    dataset.etag += 1
    audit.record(session, access, "delete", "dataset", dataset.id, dataset.name)


def dataset_to_wire(row: DatasetRow) -> Dataset:
    kept = ("id", "created_at", "created_by", "name", "latest_version", "versions", "updated_at")
    return Dataset(**{name: getattr(row, name) for name in kept})


def to_wire(row: DatasetVersionRow) -> DatasetVersion:
    kept = ("id", "created_at", "created_by", "name", "version", "digest", "files", "size", "description", "tags", "updated_at")
    return DatasetVersion(**{name: getattr(row, name) for name in kept}, definition=DatasetDefinition.model_validate(row.definition))


def _numbered(session: Session, dataset: DatasetRow, version: int) -> DatasetVersionRow | None:
    chosen = select(DatasetVersionRow).where(DatasetVersionRow.dataset_id == dataset.id, DatasetVersionRow.version == version)
    return session.scalars(chosen).one_or_none()


def _settle(session: Session, dataset: DatasetRow) -> None:
    """What the data set's row says of its versions, after one was added or deleted."""
    living = (DatasetVersionRow.dataset_id == dataset.id) & DatasetVersionRow.deleted_at.is_(None)
    versions, latest = session.execute(select(func.count(), func.max(DatasetVersionRow.version)).where(living)).one()
    dataset.versions, dataset.latest_version, dataset.updated_at = versions, latest or 0, now()
    dataset.etag += 1
    session.flush()
