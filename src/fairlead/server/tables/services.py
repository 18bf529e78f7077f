"""Services: endpoints (address and who may call), what is wanted and seen, revisions, and what happened to them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from fairlead.server.tables.leases import Leased
from fairlead.server.tables.record import Record, among_living

Id = String(36)
Digest = String(64)


class EndpointRow(Record):
    """Address, keys, certificate: what stays while revisions come and go. One per service for now (DECISIONS 26).

    Sealed columns are AES-GCM under the master key, bound to this row's id and the column's name; all are null once the service is deleted.
    """

    __tablename__ = "endpoints"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"), index=True)
    host: Mapped[str] = mapped_column(String(255))
    port: Mapped[int | None]
    """As asked for; null lets the target choose."""
    auth: Mapped[str] = mapped_column(String(8))
    sealed_primary: Mapped[bytes | None] = mapped_column(LargeBinary)
    sealed_secondary: Mapped[bytes | None] = mapped_column(LargeBinary)
    sealed_token_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    tls_cert: Mapped[str | None]
    sealed_tls_key: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]


class ServiceRow(Leased, Record):
    """`state` is a `targets.types.State`. `generation` grows with each change of what should run; the target knows of `applied_generation`."""

    __tablename__ = "services"
    __table_args__ = (
        among_living("uq_services_living_name", "workspace_id", "name", unique=True),
        Index("ix_services_workspace_id_name", "workspace_id", "name"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"))
    endpoint_id: Mapped[str] = mapped_column(ForeignKey("endpoints.id"))
    name: Mapped[str] = mapped_column(String(32))
    handle: Mapped[str] = mapped_column(String(32), unique=True)
    target: Mapped[str] = mapped_column(String(16))
    place: Mapped[str | None] = mapped_column(String(36), index=True)
    """Which server's machine it runs on; only that server acts on it."""
    description: Mapped[str] = mapped_column(default="")
    tags: Mapped[dict[str, Any]]
    properties: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    created_by: Mapped[str | None] = mapped_column(String(127))
    updated_at: Mapped[datetime]
    leaving_at: Mapped[datetime | None]
    """It is to be deleted."""
    deleted_at: Mapped[datetime | None]
    etag: Mapped[int] = mapped_column(default=1)
    serial: Mapped[int] = mapped_column(BigInteger, default=1)
    """Grows with everything that a reader could see change."""
    wanted_revision: Mapped[int]
    serving_revision: Mapped[int | None]
    applied_revision: Mapped[int | None]
    generation: Mapped[int] = mapped_column(default=0)
    applied_generation: Mapped[int] = mapped_column(default=0)
    state: Mapped[str] = mapped_column(String(16))
    message: Mapped[str] = mapped_column(default="")
    update_error: Mapped[dict[str, Any] | None]
    scoring_base: Mapped[str | None] = mapped_column(String(300))
    observed_at: Mapped[datetime | None]
    workers_ready: Mapped[int | None]
    workers_wanted: Mapped[int | None]


class LabelRow(Record):
    """Tags and properties once more, to search by; `value` is cut to what an index takes."""

    __tablename__ = "service_labels"
    __table_args__ = (Index("ix_service_labels_kind_key_value", "kind", "key", "value"),)

    service_id: Mapped[str] = mapped_column(ForeignKey("services.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(8), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    value: Mapped[str] = mapped_column(String(255))


class RevisionRow(Leased, Record):
    """Immutable but for its fate: where it is on its way (`stage`, `state`), and what was made of it (bundle, lock).

    recipe: what was asked for, with models resolved to versions, so that it says the same for ever.
    """

    __tablename__ = "revisions"
    __table_args__ = (UniqueConstraint("service_id", "number"), Index("ix_revisions_short_id", "short_id"))

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    service_id: Mapped[str] = mapped_column(ForeignKey("services.id"))
    number: Mapped[int]
    short_id: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(String(16))
    rollback_of: Mapped[int | None]
    models: Mapped[list[Any]]
    """As `name:version`; the rest of what is known of them is in the recipe."""
    recipe: Mapped[dict[str, Any]]
    settings: Mapped[dict[str, Any]]
    git_commit: Mapped[str | None]
    git_dirty: Mapped[bool | None]
    created_at: Mapped[datetime]
    created_by: Mapped[str | None] = mapped_column(String(127))
    state: Mapped[str] = mapped_column(String(16))
    stage: Mapped[str | None] = mapped_column(String(16))
    failure: Mapped[dict[str, Any] | None]
    finished_at: Mapped[datetime | None]
    bundle_digest: Mapped[str | None] = mapped_column(Digest)
    bundle_tree: Mapped[str | None] = mapped_column(Digest)
    """The blob that lists the bundle's files."""
    lock_digest: Mapped[str | None] = mapped_column(Digest)
    """Names the environment: text, Python and platform."""
    lock_blob: Mapped[str | None] = mapped_column(Digest)
    lock_python: Mapped[str | None] = mapped_column(String(16))
    variables: Mapped[dict[str, Any] | None]
    """Those that the environment's own description sets."""
    image_id: Mapped[str | None] = mapped_column(ForeignKey("images.id"), index=True)
    """Where the target runs images."""
    image: Mapped[dict[str, Any] | None]
    """digest and id (of its configuration) for this service's platform, and its name."""


class RevisionModelRow(Record):
    """The model versions of a revision, in the order they were given."""

    __tablename__ = "revision_models"
    __table_args__ = (Index("ix_revision_models_name_version", "name", "version"),)

    revision_id: Mapped[str] = mapped_column(ForeignKey("revisions.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    service_id: Mapped[str] = mapped_column(ForeignKey("services.id"), index=True)
    number: Mapped[int]
    model_version_id: Mapped[str] = mapped_column(Id)
    name: Mapped[str] = mapped_column(String(255))
    version: Mapped[int]


class ServiceEventRow(Record):
    """Only ever added. `number`: the service's serial when it happened, so they have an order."""

    __tablename__ = "service_events"
    __table_args__ = (UniqueConstraint("service_id", "number"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    service_id: Mapped[str] = mapped_column(ForeignKey("services.id"))
    number: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime]
    revision: Mapped[int | None]
    event: Mapped[str] = mapped_column(String(32))
    message: Mapped[str]
