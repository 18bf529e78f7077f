"""What a listing through fsspec says about an object; each library has words of its own."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from fairlead.errors import StoreUnavailable

_WORDS = ("LastModified", "last_modified", "mtime", "updated", "modified", "created")


def modified_of(entry: Mapping[str, Any]) -> datetime:
    """When the object was last written; with a time zone. Raises StoreUnavailable for a library that says nothing of it."""
    said = next((entry[word] for word in _WORDS if entry.get(word) is not None), None)
    if isinstance(said, str):
        said = datetime.fromisoformat(said)
    if isinstance(said, (int, float)):
        said = datetime.fromtimestamp(said, UTC)
    if not isinstance(said, datetime):
        raise StoreUnavailable(f"The store does not say when {entry.get('name')} was written, so nothing in it can be collected. Use another store.")
    return said if said.tzinfo else said.replace(tzinfo=UTC)
