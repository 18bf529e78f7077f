"""Lays down the wheels of a lock for a platform that need not be this machine's. uv does it; nothing of a package runs."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from packaging.version import Version

from fairlead.environments.failures import failure
from fairlead.environments.requirement_lines import read_requirements
from fairlead.environments.uv_command import WHEELS_ONLY, run_uv
from fairlead.errors import EnvironmentFailure

_MACHINES = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}
_GLIBC = (17, 28, *range(31, 41))  # 2.x, as uv knows them
_MANY = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Libc:
    """`kind`: glibc or musl; `version`: such as 2.36."""

    kind: str
    version: str

    def __str__(self) -> str:
        return f"{self.kind} {self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelTarget:
    """What wheels have to fit: `linux/amd64`, `3.11.2`, and the C library."""

    platform: str
    python: str
    libc: Libc

    @property
    def minor(self) -> str:
        return ".".join(self.python.split(".")[:2])

    @property
    def tag(self) -> str:
        """The platform as uv names it. Raises EnvironmentFailure when there are no wheels for such a one."""
        machine = _MACHINES.get(self.platform)
        if machine is None:
            raise EnvironmentFailure(f"No images are made for {self.platform}; they are for {' and '.join(_MACHINES)}.", cause="unknown-platform")
        if self.libc.kind == "musl":
            return f"{machine}-unknown-linux-musl"
        version = Version(self.libc.version)
        known = [minor for minor in _GLIBC if Version(f"2.{minor}") <= version]
        if not known:
            raise EnvironmentFailure(f"The base has {self.libc}, and wheels need glibc 2.17 or newer. Take a newer base.", cause="libc-too-old")
        return f"{machine}-manylinux_2_{known[-1]}"


def lay_down_wheels(lock: str, target: WheelTarget, folder: Path) -> None:
    """Fills the folder with what the lock's wheels hold. Raises EnvironmentFailure that names what has no wheel, and the cure."""
    if not _install(lock, target.tag, target, folder, "--offline"):
        return  # all of it lies in uv's cache, and the hashes say that the index would give nothing else
    done = _install(lock, target.tag, target, folder)
    if not done:
        return
    fault = failure(done, target.minor)
    if fault.cause in ("no-wheel", "no-such-version", "conflict"):
        raise _without_wheels(lock, target) or fault
    raise fault


def _without_wheels(lock: str, target: WheelTarget) -> EnvironmentFailure | None:
    """Asks for each line alone: uv itself names only the first."""
    lines = read_requirements(lock).locked
    lacking = [line for line in lines[:_MANY] if _install(line, target.tag, target, None)]
    if not lacking:
        return None
    names = ", ".join(re.split(r"[ ;]", line, maxsplit=1)[0] for line in lacking)
    newest = f"{_MACHINES[target.platform]}-manylinux_2_{_GLIBC[-1]}"
    if not any(_install(line, newest, target, None) for line in lacking):
        said = f"{names}: there are wheels, but not for {target.libc}, which the base has. Take a base with a newer glibc, or older versions of the packages."
        return EnvironmentFailure(said, cause="libc-does-not-fit", packages=names.split(", "))
    said = (
        f"{names}: no wheel for Python {target.minor} on {target.platform} with {target.libc}, and set-up code of packages is not run. "
        "Build a wheel and put it on your package index (`uv build --wheel`), or let a Dockerfile build it: --dockerfile."
    )
    return EnvironmentFailure(said, cause="no-wheel", packages=names.split(", "))


def _install(lock: str, tag: str, target: WheelTarget, folder: Path | None, *options: str) -> str:
    """What uv complains about; empty when all is well. Without a folder it only looks."""
    with tempfile.TemporaryDirectory(prefix="fairlead-wheels-") as name:
        requirements = Path(name) / "requirements.lock"
        requirements.write_text(lock)
        arguments = ["pip", "install", "--quiet", "--require-hashes", *WHEELS_ONLY, *options]
        arguments += ["--target", str(folder or Path(name) / "nothing"), *([] if folder else ["--dry-run", "--no-deps"])]
        arguments += ["--python-platform", tag, "--python-version", target.python, "--requirements", str(requirements)]
        done = run_uv(arguments, folder=Path(name))
    return done.output if done.code else ""
