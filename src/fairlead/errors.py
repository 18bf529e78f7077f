"""Every error of Fairlead: one class = one HTTP status, one exit code (ADR 1) and one sentence with the cure.

FairleadError            500  1   no more precise word
├── UsageError           400  2   what was asked for makes no sense as it stands
│   ├── Conflict         409  2   it would overwrite or contradict what is there
│   └── EnvironmentNotFound 400 2 there is no interpreter where one was named
├── InvalidBundle        400  3   a bundle is not what its manifest says
└── BootFailure          503  3   what was to be served cannot be
"""

from __future__ import annotations


class FairleadError(Exception):
    """The message names the thing, what happened and what to do."""

    status = 500
    exit_code = 1


class UsageError(FairleadError):
    status = 400
    exit_code = 2


class Conflict(UsageError):
    status = 409


class EnvironmentNotFound(UsageError):
    status = 400


class InvalidBundle(FairleadError):
    status = 400
    exit_code = 3


class BootFailure(FairleadError):
    status = 503
    exit_code = 3
