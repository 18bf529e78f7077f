"""Whether an interpreter holds what is required, without importing any of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from fairlead.environments.installed_packages import Contents, contents_of
from fairlead.environments.requirement_lines import parsed


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """`found`: None when the package is missing. `needed_by`: the requirement whose extra asks for it."""

    package: str
    wanted: str
    found: str | None
    needed_by: str | None = None

    def __str__(self) -> str:
        what = f"{self.package} is missing" if self.found is None else f"{self.package} {self.found} is installed"
        wanted = f", {self.wanted} is required" if self.wanted != self.package else ""
        return what + wanted + (f" by {self.needed_by}" if self.needed_by else "")


def check(python: Path, requirements: Iterable[str]) -> list[Mismatch]:
    """What is missing or of another version, in the order of the requirements; what an extra asks for counts too. Raises EnvironmentNotFound."""
    contents = contents_of(python)
    return _mismatches(contents, [(parsed(line, "requirements"), None) for line in requirements])


def check_pins(pins: Iterable[str], requirements: Iterable[str], *, python: str) -> list[Mismatch]:
    """What a lock's pinned lines lack, for this kind of machine and that Python; extras are the business of whoever locked them."""
    pinned = {canonicalize_name(each.name): each for each in (Requirement(line) for line in pins) if _holds(each, python)}
    found = []
    for wanted in (parsed(line, "requirements") for line in requirements):
        there = pinned.get(canonicalize_name(wanted.name))
        version = None if there is None else str(there.specifier).lstrip("=")
        if _holds(wanted, python) and (version is None or not _satisfies(version, wanted)):
            found.append(Mismatch(package=wanted.name, wanted=_plain(wanted), found=version))
    return found


def _holds(requirement: Requirement, python: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"python_version": python, "python_full_version": f"{python}.0", "extra": ""})


def _mismatches(contents: Contents, wanted: list[tuple[Requirement, str | None]]) -> list[Mismatch]:
    found: list[Mismatch] = []
    seen: set[str] = set()
    for requirement, needed_by in wanted:  # grows while it is read, by what extras ask for
        if str(requirement) in seen or not _applies(requirement, contents):
            continue
        seen.add(str(requirement))
        installed = contents.distributions.get(canonicalize_name(requirement.name))
        if installed is None or not _satisfies(installed.version, requirement):
            version = None if installed is None else installed.version
            found.append(Mismatch(package=requirement.name, wanted=_plain(requirement), found=version, needed_by=needed_by))
        elif requirement.extras:
            wanted += [(each, _plain(requirement)) for each in _of_extras(requirement, installed.requires, contents)]
    return found


def _applies(requirement: Requirement, contents: Contents) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({**contents.markers, "extra": ""})


def _satisfies(version: str, requirement: Requirement) -> bool:
    try:
        return requirement.specifier.contains(Version(version), prereleases=True)
    except InvalidVersion:
        return not requirement.specifier


def _of_extras(requirement: Requirement, requires: Iterable[str], contents: Contents) -> list[Requirement]:
    """What the named extras add; the marker that named the extra is done with."""
    added = []
    for line in requires:
        each = Requirement(line)
        if each.marker is None or each.marker.evaluate({**contents.markers, "extra": ""}):
            continue
        if any(each.marker.evaluate({**contents.markers, "extra": extra}) for extra in requirement.extras):
            each.marker = None
            added.append(each)
    return added


def _plain(requirement: Requirement) -> str:
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    return f"{requirement.name}{extras}{requirement.specifier}"
