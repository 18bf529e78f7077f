"""From what a person writes to a store."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from fairlead.errors import UsageError
from fairlead.stores.folder import FolderStore
from fairlead.stores.store import Store
from fairlead.stores.url import UrlStore

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # one letter before the colon is a drive


def open_store(place: str | Path, *, spool: Path | None = None) -> Store:
    """A folder's path, file:///..., or a URL: s3://, gs://, abfs(s)://, wasb(s)://. Nothing is asked of a bucket yet (`check_store` does).

    spool: where large blobs lie while they are checked on their way to a URL. Raises UsageError, StoreUnavailable.
    """
    text = str(place).strip() if isinstance(place, str) else ""
    if isinstance(place, str) and not text:
        raise UsageError("A store is a folder or a URL, and nothing was given.")
    if not _URL.match(text):
        return FolderStore(Path(text or place).expanduser())
    scheme, _, rest = text.partition(":")
    if scheme.lower() == "file":
        return FolderStore(_path_of(text))
    return UrlStore(f"{scheme.lower()}:{rest}", spool=spool)


def _path_of(url: str) -> Path:
    parts = urlsplit(url)
    if parts.netloc not in {"", "localhost"}:
        raise UsageError(f"{url!r} is a folder of another machine; mount it here, or write file:///FOLDER with three slashes.")
    return Path(unquote(parts.path))
