"""From what is wanted to exact versions with hashes. The text has no address in it: whoever installs takes packages from the index of his own machine."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fairlead.environments import python_versions
from fairlead.environments.failures import failure
from fairlead.environments.requirement_lines import read_requirements
from fairlead.environments.spec import EnvironmentSpec, lock_text
from fairlead.environments.uv_command import WHEELS_ONLY, run_uv
from fairlead.errors import EnvironmentFailure

_COMPILE = (
    "pip", "compile", "--universal", "--generate-hashes", "--no-emit-index-url", "--no-header", "--no-annotate", "--quiet", "requirements.in",
)  # fmt: skip
_PROJECT = """[project]
name = "environment-to-lock"
version = "0"
requires-python = "=={python}.*"
[tool.uv]
environments = ["python_full_version >= '{python}' and python_full_version < '{next}' and sys_platform == '{system}'"]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """`text`: pip's requirement lines, pinned and hashed. `digest`: of text, Python and platform; one environment is built per digest."""

    text: str
    digest: str
    python: str
    source_builds: bool = False

    @property
    def requirements(self) -> tuple[str, ...]:
        """The pinned lines without their hashes, as `check` takes them."""
        return tuple(read_requirements(self.text).requirements)


def lock(spec: EnvironmentSpec, *, kept: Path | None = None, system: str = sys.platform, say: Callable[[str], None] = lambda _line: None) -> Lock:
    """`kept`: a folder where locks are remembered by spec, so that the same spec gives the same bytes tomorrow. Raises EnvironmentFailure, UsageError.

    system: as `sys.platform` says it where the packages will be: images are Linux, wherever they are made.
    """
    python = spec.python or python_versions.own()
    _refuse_conda(spec)
    if spec.lock is not None:
        return locked(spec.lock, python, source_builds=spec.allow_source_builds, system=system)
    elsewhere = "" if system == sys.platform else f"-{system}"
    place = None if kept is None else kept / f"{spec.digest}-{python}{elsewhere}.txt"
    if place is not None and place.is_file():
        return locked(place.read_text(), python, source_builds=spec.allow_source_builds, system=system)
    say(f"Choosing versions for {len(spec.requirements)} requirements, Python {python}")
    text = _compiled(spec, python, system)
    if place is not None:
        text = _kept(place, text)
    return locked(text, python, source_builds=spec.allow_source_builds, system=system)


def locked(text: str, python: str, *, source_builds: bool = False, system: str = sys.platform) -> Lock:
    """A Lock of text that is locked already, for this machine's platform, or for another system."""
    identity = {
        "lock": text,
        "platform": sysconfig.get_platform() if system == sys.platform else system,
        "python": python,
        **({"source_builds": True} if source_builds else {}),
    }
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    return Lock(text=text, digest=digest, python=python, source_builds=source_builds)


def _refuse_conda(spec: EnvironmentSpec) -> None:
    if spec.conda_packages:
        named = ", ".join(spec.conda_packages)
        raise EnvironmentFailure(
            f"Only conda has {named}. Delete them from the conda file: packages from an index bring what they need with them "
            "(numpy its BLAS, torch its CUDA); what the system has to give belongs into an image.",
            cause="conda-only",
        )


def _compiled(spec: EnvironmentSpec, python: str, system: str) -> str:
    if not spec.requirements:
        return ""
    with tempfile.TemporaryDirectory(prefix="fairlead-lock-") as name:
        folder = Path(name)
        _project(folder, spec, python, system)
        arguments = [*_COMPILE, "--python-version", python]
        arguments += ["--constraints", "constraints.in"] if spec.constraints else []
        arguments += [] if spec.allow_source_builds else WHEELS_ONLY
        done = run_uv(arguments, folder=folder)
    if done.code:
        raise failure(done.output, python)
    if re.search(r"://| @ ", done.text):
        raise EnvironmentFailure("The lock would hold an address. Ask for versions that an index has.", cause="address-in-lock", log=done.text)
    return lock_text([_without_bounds(line, python, system) for line in read_requirements(done.text).locked])


def _without_bounds(line: str, python: str, system: str) -> str:
    """uv marks every line with the bounds that the project around it set; inside this environment they are always true."""
    pinned, _, hashes = line.partition(" --hash=")
    requirement, _, marker = pinned.partition(" ; ")
    bounds = (f"python_full_version < '{_following(python)}'", f"sys_platform == '{system}'")
    left = [each for each in marker.split(" and ") if each not in bounds]
    kept = f"{requirement} ; {' and '.join(left)}" if any(left) else requirement
    return f"{kept} --hash={hashes}"


def _following(python: str) -> str:
    return f"3.{int(python.partition('.')[2]) + 1}"


def _project(folder: Path, spec: EnvironmentSpec, python: str, system: str) -> None:
    """A project around the requirements tells uv that later Pythons and other systems do not matter; they fail where nobody uses them (Emscripten)."""
    (folder / "pyproject.toml").write_text(_PROJECT.format(python=python, next=_following(python), system=system))
    (folder / "requirements.in").write_text("\n".join(spec.requirements) + "\n")
    (folder / "constraints.in").write_text("\n".join(spec.constraints) + "\n")


def _kept(place: Path, text: str) -> str:
    """Remembers the text; if another process was first, its text is the one that holds."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=place.parent, prefix=".", delete=False) as beside:
        beside.write(text)
    try:
        os.link(beside.name, place)
    except FileExistsError:
        return place.read_text()
    finally:
        Path(beside.name).unlink()
    return text
