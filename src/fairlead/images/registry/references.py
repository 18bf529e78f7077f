"""Names of images: HOST[:PORT]/NAME[:TAG][@sha256:DIGEST], short forms made whole as Docker does."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from fairlead.errors import UsageError

DEFAULT_HOST = "docker.io"  # where a name without a host is looked for
DEFAULT_NAMESPACE = "library"  # and there, a name without a folder
DEFAULT_TAG = "latest"

_API_HOSTS = {DEFAULT_HOST: "registry-1.docker.io"}
_ALIASES = {"index.docker.io": DEFAULT_HOST, "registry-1.docker.io": DEFAULT_HOST}
_LONGEST_NAME = 255
_LONGEST_TAG = 128

_HOST = re.compile(r"(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*)(?::([0-9]{1,5}))?")
_COMPONENT = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_LOGIN = re.compile(r"(?:[a-z]+://)?[^/@]+:[^/@]+@(?!sha\d)")
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """`host` as credentials name it; `digest` in plain hex. One of tag and digest is there; with both, the digest decides."""

    host: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    def __str__(self) -> str:
        return self.name + (f":{self.tag}" if self.tag else "") + (f"@sha256:{self.digest}" if self.digest else "")

    @property
    def name(self) -> str:
        """Host and repository, without tag and digest."""
        return f"{self.host}/{self.repository}"

    @property
    def api_host(self) -> str:
        """Where the protocol is spoken."""
        return _API_HOSTS.get(self.host, self.host)

    @property
    def target(self) -> str:
        """What names the manifest in the protocol: the digest if there is one, else the tag."""
        return f"sha256:{self.digest}" if self.digest else str(self.tag)

    def pinned(self, digest: str) -> Reference:
        """The same repository at this digest, the tag forgotten."""
        return replace(self, tag=None, digest=digest)

    def tagged(self, tag: str) -> Reference:
        return replace(self, tag=tag, digest=None)


def parse_reference(text: str) -> Reference:
    """Without tag and digest, the tag is `latest`. Raises UsageError with what was probably meant."""
    if scheme := _SCHEME.match(text):
        raise _wrong(text, f"names of images have no {scheme[0]}", text[scheme.end() :].rstrip("/"))
    name, at, digest = text.partition("@")
    name, tag = _split_tag(name)
    host, repository = _split_host(name)
    _check_host(text, host)
    _check_repository(text, host, repository)
    if tag is not None:
        _check_tag(text, name, tag)
    host = _ALIASES.get(host.lower(), host.lower())
    if host == DEFAULT_HOST and "/" not in repository:
        repository = f"{DEFAULT_NAMESPACE}/{repository}"
    if len(f"{host}/{repository}") > _LONGEST_NAME:
        raise _wrong(text, f"its name is longer than {_LONGEST_NAME} characters", None)
    found = _checked_digest(text, digest) if at else None
    return Reference(host=host, repository=repository, tag=tag or (None if found else DEFAULT_TAG), digest=found)


def _split_tag(name: str) -> tuple[str, str | None]:
    before, colon, after = name.rpartition(":")
    if not colon or "/" in after or name.endswith("]"):
        return name, None
    return before, after


def _split_host(name: str) -> tuple[str, str]:
    """The first part is a host when it could not be a folder: it has a dot, a port or a capital, or is `localhost`."""
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost" or first.lower() != first):
        return first, rest
    return DEFAULT_HOST, name


def _check_host(text: str, host: str) -> None:
    found = _HOST.fullmatch(host)
    if not found:
        raise _wrong(text, f"{host!r} is no host", None)
    if found[1] and not 0 < int(found[1]) < 65536:
        raise _wrong(text, f"{found[1]} is no port; they end at 65535", None)


def _check_repository(text: str, host: str, repository: str) -> None:
    wrong = next((each for each in repository.split("/") if not _COMPONENT.fullmatch(each)), None)
    if wrong is None:
        return
    if not repository:
        raise _wrong(text, "it has a host and no name", None)
    nearest = "/".join(filter(None, (_mended(each) for each in repository.split("/"))))
    why = "it has an empty part" if not wrong else f"{wrong!r} is no part of a name (small letters, digits, and single . _ - between them)"
    raise _wrong(text, why, _rebuilt(text, host, repository, nearest) if nearest else None)


def _check_tag(text: str, name: str, tag: str) -> None:
    if _TAG.fullmatch(tag):
        return
    nearest = re.sub(r"[^A-Za-z0-9._-]+", "-", tag).lstrip(".-")[:_LONGEST_TAG]
    why = "its tag is empty" if not tag else f"{tag[:_LONGEST_TAG]!r} is no tag (up to {_LONGEST_TAG} letters, digits, and . _ -)"
    raise _wrong(text, why, f"{name}:{nearest}" if nearest else name)


def _checked_digest(text: str, digest: str) -> str:
    if found := _DIGEST.fullmatch(digest):
        return found[1]
    if found := _DIGEST.fullmatch(f"sha256:{digest.lower().removeprefix('sha256:')}"):
        raise _wrong(text, f"{digest!r} is not written as a digest", text.partition("@")[0] + f"@sha256:{found[1]}")
    raise _wrong(text, f"{digest[:80]!r} is no digest; one is sha256: and 64 characters of 0-9 and a-f", None)


def _mended(component: str) -> str:
    plain = re.sub(r"[^a-z0-9._-]+", "-", component.lower())
    return re.sub(r"\.[._-]+|_{3,}|[_-]+\.|_-|-_", "-", plain).strip("._-")


def _rebuilt(text: str, host: str, repository: str, nearest: str) -> str:
    return text.replace(repository, nearest, 1) if repository in text else f"{host}/{nearest}"


def _wrong(text: str, why: str, nearest: str | None) -> UsageError:
    cure = (
        f"did you mean {nearest}?"
        if nearest and nearest != text and _is_name(nearest)
        else "write it as HOST/NAME:TAG, such as registry.example.org/team/app:1."
    )
    if _LOGIN.match(text):  # a password that was typed is not said again
        return UsageError(
            "A name of an image has no user and password in it; run `docker login HOST`, or set FAIRLEAD_REGISTRY_USER and FAIRLEAD_REGISTRY_PASSWORD."
        )
    return UsageError(f"{text[:200]!r} is no name of an image: {why}; {cure}")


def _is_name(text: str) -> bool:
    try:
        return bool(parse_reference(text).repository)
    except UsageError:
        return False
