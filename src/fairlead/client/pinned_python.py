"""Which interpreter runs the local server: the one that ran it last, wherever fairlead is called from, unless that is gone or older than we are."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path

from packaging.version import InvalidVersion, Version

from fairlead import __version__
from fairlead.errors import Unavailable

PIN_FILE = "interpreter.json"
NEEDED = ("alembic", "cryptography", "fastapi", "sqlalchemy", "uvicorn")


def choose(state: Path) -> str:
    """Raises Unavailable when neither the pinned interpreter nor this one can run a server."""
    pinned = _pinned(state)
    if pinned is not None:
        return pinned
    lacking = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if lacking:
        raise Unavailable(
            f"The local server needs packages that {sys.executable} does not have ({', '.join(lacking)}); install them with "
            f"`{sys.executable} -m pip install 'fairlead[server]'`, or set FAIRLEAD_URL and FAIRLEAD_TOKEN to a server elsewhere."
        )
    return sys.executable


def pin(state: Path, python: str, version: str) -> None:
    new = state / f".{PIN_FILE}.{os.getpid()}"
    new.write_text(json.dumps({"python": python, "version": version}) + "\n", encoding="utf-8")
    new.replace(state / PIN_FILE)


def unpin(state: Path) -> None:
    (state / PIN_FILE).unlink(missing_ok=True)


def _pinned(state: Path) -> str | None:
    try:
        kept = json.loads((state / PIN_FILE).read_text(encoding="utf-8"))
        python, version = str(kept["python"]), Version(kept["version"])
    except (OSError, ValueError, KeyError, TypeError, InvalidVersion):
        return None
    return python if Path(python).exists() and version >= Version(__version__) else None
