"""What is installed in an interpreter (3.8 or newer), read from its metadata by itself; nothing of it is imported."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name

from fairlead.errors import EnvironmentNotFound

_ASK = r"""
import json, os, platform, sys
from importlib import metadata
found, seen = [], set()
for each in metadata.distributions():
    name = each.metadata["Name"]
    if not name or name.lower().replace("_", "-") in seen:
        continue
    seen.add(name.lower().replace("_", "-"))
    place = str(getattr(each, "_path", ""))
    developed = place.endswith(".egg-info") and os.path.basename(os.path.dirname(place)) not in ("site-packages", "dist-packages")
    found.append([name, each.version, each.requires or [], each.read_text("direct_url.json"), os.path.dirname(place) if developed else None])
version = sys.implementation.version
print(json.dumps([{
    "implementation_name": sys.implementation.name,
    "implementation_version": "{0.major}.{0.minor}.{0.micro}".format(version),
    "os_name": os.name,
    "platform_machine": platform.machine(),
    "platform_python_implementation": platform.python_implementation(),
    "platform_release": platform.release(),
    "platform_system": platform.system(),
    "platform_version": platform.version(),
    "python_full_version": platform.python_version(),
    "python_version": "%d.%d" % sys.version_info[:2],
    "sys_platform": sys.platform,
}, found]))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """`origin`: the folder or repository it was installed from, None when it came from an index."""

    name: str
    version: str
    requires: tuple[str, ...]
    origin: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """`markers`: the values of environment markers there; `distributions`: by canonical name."""

    markers: Mapping[str, str]
    distributions: Mapping[str, Distribution]

    @property
    def python(self) -> str:
        return self.markers["python_version"]


def contents_of(python: Path) -> Contents:
    """Raises EnvironmentNotFound when the interpreter does not answer."""
    try:
        done = subprocess.run([str(python), "-I", "-c", _ASK], capture_output=True, text=True, timeout=120, check=False)
        markers, found = json.loads(done.stdout)
    except (OSError, subprocess.TimeoutExpired, ValueError) as fault:
        said = done.stderr.strip().splitlines()[-1:] if isinstance(fault, ValueError) else [str(fault)]
        reason = " ".join(said) or "no message"
        raise EnvironmentNotFound(f"{python} does not answer what is installed in it ({reason}). Name a Python 3.8 or newer.") from None
    return Contents(markers=markers, distributions={canonicalize_name(each[0]): _distribution(*each) for each in found})


def _distribution(name: str, version: str, requires: list[str], direct_url: str | None, developed: str | None) -> Distribution:
    return Distribution(name=name, version=version, requires=tuple(requires), origin=developed or _address(direct_url))


def _address(direct_url: str | None) -> str | None:
    try:
        return str(json.loads(direct_url)["url"]) if direct_url else None
    except (ValueError, KeyError, TypeError):
        return None
