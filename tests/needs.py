"""What a test cannot do without: skipped by name on a developer's machine, a failure in CI."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

IN_CI = bool(os.environ.get("FAIRLEAD_CI"))
CURES = {
    "java": "Debian's openjdk-17-jre-headless", "pyspark": "scripts/setup spark", "ray": "scripts/setup ray",
    "tensorflow": "scripts/setup tensorflow", "torch": "scripts/setup torch",
}  # fmt: skip


def missing(name: str) -> bool:
    """True when neither a module nor a working command of that name is here."""
    if name.startswith("python3."):
        return python(name.removeprefix("python")) is None
    if name == "initdb" and any(Path("/usr/lib/postgresql").glob("*/bin/initdb")):  # Debian keeps PostgreSQL's programs off the PATH
        return False
    return not (importlib.util.find_spec(name) or shutil.which(name))


def require(*names: str) -> None:
    """End the running test, by name of what is missing: a skip here, a failure in CI."""
    lacking = [name for name in names if missing(name)]
    if not lacking:
        return
    cures = ", ".join(CURES[name] for name in lacking if name in CURES)
    reason = f"needs {', '.join(lacking)}, not installed here" + (f" ({cures})" if cures else "")
    if IN_CI:
        pytest.fail(f"{reason}; in CI every test runs.", pytrace=False)
    pytest.skip(reason)


def python(version: str) -> Path | None:
    """An interpreter of that version, such as "3.8": on the PATH, or where pyenv keeps them."""
    if sys.version_info[:2] == tuple(int(part) for part in version.split(".")):
        return Path(sys.executable)
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    kept = sorted(pyenv.glob(f"{version}.*/bin/python{version}"))
    found = [Path(path) for path in [shutil.which(f"python{version}"), *kept] if path]
    return next((path for path in found if _answers(path)), None)


def _answers(path: Path) -> bool:
    return subprocess.run([path, "-c", ""], capture_output=True).returncode == 0  # a pyenv shim may only complain
