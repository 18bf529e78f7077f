"""Versions of distributions in an interpreter, from their metadata; no model and no package is imported."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from fairlead.flavors.errors import FlavorError

_ASK = """
import json, sys
try:
    from importlib.metadata import version, PackageNotFoundError
except ImportError:
    print(json.dumps([list(sys.version_info[:2]), {}])); sys.exit()
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = version(name)
    except PackageNotFoundError:
        pass
print(json.dumps([list(sys.version_info[:2]), found]))
"""
_SAME = {"xgboost": ("xgboost-cpu",), "tensorflow": ("tensorflow-cpu",), "onnxruntime": ("onnxruntime-gpu",), "mlflow": ("mlflow-skinny",)}


def versions(names: Iterable[str], python: Path | None) -> tuple[tuple[int, int], dict[str, str]]:
    """(Python version, name -> version) of what is installed there; a variant such as xgboost-cpu answers under its own name."""
    wanted = [each for name in names for each in (name, *_SAME.get(name, ()))]
    if python is None:
        return _python_here(), {name: found for name in wanted if (found := _here(name))}
    done = subprocess.run([str(python), "-I", "-c", _ASK, *wanted], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise FlavorError(f"{python} does not answer what is installed: {done.stderr.strip()[-200:] or 'no message'}. Give another interpreter.")
    (major, minor), found_there = json.loads(done.stdout)
    return (major, minor), found_there


def pinned(names: Iterable[str], found: dict[str, str]) -> tuple[str, ...]:
    """Requirement lines: the version where one is known, under the name that is installed."""
    return tuple(sorted({_line(name, found) for name in names}))


def _line(name: str, found: dict[str, str]) -> str:
    chosen = next((each for each in (name, *_SAME.get(name, ())) if each in found), name)
    return f"{chosen}=={found[chosen].split('+')[0]}" if chosen in found else chosen


def _here(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _python_here() -> tuple[int, int]:
    return sys.version_info[0], sys.version_info[1]
