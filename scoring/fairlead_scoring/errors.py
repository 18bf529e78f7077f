"""Every error of the scoring runtime that ends a process: one class = one exit code and one sentence with the cure.

RuntimeFault
├── UsageFault    2   a flag or variable that makes no sense
├── BootFault     3   what was to be served cannot be served (script, model, environment, port)
└── BundleFault   3   the bundle is not what its manifest says
"""

from __future__ import annotations


class RuntimeFault(Exception):
    """The message names the thing, what happened and what to do."""

    exit_code = 1


class UsageFault(RuntimeFault):
    exit_code = 2


class BootFault(RuntimeFault):
    exit_code = 3


class BundleFault(RuntimeFault):
    exit_code = 3
