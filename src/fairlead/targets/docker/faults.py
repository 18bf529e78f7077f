"""What an engine's errors mean, in one sentence each; `facts["cause"]` is one of CAUSES where there is one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from fairlead.errors import BootFailure, Conflict, FairleadError, NotFound, Unavailable

TAKEN = re.compile(r"port is already allocated|address already in use|bind for \S+ failed|ports are not available", re.IGNORECASE)
FULL = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)
FOREIGN = re.compile(r"exec format error|executable file not found|no such file or directory|does not match the (?:specified|detected) platform", re.IGNORECASE)
NO_GPU = re.compile(r"could not select device driver|nvidia|cdi device", re.IGNORECASE)


# What the words of an answer say, what it means (after "could not X: "), and the cause.
MEANINGS = (
    (FULL, "its disk is full; make room there (`docker system df` says what takes it)", "disk-full"),
    (TAKEN, "another process has the port ({words})", "port-taken"),
    (NO_GPU, "it has no GPU to give ({words}); install the vendor's container toolkit", "engine-failed"),
    (FOREIGN, "the image is not for this machine, or none of Fairlead's ({words})", "image-unusable"),
)


class NameTaken(Conflict):
    """A container or volume of that name is there."""


@contextmanager
def told(where: str, doing: str, last_words: Callable[[], str]) -> Iterator[None]:
    """Raises FairleadError for what the library raises while `doing`, which completes "The container engine could not ..."."""
    import urllib3
    from docker import errors

    try:
        yield
    except errors.APIError as error:
        raise of_answer(where, doing, error.status_code or 500, str(error.explanation or error)) from error
    except (errors.DockerException, urllib3.exceptions.HTTPError, OSError) as error:
        raise unreachable(where, error, last_words()) from error


def of_answer(where: str, doing: str, status: int, said: str) -> FairleadError:
    """Of an engine that has answered."""
    words = " ".join(said.split()).rstrip(".")
    failed = f"The container engine could not {doing}"
    if status == 409:
        return NameTaken(f"{failed}: the name is taken ({words}).") if "already in use" in words else Conflict(f"{failed} now ({words}).")
    for pattern, meaning, cause in MEANINGS:
        if pattern.search(words) and not (status == 404 and pattern is FOREIGN):
            return BootFailure(f"{failed}: {meaning.format(words=words)}.", cause=cause)
    if status == 404:
        return NotFound(f"{failed}: it is not there ({words}).")
    if status in (401, 403):
        return Unavailable(f"The container engine at {where} refuses this user ({words}).", cause="engine-failed")
    return BootFailure(f"{failed}: {words}.", cause="engine-failed")


def unreachable(where: str, error: BaseException, last_words: str = "") -> Unavailable:
    """Of an engine that has not. `last_words`: what a helper such as ssh said."""
    path = where.removeprefix("unix://")
    if not last_words and any(isinstance(each, PermissionError) for each in _chain(error)):
        cure = "become a member of the group that owns it (usually `docker`), or run an engine of your own (rootless)"
        return Unavailable(f"This user may not use the container engine's socket {path}: {cure}.", cause="engine-failed")
    if any(isinstance(each, FileNotFoundError) for each in _chain(error)):
        return Unavailable(f"There is no container engine at {path}: start Docker or Podman, or say where one is with --docker-host.", cause="engine-failed")
    if not last_words and (refused := _refused_by_tls(error)):
        said = f"The container engine at {where} and this machine do not trust each other's certificates ({refused})"
        return Unavailable(f"{said}: cert.pem, key.pem and ca.pem in DOCKER_CERT_PATH must be of the authority that the engine has.", cause="engine-failed")
    why = last_words or ("it does not answer in time" if "timed out" in str(error).lower() else _innermost(error))
    return Unavailable(f"The container engine at {where} cannot be reached ({why}): start it, or say where one is with --docker-host.", cause="engine-failed")


def cause_of(error: FairleadError) -> str:
    return str(error.facts.get("cause", "engine-failed"))


def _chain(error: Any) -> Iterator[BaseException]:
    """The error and what it was made from; libraries also put causes into arguments and `reason`."""
    waiting, seen = [error], set()
    while waiting:
        each = waiting.pop()
        if not isinstance(each, BaseException) or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting += [each.__cause__, each.__context__, getattr(each, "reason", None), *each.args]


def _refused_by_tls(error: BaseException) -> str | None:
    """Why, of a handshake that ended over a certificate, whosever it was."""
    said = " ".join(str(error).split())
    found = re.search(r"\[SSL: (\w*(?:CERT|UNKNOWN_CA)\w*)\] ?([^(\[]*)", said)
    return (found[2].strip() or found[1]) if found else None


def _innermost(error: BaseException) -> str:
    of_system = [each for each in _chain(error) if isinstance(each, OSError) and each.strerror]
    return str(of_system[-1].strerror) if of_system else " ".join(str(error).split())[:200]
