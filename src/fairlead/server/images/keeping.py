"""What came of a build, written down: contents become the workspace's own, the record gets its version, or is found to be one that was there."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from fairlead.errors import Unavailable
from fairlead.images.types import PlatformImage
from fairlead.schemas.images import ImageLayer, ImagePlatform
from fairlead.server.blobs.service import own
from fairlead.server.clock import now
from fairlead.server.images import ordering
from fairlead.server.images.assembling import Made
from fairlead.server.images.contexts import Written
from fairlead.server.tables.access import WorkspaceRow
from fairlead.server.tables.images import ImageRow
from fairlead.stores import Store

LONGEST_NOTE = 2000


def hold(session: Session, workspace_id: str) -> None:
    """Before any row of its images or services: numbers are given, and contents counted, by one at a time."""
    session.scalars(select(WorkspaceRow).where(WorkspaceRow.id == workspace_id).with_for_update()).one()


def take(session: Session, workspace_id: str, sizes: Mapping[str, int]) -> set[str]:
    """They are the workspace's from now on, so that no clearing-up takes them; answers those that are new to it. Raises QuotaExceeded."""
    return own(session, workspace_id, sizes)


def refuse_missing(store: Store, sizes: Mapping[str, int]) -> None:
    """What was remembered from an earlier build may have been cleared up at this very moment. Raises Unavailable: the next try builds it anew."""
    missing = next((digest for digest in sizes if store.size(digest) is None), None)
    if missing is not None:
        raise Unavailable(f"The content {missing} of the image was cleared up while it was built; it is built again.")


def keep(session: Session, workspace_id: str, name: str, made: Made, new: Collection[str], *, created_by: str | None) -> ImageRow:
    """The record of an image that a service needed: one that is there, or a new one of the service's name. The workspace is held."""
    same = known(session, workspace_id, ImageRow.digest == made.built.descriptor.digest)
    if same is not None:
        return same
    row = ordering.new_row(made.of.plan, workspace_id=workspace_id, name=name, created_by=created_by, git_commit=made.of.git_commit)
    ordering.add(session, row, made.of.plan)
    return finish(session, row, made, new)


def finish(session: Session, row: ImageRow, made: Made | Written, new: Collection[str]) -> ImageRow:
    """The record that has this image from now on: `row`, or the one of the same name that had it already; then `row` is gone, and its id means the other.

    The workspace is held.
    """
    what = ImageRow.context == made.tree if isinstance(made, Written) else ImageRow.digest == made.built.descriptor.digest
    same = known(session, row.workspace_id, what & (ImageRow.name == row.name))
    if same is not None:
        at = now()
        row.same_as, row.deleted_at, row.finished_at, row.due_at, row.state = same.id, at, at, None, "ready"
        row.serial += 1
        return _label(session, same, row.label)
    _write_inputs(row, made)
    if isinstance(made, Made):
        _write_image(row, made, new)
    else:
        row.context = made.tree
    return _settle(session, row, made.note)


def known(session: Session, workspace_id: str, which: ColumnElement[bool]) -> ImageRow | None:
    """One that is ready."""
    living = (ImageRow.workspace_id == workspace_id, ImageRow.deleted_at.is_(None), ImageRow.state == "ready")
    return session.scalars(select(ImageRow).where(*living, which).order_by(ImageRow.id).limit(1).with_for_update()).first()


def _settle(session: Session, row: ImageRow, note: str) -> ImageRow:
    """It is ready, under the next number of its name."""
    at = now()
    numbered = select(func.coalesce(func.max(ImageRow.version), 0)).where(ImageRow.workspace_id == row.workspace_id, ImageRow.name == row.name)
    row.version = (session.scalar(numbered) or 0) + 1
    row.state, row.stage, row.message, row.finished_at, row.updated_at, row.due_at, row.tries = "ready", None, note[:LONGEST_NOTE], at, at, None, 0
    row.serial, row.etag = row.serial + 1, row.etag + 1
    return _label(session, row, row.label)


def _label(session: Session, row: ImageRow, label: str | None) -> ImageRow:
    if label is not None:
        others = (ImageRow.workspace_id == row.workspace_id, ImageRow.name == row.name, ImageRow.label == label, ImageRow.id != row.id)
        session.execute(update(ImageRow).where(*others, ImageRow.state == "ready").values(label=None))
        row.label = label
    session.flush()
    return row


def _write_inputs(row: ImageRow, made: Made | Written) -> None:
    packed, locked = made.of.packed, made.of.locked
    row.bundle_digest, row.bundle_tree = packed.digest, packed.tree
    row.lock_digest, row.lock_blob, row.lock_python = locked.lock.digest, locked.blob, locked.lock.python
    row.variables = dict(locked.variables)
    row.blobs, row.size = made.blobs, sum(made.blobs.values())


def _write_image(row: ImageRow, made: Made, new: Collection[str]) -> None:
    built = made.built
    row.base, row.digest, row.media_type = built.base, built.descriptor.digest, built.descriptor.media_type
    row.platforms = [_platform(each, new).model_dump(mode="json") for each in built.platforms]


def _platform(image: PlatformImage, new: Collection[str]) -> ImagePlatform:
    layers = [
        ImageLayer(what=each.what, digest=each.descriptor.digest, size=each.descriptor.size, reused=each.descriptor.digest not in new) for each in image.layers
    ]
    return ImagePlatform(
        platform=image.platform,
        manifest=image.manifest.digest,
        config=image.config.digest,
        layers=layers,
        python_version=image.python_version,
        libc=image.libc,
        sbom=None if image.sbom is None else image.sbom.digest,
    )
