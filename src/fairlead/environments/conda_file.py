"""Reads conda environment files. Packages come from package indexes through uv, not from conda channels:

- `numpy=1.19.2` (conda: 1.19.2 and what refines it) becomes `numpy==1.19.2.*`; `numpy==1.19.2`, `numpy 1.19.2` and `numpy=1.19.2=py38h1` (with a build)
  become `numpy==1.19.2`; ranges stay. Each package that is translated is named in a notice, because conda and the index may differ in what they ship.
- A name that conda is known to give otherwise (`pytorch`) becomes the index's name (`torch`), with a notice.
- What only conda has (`cudatoolkit`, `mkl`) is kept in `conda_packages`; locking such an environment fails with their names.
- `python=3.8.5` becomes 3.8. `pip` itself is dropped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from fairlead.environments import python_versions
from fairlead.environments.conda_names import INSTALLERS, ONLY_CONDA, OTHERWISE_CALLED, SEVERAL
from fairlead.environments.requirement_lines import read_list, read_text
from fairlead.errors import UsageError

_PACKAGE = re.compile(r"(?:(?P<channel>[^\s:\[]+)::)?(?P<name>[A-Za-z0-9_][A-Za-z0-9._-]*)\s*(?P<rest>.*)")
_CLAUSE = re.compile(r"(?P<operator>>=|<=|!=|~=|==|>|<|=)?\s*(?P<version>[^\s=<>~]+)(?P<build>(?:=|\s)\s*\S+)?")
_RELEASE = re.compile(r"[0-9.!]+")  # of a pre-release there is no `.*`
_KNOWN = frozenset(("name", "channels", "dependencies", "variables", "prefix", "platforms", "category"))


@dataclass(slots=True)
class CondaFile:
    """What was read."""

    name: str | None = None
    python: str | None = None
    requirements: list[str] = field(default_factory=list)
    constraints: list[str] = field(default_factory=list)
    conda_packages: list[str] = field(default_factory=list)
    channels: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    translated: list[str] = field(default_factory=list)


def read_conda(source: Path | str | Mapping[str, Any], where: str = "conda file") -> CondaFile:
    """A Path is a file, a str its text, a mapping what an inference configuration holds inline. Raises UsageError."""
    if isinstance(source, Path):
        return _read(_yaml(read_text(source), str(source)), str(source), source.parent)
    return _read(_yaml(source, where) if isinstance(source, str) else source, where, None)


def pip_specifier(rest: str, where: str) -> str:
    """What follows a package's name in conda, as a pip specifier: `=1.19` -> `==1.19.*`. Raises UsageError for what pip cannot say."""
    said = rest.strip()
    if "|" in said or "[" in said:
        raise UsageError(f"{where}: {said!r} has no equal on a package index. Write one version or a range, such as >=1.2,<2.")
    clauses = [_clause(each.strip(), where) for each in said.split(",") if each.strip()]
    return ",".join(each for each in clauses if each)


def _yaml(text: str, where: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as fault:
        mark = getattr(fault, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise UsageError(f"{where}{line}: this is no YAML ({getattr(fault, 'problem', None) or fault}). Correct it.") from None


def _read(content: Any, where: str, folder: Path | None) -> CondaFile:
    if not isinstance(content, Mapping) or not isinstance(content.get("dependencies") or [], list):
        raise UsageError(f"{where} is no conda file: it has no list 'dependencies'. Write dependencies: [python={python_versions.own()}, ...].")
    found = CondaFile(name=_text(content.get("name")), channels=[str(each) for each in content.get("channels") or []])
    found.notices += [f"{where}: key {key!r} has no meaning in a conda file." for key in content if key not in _KNOWN]
    found.variables = _variables(content.get("variables") or {}, where)
    for each in content.get("dependencies") or []:
        if isinstance(each, str):
            _package(each, where, found)
        elif isinstance(each, Mapping) and set(each) == {"pip"} and isinstance(each["pip"] or [], list):
            _pip(each["pip"] or [], where, folder, found)
        else:
            raise UsageError(f"{where}: {each!r} is no dependency. Write NAME=VERSION, or pip: with a list.")
    if found.translated:
        found.notices.append(f"{where}: taken from the package index instead of conda: {', '.join(found.translated)}.")
    return found


def _pip(lines: Sequence[object], where: str, folder: Path | None, found: CondaFile) -> None:
    read = read_list([str(line) for line in lines], f"{where}, pip", folder)
    if read.locked:
        raise UsageError(f"{where}, pip: hashes belong into a requirements file. Take them out, or deploy with the requirements file.")
    found.requirements += read.requirements
    found.constraints += read.constraints
    found.notices += read.notices


def _package(said: str, where: str, found: CondaFile) -> None:
    matched = _PACKAGE.fullmatch(said.strip())
    if matched is None:
        raise UsageError(f"{where}: {said!r} is no conda package. Write NAME=VERSION.")
    name = matched["name"].lower()
    if name in INSTALLERS:
        return
    if name in SEVERAL:
        raise UsageError(f"{where}: conda's {name!r} is not on package indexes under this name. Write {SEVERAL[name]} under pip:.")
    if name in ONLY_CONDA:
        found.conda_packages.append(said.strip())
        return
    specifier = pip_specifier(matched["rest"], f"{where}, {said!r}")
    if name == "python":
        _python(specifier, matched["rest"], where, found)
        return
    line = OTHERWISE_CALLED.get(name, name) + specifier
    requirement = read_list([line], where)  # azureml-defaults and the like are left out here too
    found.notices += requirement.notices
    found.requirements += requirement.requirements
    found.translated += [f"{said.strip()} as {each}" if each != said.strip() else each for each in requirement.requirements]


def _python(specifier: str, rest: str, where: str, found: CondaFile) -> None:
    found.python = python_versions.minor_of(specifier, where)
    exact = re.search(r"\d+\.\d+\.\d+", rest)
    if exact and found.python:
        found.notices.append(f"{where}: Python {exact[0]} means the newest {found.python} on the machine that builds.")


def _clause(said: str, where: str) -> str:
    found = _CLAUSE.fullmatch(said)
    if found is None:
        raise UsageError(f"{where}: {said!r} is no version. Write NAME=VERSION or NAME>=VERSION.")
    operator, version, build = found["operator"] or "==", found["version"], found["build"]
    plain = version.rstrip("*").rstrip(".")
    if not plain:
        return ""
    if operator in {"=", "=="}:
        refined = version != plain or (operator == "=" and build is None)
        operator, plain = "==", f"{plain}.*" if refined and _RELEASE.fullmatch(plain) else plain
    elif operator == "!=" and version != plain:
        plain += ".*"
    try:
        return str(SpecifierSet(operator + plain))
    except InvalidSpecifier:
        raise UsageError(f"{where}: {said!r} is no version that a package index knows. Write for example =1.2 or >=1.2,<2.") from None


def _variables(said: Any, where: str) -> dict[str, str]:
    if not isinstance(said, Mapping):
        raise UsageError(f"{where}: 'variables' must be names with values, such as variables: {{A: b}}.")
    return {str(name): str(value) for name, value in said.items()}


def _text(said: object) -> str | None:
    return None if said is None else str(said)
