"""The store as one workspace has it while a base is taken over. A stranger's manifest may name any digest: content of others does not come along."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import BinaryIO

from fairlead.errors import BlobNotFound
from fairlead.server.blobs.service import list_missing
from fairlead.server.db import Database
from fairlead.stores import Store, Stored


@dataclass(frozen=True, kw_only=True)
class Holdings:
    """Blobs that are the workspace's, and those that were put through this object: who puts has the bytes."""

    store: Store
    database: Database
    workspace_id: str
    _brought: set[str] = field(default_factory=set)

    def put(self, stream: BinaryIO, *, expect: str | None = None) -> Stored:
        put = self.store.put(stream, expect=expect)
        self._brought.add(put.digest)
        return put

    def open(self, digest: str, offset: int = 0) -> BinaryIO:
        """Raises BlobNotFound, also for content that only others have."""
        if not self._has(digest):
            raise BlobNotFound(f"There is no blob {digest} in the base; it is incomplete. Copy the image again.")
        return self.store.open(digest, offset)

    def size(self, digest: str) -> int | None:
        return self.store.size(digest) if self._has(digest) else None

    def _has(self, digest: str) -> bool:
        if digest in self._brought:
            return True
        with self.database.reading() as session:
            return not list_missing(session, self.workspace_id, [digest])
