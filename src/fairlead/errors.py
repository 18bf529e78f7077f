"""Every error of Fairlead: one class = one HTTP status, one exit code (ADR 1) and one sentence with the cure.

FairleadError            500  1   no more precise word
├── UsageError           400  2   what was asked for makes no sense as it stands
│   ├── Conflict         409  2   it would overwrite or contradict what is there
│   │   ├── InUse        409  2   something that lives still needs it
│   │   └── WrongOffset  409  2   an upload goes on at another byte; the fact `offset` says at which
│   ├── NotFound         404  2   nothing of that name is there
│   │   ├── BlobNotFound 404  2   no blob of that digest is there
│   │   └── UploadNotFound 404 2  nothing of this upload has arrived, or it is over
│   ├── Changed          412  2   it is not any more what the caller last saw (If-Match)
│   ├── TooLarge         413  2   more than a limit or quota allows
│   │   └── QuotaExceeded 413 2   a workspace would hold more bytes than it may
│   ├── DigestMismatch   422  2   bytes that arrived are not those that were announced
│   ├── NotSatisfiable   416  2   a part of bytes that there are not
│   ├── InvalidTree      400  2   a list of files that is none, or leads out of its folder
│   └── EnvironmentNotFound 400 2 there is no interpreter where one was named
├── Unauthenticated      401  5   no token, or one that is not valid (any more)
├── Forbidden            403  5   the token is valid and its role does not reach
├── InvalidBundle        400  3   a bundle is not what its manifest says
├── EnvironmentFailure   422  3   packages that cannot be locked or installed; the fact `cause` says it in a word
├── BootFailure          503  3   what was to be served cannot be
├── BlobDamaged          500  3   the store's bytes are no longer those that were put there
└── Unavailable          503  6   the server, or what it needs, cannot be reached now
    └── StoreUnavailable 503  6   the store does not answer, or refuses
        └── StoreFull    507  6   no space is left in it

The server answers each as problem+json (RFC 9457) whose `type` names the class; the client raises that class again.
"""

from __future__ import annotations

import re
from typing import Any

URN = "urn:fairlead:error:"


class FairleadError(Exception):
    """The message names the thing, what happened and what to do. `facts` are further members of the problem document."""

    status = 500
    exit_code = 1

    def __init__(self, message: str = "", **facts: Any) -> None:
        super().__init__(message)
        self.facts = facts

    @classmethod
    def problem_type(cls) -> str:
        return URN + re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()


class UsageError(FairleadError):
    status = 400
    exit_code = 2


class Conflict(UsageError):
    status = 409


class InUse(Conflict):
    pass


class WrongOffset(Conflict):
    pass


class NotFound(UsageError):
    status = 404


class BlobNotFound(NotFound):
    pass


class UploadNotFound(NotFound):
    pass


class Changed(UsageError):
    status = 412


class TooLarge(UsageError):
    status = 413


class QuotaExceeded(TooLarge):
    pass


class DigestMismatch(UsageError):
    status = 422


class NotSatisfiable(UsageError):
    status = 416


class InvalidTree(UsageError):
    pass


class EnvironmentNotFound(UsageError):
    status = 400


class Unauthenticated(FairleadError):
    status = 401
    exit_code = 5


class Forbidden(FairleadError):
    status = 403
    exit_code = 5


class InvalidBundle(FairleadError):
    status = 400
    exit_code = 3


class EnvironmentFailure(FairleadError):
    """`log`: all that uv said; it is for the build's log and not sent."""

    status = 422
    exit_code = 3

    def __init__(self, message: str = "", *, log: str = "", **facts: Any) -> None:
        super().__init__(message, **facts)
        self.log = log

    @property
    def cause(self) -> str:
        """A kebab-case word for programs."""
        return str(self.facts.get("cause", "environment-failed"))


class BootFailure(FairleadError):
    status = 503
    exit_code = 3


class BlobDamaged(FairleadError):
    status = 500
    exit_code = 3


class Unavailable(FairleadError):
    status = 503
    exit_code = 6


class StoreUnavailable(Unavailable):
    pass


class StoreFull(StoreUnavailable):
    status = 507


def error_class(problem_type: str) -> type[FairleadError]:
    """The class that a problem's type names; FairleadError for a type of a newer server."""
    return next((each for each in _descendants(FairleadError) if each.problem_type() == problem_type), FairleadError)


def _descendants(parent: type[FairleadError]) -> list[type[FairleadError]]:
    return [parent, *(each for child in parent.__subclasses__() for each in _descendants(child))]
