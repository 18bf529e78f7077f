"""Where jobs may read and write: URLs of stores; of this machine's disk what its owner allows."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from fairlead.errors import Forbidden, UsageError
from fairlead.server.settings import Settings

STORES = ("s3", "gs", "abfs", "abfss", "wasb", "wasbs", "http", "https")
DATABASES = ("postgresql", "sqlite")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/")  # one letter before the colon is a drive
_TELLTALE = re.compile(r"[?&](sig|[^=&/]*(signature|token|access[_-]?key|accessid|credential|password|secret)[^=&/]*)=", re.IGNORECASE)
_GLOB = re.compile(r"[*?\[]")


def scheme_of(url: str) -> str:
    """`file` for a path."""
    found = _URL.match(url)
    return found[1].lower() if found else "file"


def check_place(settings: Settings, url: str, *, writes: bool = False) -> str:
    """The same. Raises UsageError for what is no place, Forbidden for a folder that jobs may not use."""
    scheme = scheme_of(url)
    refuse_password(url)
    if scheme == "file":
        _check_path(settings, url, writes=writes)
    elif scheme not in STORES:
        raise UsageError(
            f"{url[:200]!r} is no place that jobs know; give a path, or a URL that begins with file://, {', '.join(f'{each}://' for each in STORES)}."
        )
    elif writes and scheme in ("http", "https") and ".blob." not in url:
        raise UsageError(f"{url[:200]!r} can be read and not written; give an output in a store, such as s3://bucket/folder.")
    return url


def check_database(settings: Settings, url: str) -> str:
    """The same. Raises UsageError, Forbidden."""
    scheme = scheme_of(url)
    if scheme not in DATABASES:
        raise UsageError(f"{url[:200]!r} is no database that jobs know; write postgresql://user@host:5432/name or sqlite:////path/to/file.db.")
    refuse_password(url)
    if scheme == "sqlite":
        _check_path(settings, url.partition("://")[2].partition("?")[0].removeprefix("/"), writes=False)
    return url


def refuse_password(url: str) -> None:
    if scheme_of(url) == "file":
        return
    try:
        password = urlsplit(url).password
    except ValueError as fault:
        raise UsageError(f"{url[:200]!r} is no URL: {fault}.") from fault
    if password is not None or _TELLTALE.search(url):
        raise UsageError(
            "A URL holds a password or signature, which records would show; put it into a secret (`fairlead secret set`) and name that as credentials."
        )


def path_of(url: str) -> Path | None:
    """On this machine; None for what is elsewhere. Raises UsageError."""
    scheme = scheme_of(url)
    if scheme != "file":
        return None
    if not _URL.match(url):
        return Path(url)
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise UsageError(f"{url[:200]!r} is a file of another machine; mount it here, or write file:///FOLDER with three slashes.")
    return Path(unquote(parts.path))


def _check_path(settings: Settings, url: str, *, writes: bool) -> None:
    path = path_of(url)
    assert path is not None
    if not path.is_absolute() or ".." in path.parts:
        raise UsageError(f"{url[:200]!r} is no absolute path without '..'; give one that begins with a slash.")
    roots = settings.roots
    if roots is None:
        return
    fixed = _before_globs(path)
    if not any(fixed.resolve().is_relative_to(root.resolve()) for root in roots):
        allowed = f"only below {', '.join(map(str, roots))}" if roots else "nowhere"
        cure = "give a URL of a store, or leave the output out and download the answers" if writes else "give a URL of a store, or upload the files"
        raise Forbidden(f"{url[:200]!r} lies on the server's machine, where jobs may {'write' if writes else 'read'} {allowed} (setting batch_roots): {cure}.")


def _before_globs(path: Path) -> Path:
    plain = next((number for number, part in enumerate(path.parts) if _GLOB.search(part)), len(path.parts))
    return Path(*path.parts[:plain])
