"""Images: what each was made of, layer by layer, and what a build is at."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from fairlead.server.tables.leases import Leased
from fairlead.server.tables.record import Record, among_living

Id = String(36)
Digest = String(64)


class ImageRow(Leased, Record):
    """Immutable once it is ready, but for its label and signatures. `version` is given then; numbers are never given twice, whatever is deleted."""

    __tablename__ = "images"
    __table_args__ = (
        among_living("uq_images_living_version", "workspace_id", "name", "version", unique=True),
        Index("ix_images_workspace_id_digest", "workspace_id", "digest"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"))
    name: Mapped[str] = mapped_column(String(128))
    version: Mapped[int | None]
    label: Mapped[str | None] = mapped_column(String(128))
    """Moves: of one name, one row has it."""
    models: Mapped[list[Any]]
    recipe: Mapped[dict[str, Any]]
    """A `making.plans.Plan`."""
    wish: Mapped[dict[str, Any]]
    """Platforms, and whether a Dockerfile is wanted instead."""
    description: Mapped[str] = mapped_column(default="")
    tags: Mapped[dict[str, Any]]
    git_commit: Mapped[str | None]
    git_dirty: Mapped[bool | None]
    created_at: Mapped[datetime]
    created_by: Mapped[str | None] = mapped_column(String(127))
    updated_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]
    same_as: Mapped[str | None] = mapped_column(Id)
    """The build came out as that row, which was there before: this one is deleted, and its id means the other."""
    etag: Mapped[int] = mapped_column(default=1)
    serial: Mapped[int] = mapped_column(BigInteger, default=1)
    state: Mapped[str] = mapped_column(String(8))
    stage: Mapped[str | None] = mapped_column(String(16))
    message: Mapped[str] = mapped_column(default="")
    failure: Mapped[dict[str, Any] | None]
    log: Mapped[str] = mapped_column(Text, default="")
    """What the build said, as far as it fits."""
    bundle_digest: Mapped[str | None] = mapped_column(Digest)
    bundle_tree: Mapped[str | None] = mapped_column(Digest)
    lock_digest: Mapped[str | None] = mapped_column(Digest)
    lock_blob: Mapped[str | None] = mapped_column(Digest)
    lock_python: Mapped[str | None] = mapped_column(String(16))
    variables: Mapped[dict[str, Any] | None]
    base: Mapped[str | None] = mapped_column(String(600))
    """As it was named, with its digest."""
    digest: Mapped[str | None] = mapped_column(Digest)
    media_type: Mapped[str | None] = mapped_column(String(127))
    size: Mapped[int | None] = mapped_column(BigInteger)
    platforms: Mapped[list[Any]]
    """`schemas.images.ImagePlatform`, as JSON."""
    blobs: Mapped[dict[str, Any]]
    """Digest to size of everything that it consists of."""
    signatures: Mapped[list[Any]]
    """`schemas.images.ImageSignature`, as JSON."""
    context: Mapped[str | None] = mapped_column(Digest)
    """The tree of a Dockerfile and its context."""


class ImageModelRow(Record):
    """The model versions of an image, in the order they were given."""

    __tablename__ = "image_models"
    __table_args__ = (Index("ix_image_models_name_version", "name", "version"),)

    image_id: Mapped[str] = mapped_column(ForeignKey("images.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    model_version_id: Mapped[str] = mapped_column(Id)
    name: Mapped[str] = mapped_column(String(255))
    version: Mapped[int]
