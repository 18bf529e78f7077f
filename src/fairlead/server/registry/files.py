"""The files of a version: its tree, read from the store, every one of whose contents this workspace has uploaded itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairlead.errors import InvalidTree, UsageError
from fairlead.schemas.models import TreeFile
from fairlead.schemas.wire import Page
from fairlead.server.context import Context
from fairlead.server.db import slices
from fairlead.server.paging import Paging, cursor_of
from fairlead.server.tables.blobs import WorkspaceBlobRow
from fairlead.stores import Tree, parse


@dataclass(frozen=True)
class TreeFacts:
    """`size`: bytes of all files together; `files`: how many."""

    size: int
    files: int


def facts_of(parts: Context, workspace_id: str, digest: str) -> TreeFacts:
    """No transaction is open while the store is read. Raises UsageError for what is not uploaded to this workspace, InvalidTree when the blob is none."""
    with parts.database.reading() as session:
        if not _owned(session, workspace_id, [digest]):
            raise UsageError(f"The tree {digest} is not in this workspace; upload the model's files and their tree first.")
    tree = read_tree(parts, digest)
    with parts.database.reading() as session:
        _refuse_strange(session, workspace_id, tree)
    return TreeFacts(tree.size, len(tree.files))


def read_tree(parts: Context, digest: str) -> Tree:
    """Raises BlobNotFound, InvalidTree, StoreUnavailable."""
    with parts.store.open(digest) as stream:
        return parse(stream.read())


def list_files(parts: Context, digest: str, paging: Paging) -> Page[TreeFile]:
    after = str(paging.after[0]) if paging.after else ""
    rest = [each for each in read_tree(parts, digest).files if each.path > after]
    shown = [TreeFile(path=each.path, size=each.size, sha256=each.sha256, executable=each.executable) for each in rest[: paging.limit]]
    return Page(items=shown, next=cursor_of([shown[-1].path]) if len(rest) > paging.limit else None)


def _refuse_strange(session: Session, workspace_id: str, tree: Tree) -> None:
    """A tree may name any digest: without this check a deployed model could hold what only another workspace may read."""
    if not tree.files:
        raise InvalidTree("This tree holds no files, so it is no model.")
    sizes = {digest: size for part in slices(list(tree.blobs)) for digest, size in _owned(session, workspace_id, part).items()}
    for file in tree.files:
        if file.sha256 not in sizes:
            raise UsageError(f"The content of {file.path} ({file.sha256}) is not in this workspace; upload it first.")
        if file.size != sizes[file.sha256]:
            raise InvalidTree(f"The tree says {file.path} has {file.size} bytes, and its content has {sizes[file.sha256]}; upload the folder again.")


def _owned(session: Session, workspace_id: str, digests: Sequence[str]) -> dict[str, int]:
    chosen = select(WorkspaceBlobRow.digest, WorkspaceBlobRow.size).where(WorkspaceBlobRow.workspace_id == workspace_id, WorkspaceBlobRow.digest.in_(digests))
    return dict(session.execute(chosen).all())
