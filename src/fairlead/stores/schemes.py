"""Which URLs name a store, what must be installed for them, and how their library is spoken to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, urlsplit

from fairlead.errors import UsageError
from fairlead.stores.retrying import act_once

_PART = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """protocol: fsspec's word for it. sending: options of put_file, so that memory stays small whatever the file's size."""

    protocol: str
    extra: str
    options: Mapping[str, Any] = field(default_factory=dict)
    sending: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """root: where the store begins, in the library's words. in_memory: its files are seen while they are being written."""

    filesystem: Any
    root: str
    sending: Mapping[str, Any]
    in_memory: bool


_FRESH = {"use_listings_cache": False, "skip_instance_cache": True}
_AWS = {"total_max_attempts": 1, "mode": "standard"}  # s3fs tries a request again, and stores.retrying all that it was part of
_S3 = Scheme(
    protocol="s3",
    extra="s3",
    options={"max_concurrency": 3, "config_kwargs": {"retries": _AWS, "connect_timeout": 10, "read_timeout": 60}},
    sending={"chunksize": _PART},
)
_GS = Scheme(protocol="gs", extra="gcs", sending={"chunksize": _PART})
_AZURE = Scheme(protocol="abfs", extra="azure", options={"anon": False})
_MEMORY = Scheme(protocol="memory", extra="server")

SCHEMES: Mapping[str, Scheme] = {
    "s3": _S3,
    "gs": _GS,
    "abfs": _AZURE,
    "abfss": _AZURE,
    "wasb": _AZURE,
    "wasbs": _AZURE,
    "memory": _MEMORY,
}


def connect(url: str) -> Connection:
    """Loads the URL's library; no bucket is asked for anything yet. Raises UsageError, StoreUnavailable."""
    parts = _parse(url)
    scheme = SCHEMES[parts.scheme]
    filesystem_of = _import(scheme, url)
    plain = f"{scheme.protocol}://{parts.netloc}{parts.path}".rstrip("/")
    filesystem, root = act_once(lambda: filesystem_of(plain, **_FRESH, **scheme.options), f"The store {url}")
    return Connection(filesystem=filesystem, root=root.rstrip("/"), sending=scheme.sending, in_memory=scheme is _MEMORY)


def _parse(url: str) -> SplitResult:
    parts = _split(url)
    if parts.scheme not in SCHEMES:
        raise UsageError(f"{url!r} names no store that Fairlead knows; give a folder, or a URL that begins with {', '.join(SCHEMES)} and '://'.")
    if parts.password is not None or (parts.username is not None and SCHEMES[parts.scheme] is not _AZURE):
        raise UsageError(f"The URL of the store at {parts.hostname} holds credentials, which logs would show; give them by the environment or a profile.")
    if parts.query or parts.fragment:
        raise UsageError(f"{url!r} has a part after '?' or '#', which no store understands; leave it out.")
    if not parts.hostname:
        raise UsageError(f"{url!r} names no bucket or container; write {parts.scheme}://NAME/FOLDER.")
    if any(part in {".", ".."} for part in parts.path.split("/")) or re.search(r"[\x00-\x20\x7f]|//", parts.netloc + parts.path):
        raise UsageError(f"{url!r} has a path that object stores read differently; leave out '.', '..', '//', blanks and control characters.")
    return parts


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - parsed when asked for
    except ValueError as fault:
        raise UsageError(f"{url!r} is no URL: {fault}.") from fault
    return parts


def _import(scheme: Scheme, url: str) -> Any:
    cure = f"pip install 'fairlead[{scheme.extra}]'"
    try:
        import fsspec

        fsspec.get_filesystem_class(scheme.protocol)
        return fsspec.core.url_to_fs
    except ImportError as fault:
        raise UsageError(f"{url} needs a library that is not installed here: {cure}.") from fault
