"""URLs of object stores and web servers: what they name, in their library's words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from fairlead_scoring.batch.places.faults import Refused

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # one letter before the colon is a drive
_AZURE_HOST = re.compile(r"([a-z0-9-]+)\.(?:blob|dfs)\.core\.[a-z.]+")
_TOKEN = re.compile("^sig$|signature|token|accesskey|accessid|credential|apikey|password|secret")
DATABASES = ("postgresql", "postgres")
_PROTOCOLS = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gs",
    "abfs": "abfs",
    "abfss": "abfs",
    "wasb": "abfs",
    "wasbs": "abfs",
    "http": "http",
    "https": "http",
    "memory": "memory",
}
PACKAGES = {"s3": "s3fs", "gs": "gcsfs", "abfs": "adlfs", "http": "aiohttp", "memory": "fsspec"}


@dataclass(frozen=True)
class Address:
    """start: how URLs in the store begin. bucket: how the library's paths do. path: the rest, perhaps a pattern. account: of Azure storage, if said."""

    protocol: str
    start: str
    bucket: str
    path: str
    account: str = ""

    @property
    def url(self) -> str:
        return f"{self.start}/{self.path}".rstrip("/")


def is_url(text: str) -> bool:
    return _URL.match(text) is not None


def scheme_of(url: str) -> str:
    return url.partition(":")[0].lower()


def read_address(url: str, *, azure: bool = False) -> Address:
    """azure: credentials for Azure storage are at hand, so that https://ACCOUNT.blob.core.windows.net/... is read with them. Raises Refused."""
    parts = _split(url)
    protocol = _PROTOCOLS[parts.scheme]
    known = _AZURE_HOST.fullmatch(parts.hostname or "")
    if protocol == "http":
        return _azure_by_https(parts, known.group(1)) if known and azure else _web(url, parts)
    if protocol == "abfs":
        container = parts.username or ("" if known else parts.hostname) or ""
        if not container:
            raise Refused(f"{url!r} names no container; write {parts.scheme}://CONTAINER@ACCOUNT.dfs.core.windows.net/FOLDER.")
        return Address(protocol, f"{parts.scheme}://{parts.netloc}", container, parts.path.lstrip("/"), known.group(1) if known else "")
    return Address(protocol, f"{parts.scheme}://{parts.netloc}", ("/" if protocol == "memory" else "") + parts.netloc, parts.path.lstrip("/"))


def _split(url: str) -> SplitResult:
    scheme, _, rest = url.partition(":")
    if scheme.lower() not in _PROTOCOLS:
        raise Refused(f"{url!r} is of no kind that can be read here; give a path, or a URL that begins with {', '.join(_PROTOCOLS)} and '://'.")
    web = _PROTOCOLS[scheme.lower()] == "http"
    try:  # `?` is of patterns, and `#` of names, everywhere but on the web
        parts = urlsplit(f"{scheme.lower()}:{rest}" if web else f"{scheme.lower()}:{rest}".replace("?", "%3F").replace("#", "%23"))
    except ValueError as fault:
        raise Refused(f"{url!r} is no URL: {fault}.") from fault
    if not web:
        parts = parts._replace(path=parts.path.replace("%3F", "?").replace("%23", "#"))
    if parts.password is not None or (web and parts.username) or _holds_token(url):
        raise Refused(f"The URL at {parts.hostname} holds credentials, which logs would show; leave them out, and give them by name (--credentials).")
    if not parts.hostname:
        raise Refused(f"{url!r} names no bucket or container; write {scheme}://NAME/FOLDER.")
    return parts


def _holds_token(url: str) -> bool:
    """As presigned URLs have it, of whatever store."""
    words = (unquote(each.partition("=")[0]).lower() for each in re.split("[?&;#]", url)[1:] if "/" not in each.partition("=")[0] and "=" in each)
    return any(_TOKEN.search(re.sub("[^a-z0-9]", "", word)) for word in words)


def _azure_by_https(parts: SplitResult, account: str) -> Address:
    container, _, path = parts.path.lstrip("/").partition("/")
    if not container:
        raise Refused(f"https://{parts.netloc} names no container; write https://{parts.netloc}/CONTAINER/FOLDER.")
    return Address("abfs", f"https://{parts.netloc}/{container}", container, path, account)


def _web(url: str, parts: SplitResult) -> Address:
    start = f"{parts.scheme}://{parts.netloc}"
    return Address("http", start, start, url[len(start) :].lstrip("/"))
