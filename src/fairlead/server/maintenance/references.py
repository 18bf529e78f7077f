"""Which contents of the store somebody needs: what a sweep must not touch, a backup holds, and fsck looks for.

Every column that holds a digest is named here, as one that needs its content or as one that does not; a test goes through all tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, select, table
from sqlalchemy import column as named

from fairlead.errors import InvalidTree
from fairlead.stores import Store, parse
from fairlead.stores.trees import LARGEST_MANIFEST

_DIGEST = re.compile(r"\b[0-9a-f]{64}\b")
OWNED = "workspace_blobs"


@dataclass(frozen=True)
class Root:
    """A column whose values are digests. `kind`: what lies under them; "any" is JSON in which digests of either kind stand."""

    table: str
    column: str
    kind: str
    unless: str = ""
    """Rows where this column is set need it no more."""
    through: tuple[str, str, str] | None = None
    """(own column, other table, its column): rows of the other table decide."""


ROOTS = (
    Root("model_versions", "tree", "tree", unless="deleted_at"),
    Root("revisions", "bundle_tree", "tree", unless="deleted_at", through=("service_id", "services", "id")),
    Root("revisions", "lock_blob", "blob", unless="deleted_at", through=("service_id", "services", "id")),
    Root("revisions", "recipe", "any", unless="deleted_at", through=("service_id", "services", "id")),
    Root("images", "blobs", "blob", unless="deleted_at"),
    Root("images", "context", "tree", unless="deleted_at"),
    Root("images", "bundle_tree", "tree", unless="deleted_at"),
    Root("images", "lock_blob", "blob", unless="deleted_at"),
    Root("images", "recipe", "any", unless="finished_at"),
    Root("jobs", "bundle_tree", "tree", unless="cleared_at"),
    Root("jobs", "lock_blob", "blob", unless="cleared_at"),
    Root("jobs", "batch_lock_blob", "blob", unless="cleared_at"),
    Root("jobs", "recipe", "any", unless="cleared_at"),
    Root("jobs", "wish", "any", unless="cleared_at"),
    Root("batch_services", "definition", "any", unless="deleted_at"),
    Root("batch_services", "recipe", "any", unless="deleted_at"),
)
NO_CONTENT = {
    ("tokens", "hash"): "of a token",
    ("idempotency_keys", "request_hash"): "of a request",
    ("uploads", "digest"): "not there yet",
    ("workspace_blobs", "digest"): "owned, and perhaps needed by nobody",
    ("released_blobs", "digest"): "on its way out",
    ("revisions", "bundle_digest"): "of a bundle's manifest, which the tree lists",
    ("revisions", "lock_digest"): "of an environment, on each machine",
    ("environment_versions", "lock_digest"): "of an environment, whose lock is in the row",
    ("dataset_versions", "digest"): "of what it says and of files elsewhere",
    ("images", "digest"): "one of its blobs",
    ("images", "bundle_digest"): "of a bundle's manifest, which the tree lists",
    ("images", "lock_digest"): "of an environment, on each machine",
    ("jobs", "bundle_digest"): "of a bundle's manifest, which the tree lists",
    ("jobs", "lock_digest"): "of an environment, on each machine",
    ("jobs", "batch_lock_digest"): "of an environment, on each machine",
}


@dataclass(frozen=True)
class Need:
    """One row's need of one content."""

    table: str
    id: str
    digest: str
    kind: str


def needs(connection: Connection) -> Iterator[Need]:
    """Of every row that lives."""
    for root in ROOTS:
        for row_id, value in connection.execute(_asked(root)).all():
            for digest in _digests(value):
                yield Need(root.table, row_id, digest, root.kind)


def owned(connection: Connection) -> Iterator[str]:
    """What workspaces have uploaded."""
    yield from connection.scalars(select(named("digest")).select_from(table(OWNED)).distinct()).all()


def contents_of(store: Store, need: Need) -> dict[str, int | None]:
    """Every digest that the need means, and its size where it is known: a tree means its files too. Raises BlobNotFound, InvalidTree, StoreUnavailable."""
    size = store.size(need.digest)
    if need.kind == "any" and size is None:
        return {}  # a digest of something else
    if need.kind == "blob" or (need.kind == "any" and size is not None and size > LARGEST_MANIFEST):
        return {need.digest: None}
    try:
        with store.open(need.digest) as stream:
            return {need.digest: None, **parse(stream.read(LARGEST_MANIFEST + 1)).blobs}
    except InvalidTree:
        if need.kind == "tree":
            raise
        return {need.digest: None}


def marks(connection: Connection, store: Store) -> set[str]:
    """All digests that are needed. Raises when one of them cannot be followed: nothing may be swept on half the marks."""
    found: set[str] = set()
    followed: set[str] = set()
    for need in needs(connection):
        if need.digest not in followed:
            followed.add(need.digest)
            found.update(contents_of(store, need))
    return found


def _asked(root: Root) -> Select[Any]:
    own = table(root.table, named("id"), named(root.column), *([named(root.through[0])] if root.through else []))
    value: Any = own.c[root.column]
    asked = select(own.c.id, value).where(value.is_not(None))
    if root.through:
        other = table(root.through[1], named(root.through[2]), named(root.unless))
        return asked.join(other, own.c[root.through[0]] == other.c[root.through[2]]).where(other.c[root.unless].is_(None))
    return asked.where(named(root.unless).is_(None)) if root.unless else asked


def _digests(value: Any) -> list[str]:
    """JSON comes as text from SQLite and as an object from PostgreSQL."""
    return list(dict.fromkeys(_DIGEST.findall(value if isinstance(value, str) else repr(value))))
