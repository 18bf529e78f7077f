"""Every error of the scoring runtime that ends a process: one class = one exit code and one sentence with the cure.

RuntimeFault
├── UsageFault    2   a flag or variable that makes no sense
├── BootFault     3   what was to be served cannot be served (script, model, environment, port)
└── BundleFault   3   the bundle is not what its manifest says
"""

from __future__ import annotations

import errno


class RuntimeFault(Exception):
    """The message names the thing, what happened and what to do. `stage` and `cause` are the same for programs, as codes."""

    exit_code = 1
    stage = "starting"
    cause = "start-failed"

    def __init__(self, message: str, *, cause: str = "") -> None:
        super().__init__(message)
        self.cause = cause or self.cause


class UsageFault(RuntimeFault):
    exit_code = 2
    cause = "options-invalid"


class BootFault(RuntimeFault):
    exit_code = 3


class BundleFault(RuntimeFault):
    exit_code = 3
    cause = "bundle-damaged"


def cause_of(error: BaseException, otherwise: str = "") -> str:
    """`disk-full` where the system said that, in whatever words."""
    full = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    is_full = (isinstance(error, OSError) and error.errno in full) or getattr(error, "cause", "") == "disk-full"
    return "disk-full" if is_full else otherwise
