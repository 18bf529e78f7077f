"""Reads requirements files: what an environment needs as plain, index-only lines; everything that leans on one machine is refused or named in a notice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from fairlead.errors import UsageError

SERVERS = frozenset(("azureml-defaults", "azureml-inference-server-http"))
OURS = frozenset(("fairlead", "fairlead-scoring"))
_INCLUDE = re.compile(r"(-r|--requirement|-c|--constraint)(?:[ =]\s*|(?<=-[rc]))(.+)")
_EDITABLE = re.compile(r"(-e|--editable)\b")
_INDEX = re.compile(r"(-i|--index-url|--extra-index-url|-f|--find-links|--no-index|--trusted-host)\b")
_HARMLESS = re.compile(r"(--require-hashes|--prefer-binary|--only-binary|--use-feature)\b")
_LOCAL = re.compile(r"\.{0,2}/|~|file:|[A-Za-z]:\\|[^\s@;]*(\.whl|\.tar\.gz|\.zip|\.tar\.bz2)(\s|;|$)")
_ADDRESS = re.compile(r"(git|hg|svn|bzr)\+|https?://")
_COMMENT = re.compile(r"(^|\s)#.*$")
_HASHES = re.compile(r"\s--hash[= ]\s*(\S+)")


@dataclass(slots=True)
class Lines:
    """What was read. `locked`: the lines that are pinned and carry hashes, with them."""

    requirements: list[str] = field(default_factory=list)
    constraints: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    locked: list[str] = field(default_factory=list)

    def lock(self) -> list[str]:
        """The locked lines if they are all; nothing when no line has a hash. Raises UsageError when only some have."""
        if self.locked and len(self.locked) != len(self.requirements):
            bare = next(line for line in self.requirements if not any(each.startswith(f"{line} ") for each in self.locked))
            raise UsageError(f"Requirement {bare!r} has no --hash while others have one. Give every line its hashes, or none.")
        return self.locked


def read_requirements(source: Path | str) -> Lines:
    """A Path is a file, whose `-r` and `-c` are read relative to it; a str is text, which stands alone. Raises UsageError."""
    found = Lines()
    if isinstance(source, Path):
        _read(read_text(source), str(source), source.parent, found, (source.resolve(),))
    else:
        _read(source, "requirements", None, found, ())
    return found


def locked_lines(text: str) -> list[str]:
    """Of a lock: every line pinned and hashed. Raises UsageError otherwise."""
    read = read_requirements(text)
    if read.requirements and not read.lock():
        raise UsageError("The lock has no hashes. Lock the requirements first, or give them as requirements.")
    return read.locked


def read_list(lines: list[str], where: str, folder: Path | None = None) -> Lines:
    """The same for lines that are already apart, as under `pip:` in a conda file."""
    found = Lines()
    for line in lines:
        _one(line.strip(), where, folder, found, ())
    return found


def read_text(path: Path) -> str:
    """The file's text; raises UsageError when it cannot be read as UTF-8."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as fault:
        raise UsageError(f"{path} cannot be read: {fault.strerror}.") from fault
    except UnicodeDecodeError as fault:
        raise UsageError(f"{path} is not UTF-8 text (byte {fault.start}). Save it as UTF-8.") from fault


def parsed(line: str, where: str) -> Requirement:
    """The line as a requirement that an index can answer; raises UsageError with the reason and the cure."""
    if _ADDRESS.match(line) or " @ " in line or _LOCAL.match(line):
        raise UsageError(f"{where}: {_shown(line)} comes from an address or a folder, which no lock can hold. {_TO_AN_INDEX}")
    try:
        requirement = Requirement(line)
    except InvalidRequirement as fault:
        reason = str(fault).splitlines()[0].rstrip(".")
        raise UsageError(f"{where}: {_shown(line)} is no requirement ({reason}). Write NAME or NAME==VERSION.") from None
    if requirement.url is not None:
        raise UsageError(f"{where}: {_shown(line)} comes from an address, which no lock can hold. {_TO_AN_INDEX}")
    return requirement


_TO_AN_INDEX = "Build a wheel, put it on your package index and write NAME==VERSION; or ship the code in the source folder."


def _read(text: str, name: str, folder: Path | None, found: Lines, within: tuple[Path, ...]) -> None:
    for number, line in _logical(text):
        _one(line, f"{name}, line {number}", folder, found, within)


def _logical(text: str) -> Iterator[tuple[int, str]]:
    """Lines without comments, those that end in a backslash joined, with the number of their first."""
    begun, first = "", 0
    for number, raw in enumerate([*text.splitlines(), ""], start=1):
        line = raw if begun and raw.lstrip().startswith("#") else _COMMENT.sub("", raw)
        first = first or number
        if line.endswith("\\"):
            begun += line[:-1] + " "
            continue
        whole = _COMMENT.sub("", begun + line).strip()
        if whole:
            yield first, whole
        begun, first = "", 0


def _one(line: str, where: str, folder: Path | None, found: Lines, within: tuple[Path, ...]) -> None:
    if not line.startswith("-"):
        _requirement(line, where, found)
    elif included := _INCLUDE.fullmatch(line):
        _include(included[2].strip(), where, folder, found, within, constraints=included[1] in {"-c", "--constraint"})
    elif _EDITABLE.match(line):
        raise UsageError(f"{where}: an editable package exists on one machine only. {_TO_AN_INDEX}")
    elif _INDEX.match(line):
        option = re.split(r"[ =]", line, maxsplit=1)[0]
        found.notices.append(f"{where}: {option} is not taken over; packages come from the index that uv on the building machine is set to.")
    elif not _HARMLESS.match(line):
        raise UsageError(f"{where}: {line.split(maxsplit=1)[0]} is not understood. Delete it; to take a pre-release, pin it (NAME==1.0rc1).")


def _include(name: str, where: str, folder: Path | None, found: Lines, within: tuple[Path, ...], *, constraints: bool) -> None:
    if _ADDRESS.match(name):
        raise UsageError(f"{where}: {_shown(name)} is an address. Fetch the file and name the copy.")
    if folder is None:
        raise UsageError(f"{where}: {name!r} is another file, which did not come along. Write its lines in its place.")
    path = folder / name
    if path.resolve() in within:
        raise UsageError(f"{where}: {name!r} includes itself. Delete the line.")
    if not constraints:
        _read(read_text(path), str(path), path.parent, found, (*within, path.resolve()))
        return
    inner = Lines()
    _read(read_text(path), str(path), path.parent, inner, (*within, path.resolve()))
    found.constraints += [line for line in inner.requirements + inner.constraints if line not in found.constraints]


def _requirement(line: str, where: str, found: Lines) -> None:
    hashes = _HASHES.findall(line)
    plain = _HASHES.sub("", line).strip()
    if " --" in plain:
        raise UsageError(f"{where}: {plain[plain.index(' --') + 1 :].split('=')[0]!r} is for builds from source, which are not made. Delete it.")
    requirement = parsed(plain, where)
    name = canonicalize_name(requirement.name)
    if name in SERVERS or name in OURS:
        found.notices.append(f"{where}: {requirement.name} is left out; Fairlead brings its own scoring server.")
        return
    if plain not in found.requirements:
        found.requirements.append(plain)
    if hashes:
        if not any(each.operator in {"==", "==="} and "*" not in each.version for each in requirement.specifier):
            raise UsageError(f"{where}: {plain!r} has a hash but no exact version. Write NAME==VERSION before the hash.")
        found.locked.append(" ".join((plain, *(f"--hash={each}" for each in hashes))))


def _shown(line: str) -> str:
    """The line, without what may be a password in it."""
    return repr(re.sub(r"://[^/\s@]+@", "://", line))
