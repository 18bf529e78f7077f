"""How a version of a model is written: `churn`, `churn:3`, `churn:latest`, `churn@champion`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fairlead.errors import UsageError

LATEST = "latest"
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}"
ALIAS = r"[A-Za-z][A-Za-z0-9._-]{0,62}"
NUMBER = r"[1-9][0-9]{0,8}"
_REFERENCE = re.compile(rf"({NAME})(?::({NUMBER}|{LATEST})|(@{ALIAS}))?")
_VERSION = re.compile(rf"{NUMBER}|{LATEST}|@{ALIAS}")


@dataclass(frozen=True)
class Reference:
    """`version` as it stands in an address: a number, `latest`, or `@alias`."""

    name: str
    version: str = LATEST

    def __str__(self) -> str:
        return f"{self.name}{self.version}" if self.version.startswith("@") else f"{self.name}:{self.version}"


def parse_reference(said: str, version: str | int | None = None) -> Reference:
    """`version`: given beside the name, where the name does not say it. Raises UsageError."""
    found = _REFERENCE.fullmatch(said)
    if found is None:
        raise UsageError(f"{said[:100]!r} names no model; write NAME, NAME:VERSION or NAME@ALIAS, such as churn:3 or churn@champion.")
    name, inside = found[1], found[2] or found[3]
    if version is None:
        return Reference(name, inside or LATEST)
    beside = check_version(str(version))
    if inside not in (None, beside):
        raise UsageError(f"{said!r} says one version and {version!r} another; give one of them.")
    return Reference(name, beside)


def check_version(said: str) -> str:
    """Raises UsageError for what is neither a number from 1 up, `latest`, nor `@alias`."""
    if not _VERSION.fullmatch(said):
        raise UsageError(f"{said[:100]!r} is no version; write a number from 1 up, latest, or @ALIAS.")
    return said
