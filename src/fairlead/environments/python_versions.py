"""Which Python a file asks for. Environments know minors ("3.11"): the newest patch on the machine that builds is taken."""

from __future__ import annotations

import re
import sys

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from fairlead.errors import UsageError

OLDEST = 8
NEWEST = 19  # of what is looked at; whether a Python is there, the builder says
_MINOR = re.compile(r"3\.(\d{1,2})")


def own() -> str:
    """The minor of the Python that runs this."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def checked(minor: str, where: str) -> str:
    """The minor as it was given; raises UsageError for anything else than a Python that can run a worker."""
    found = _MINOR.fullmatch(minor)
    if found is None:
        raise UsageError(f"{where}: {minor!r} is no Python version. Write a minor such as {own()!r}.")
    if int(found[1]) < OLDEST:
        raise UsageError(_too_old(minor, where))
    return minor


def minor_of(specifier: str, where: str) -> str | None:
    """The minor that a specifier such as `==3.8.*` or `>=3.9,<3.12` means: our own if it fits, else the newest that does; None when any will do."""
    if not specifier:
        return None
    try:
        wanted = SpecifierSet(specifier)
    except InvalidSpecifier:
        raise UsageError(f"{where}: {specifier!r} is no Python version. Write for example python={own()}.") from None
    fitting = [f"3.{minor}" for minor in range(OLDEST, NEWEST) if _fits(minor, wanted)]
    if not fitting:
        raise UsageError(_too_old(specifier, where))
    return own() if own() in fitting else fitting[-1]


def _fits(minor: int, wanted: SpecifierSet) -> bool:
    return any(wanted.contains(f"3.{minor}.{patch}") for patch in range(40))


def _too_old(said: str, where: str) -> str:
    return (
        f"{where}: Python {said.removeprefix('==')} cannot run a service; Fairlead's workers need Python 3.{OLDEST} or newer. "
        f"Write python=3.{OLDEST} (it still reads most models of 3.6 and 3.7), or train the model again with a newer Python."
    )
