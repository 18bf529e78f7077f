"""What a request brings by digest: it must be this workspace's own, every file of it, or a service could hold what only others may read."""

from __future__ import annotations

from collections.abc import Iterable

from fairlead.errors import UsageError
from fairlead.schemas.images import NewImage
from fairlead.schemas.services import NewService, Reload, ServiceChange
from fairlead.server.access import Access
from fairlead.server.blobs.service import list_missing
from fairlead.server.context import Context
from fairlead.server.making.caches import read_tree


def refuse_strange(parts: Context, access: Access, body: NewService | ServiceChange | Reload | NewImage) -> None:
    """No transaction is open while the store is read. Raises UsageError, InvalidTree."""
    refuse_strange_trees(parts, access, _trees(body))


def refuse_strange_trees(parts: Context, access: Access, trees: Iterable[str]) -> None:
    """As above, of trees."""
    for tree in trees:
        _refuse(parts, access, tree, [tree])
        _refuse(parts, access, tree, list(read_tree(parts.store, tree).blobs))


def _trees(body: NewService | ServiceChange | Reload | NewImage) -> Iterable[str]:
    if body.code:
        yield body.code.tree
    if isinstance(body, Reload):
        return
    if body.bundle:
        yield body.bundle
    if body.base and body.base.tree:
        yield body.base.tree


def _refuse(parts: Context, access: Access, tree: str, digests: list[str]) -> None:
    with parts.database.reading() as session:
        missing = list_missing(session, access.workspace_id, digests)
    if missing:
        raise UsageError(f"The tree {tree} is not in this workspace, or not whole: {missing[0]} was not uploaded to it; upload the files and their tree first.")
