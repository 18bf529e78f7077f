"""Which wheel of a lock's several was taken, by its SHA-256: a bill of materials says it."""

from __future__ import annotations

import tempfile
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from packaging.tags import parse_tag
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from fairlead.environments.uv_command import run_uv
from fairlead.images.kept import Kept, key_of
from fairlead.images.wheels import WheelTarget

Wheels = dict[str, list[tuple[frozenset[str], str]]]


def wheels_that_fit(lock: str, target: WheelTarget, kept: Kept) -> Wheels:
    """By package: tags and hashes of the wheels that uv may take for the platform; empty when it does not say. A lock is asked for once."""
    if not lock.strip():
        return {}
    key = key_of({"lock": lock, "platform": target.tag, "python": target.python})
    known = kept.facts("wheels", key)
    if known is not None:
        return {name: [(frozenset(tags), sha256) for tags, sha256 in offered] for name, offered in known.items()}
    wheels = _ask(lock, target)
    if wheels:
        kept.remember("wheels", key, {name: [[sorted(tags), sha256] for tags, sha256 in offered] for name, offered in wheels.items()})
    return wheels


def hash_of(name: str, tags: frozenset[str], wheels: Wheels) -> str:
    """Of the one wheel of that package with these tags; empty when there are none or several."""
    found = {sha256 for offered, sha256 in wheels.get(name, ()) if offered == tags}
    return found.pop() if len(found) == 1 else ""


def expanded(tags: Iterable[str]) -> frozenset[str]:
    """Of a WHEEL file, whose lines may hold several at once."""
    return frozenset(str(each) for tag in tags if tag.count("-") == 2 for each in parse_tag(tag))


def _ask(lock: str, target: WheelTarget) -> Wheels:
    with tempfile.TemporaryDirectory(prefix="fairlead-wheels-") as name:
        (Path(name) / "requirements.txt").write_text(lock)
        arguments = ["pip", "compile", "--quiet", "--no-deps", "--no-header", "--generate-hashes", "--only-binary", ":all:", "--format", "pylock.toml"]
        arguments += ["--python-platform", target.tag, "--python-version", target.python, "requirements.txt"]
        done = run_uv(arguments, folder=Path(name))
    try:
        said = tomllib.loads(done.text) if done.code == 0 else {}
    except tomllib.TOMLDecodeError:
        return {}
    return {canonicalize_name(each["name"]): list(_wheels(each.get("wheels", ()))) for each in said.get("packages", ()) if "name" in each}


def _wheels(said: Iterable[Any]) -> Iterable[tuple[frozenset[str], str]]:
    for wheel in said:
        file = str(wheel.get("name") or wheel.get("url") or wheel.get("path") or "").rpartition("/")[2]
        try:
            tags = parse_wheel_filename(file)[3]
        except InvalidWheelFilename:
            continue
        yield frozenset(str(each) for each in tags), str(wheel.get("hashes", {}).get("sha256", ""))
