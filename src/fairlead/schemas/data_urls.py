"""What a URL of data names: which kind of place, in one spelling, so that a datastore is found whichever of its spellings somebody uses."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import parse_qsl, urlsplit

from fairlead.errors import UsageError
from fairlead.schemas.data import DatastoreKind

SQL: tuple[DatastoreKind, ...] = ("postgresql", "sqlite")
MAGIC = re.compile(r"[*?\[]")
_SPELLINGS = {"s3a": "s3", "s3n": "s3", "gcs": "gs", "abfs": "abfss", "wasb": "abfss", "wasbs": "abfss", "postgres": "postgresql"}
_KINDS: dict[str, DatastoreKind] = {
    "file": "folder",
    "s3": "s3",
    "gs": "gcs",
    "abfss": "azure-blob",
    "http": "http",
    "https": "http",
    "postgresql": "postgresql",
    "sqlite": "sqlite",
}
_AZURE = re.compile(r"(?:([^@/]+)@)?([a-z0-9]+)\.(?:blob|dfs)\.(core\.[a-z.]+|[a-z0-9.]*windows\.net)", re.IGNORECASE)
_TELLTALE = re.compile(r"sig|signature|token|password|secret|key|x-amz-[\w-]+|x-goog-[\w-]+|access_token|\w*access-?_?key\w*|\w*accessid", re.IGNORECASE)


@dataclass(frozen=True)
class Url:
    """A folder is its plain path; all else `scheme://authority/path`, without a slash at the end."""

    kind: DatastoreKind
    text: str

    @property
    def disk_path(self) -> str | None:
        """Where it is on the server's machine; None: it is elsewhere."""
        if self.kind == "folder":
            return self.text
        return self.text.removeprefix("sqlite:///") if self.kind == "sqlite" else None

    @property
    def has_pattern(self) -> bool:
        return self.kind != "http" and MAGIC.search(self.text) is not None

    @property
    def base(self) -> Url:
        """The folder that names of its files begin at: before the first part with *, ? or [, else the one that it lies in."""
        text = base_of(self.text) if self.has_pattern else self.text.rpartition("/")[0]
        return Url(self.kind, text or "/") if not text.endswith((":/", ":")) and "/" in text else self

    def holds(self, other: Url) -> bool:
        """Whether the other is this one, or lies below it."""
        mine = self.text.rstrip("/")
        return self.kind == other.kind and (other.text == mine or other.text.startswith(f"{mine}/"))

    def below(self, path: str) -> Url:
        """`path`: of a file or folder in it, or a pattern. Raises UsageError for one that leads out."""
        parts = [each for each in path.split("/") if each not in ("", ".")]
        if ".." in parts or "\\" in path or any(ord(each) < 32 for each in path):
            raise UsageError(f"The path {path[:200]!r} leads out of its datastore, or is none; write it from the datastore's own folder on, such as raw/2024.")
        return Url(self.kind, "/".join([self.text.rstrip("/"), *parts])) if parts else self


def read_url(said: str) -> Url:
    """Raises UsageError for what names no place, and for what holds credentials."""
    scheme, colon, rest = said.partition("://")
    if not colon:
        return _folder(said, said)
    scheme = _SPELLINGS.get(scheme.lower(), scheme.lower())
    if scheme not in _KINDS:
        raise UsageError(f"{said[:200]!r} begins with no scheme that is known here; write a path, or {', '.join(f'{each}://' for each in _KINDS)}.")
    if any(ord(each) < 32 for each in said) or ".." in rest.split("/"):
        raise UsageError(f"{said[:200]!r} has a part '..' or a control character; leave it out.")
    if scheme == "file":
        return _folder("/" + rest.partition("/")[2], said)
    authority, _, path = rest.partition("/")
    if scheme == "sqlite":
        return Url("sqlite", f"sqlite:///{_folder('/' + path.lstrip('/'), said).text}")  # four slashes, as SQLAlchemy writes an absolute path
    if scheme in ("http", "https"):
        return _web(said)
    return _remote(scheme, authority, path, said)


def _folder(path: str, said: str) -> Url:
    if not path.startswith("/") or "\0" in path:
        raise UsageError(f"{said[:200]!r} is no absolute path; write it from / on, such as /data/customers, or a URL.")
    parts = PurePosixPath(path)
    if ".." in parts.parts:
        raise UsageError(f"{said[:200]!r} has a part '..'; write the path without it.")
    return Url("folder", str(parts))


def _remote(scheme: str, authority: str, path: str, said: str) -> Url:
    user, at, host = authority.rpartition("@")
    if ":" in user or (at and scheme in ("s3", "gs")):
        raise UsageError(
            f"A URL of {host.partition(':')[0] or 'a store'} holds credentials, which logs would show; register it as a datastore with credentials."
        )
    if not host and scheme != "postgresql":
        raise UsageError(f"{said[:200]!r} names no bucket or container; write {scheme}://NAME/FOLDER.")
    if scheme == "postgresql" and (not path or "?" in path):
        raise UsageError(f"{said[:200]!r} names no database; write postgresql://HOST/NAME, and options into the credentials.")
    if scheme == "abfss" and (found := _AZURE.fullmatch(authority)):
        return _blob(found[1] or "", found[2], path, said)
    return Url(_KINDS[scheme], "/".join([f"{scheme}://{authority}", *(each for each in path.split("/") if each)]))


def _web(said: str) -> Url:
    try:
        parts = urlsplit(said)
    except ValueError:
        raise UsageError(f"{said[:200]!r} is no URL; look at its host.") from None
    if parts.username is not None or any(_TELLTALE.fullmatch(name) for name, _ in parse_qsl(parts.query)):
        raise UsageError(f"A URL of {parts.hostname} holds credentials, which logs would show; register it as a datastore with credentials.")
    if not parts.hostname:
        raise UsageError(f"{said[:200]!r} names no host.")
    if found := _AZURE.fullmatch(parts.netloc):
        container, _, path = parts.path.lstrip("/").partition("/")
        return _blob(container, found[2], path, said)
    return Url("http", said.rstrip("/"))


def _blob(container: str, account: str, path: str, said: str) -> Url:
    if not container:
        raise UsageError(f"{said[:200]!r} names no container; write https://ACCOUNT.blob.core.windows.net/CONTAINER or abfss://CONTAINER@ACCOUNT….")
    where = f"abfss://{container}@{account.lower()}.dfs.core.windows.net"
    return Url("azure-blob", "/".join([where, *(each for each in path.split("/") if each)]))


def account_of(url: Url) -> str | None:
    """Of an Azure URL that says it."""
    found = _AZURE.fullmatch(url.text.removeprefix("abfss://").partition("/")[0])
    return found[2] if found else None


def holder_of(url: Url) -> str | None:
    """The account or bucket that a URL of a store lies in; None for folders, web servers and databases."""
    if url.kind not in ("s3", "gcs", "azure-blob"):
        return None
    return account_of(url) or url.text.partition("://")[2].partition("/")[0]


def base_of(pattern: str) -> str:
    """The folder that a pattern begins at: what is before its first part with *, ? or [; a pattern without them is its own."""
    parts = pattern.split("/")
    magic = next((number for number, each in enumerate(parts) if MAGIC.search(each)), None)
    return pattern if magic is None else "/".join(parts[:magic])
