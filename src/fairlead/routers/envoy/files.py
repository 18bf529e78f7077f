"""Files that others read while they are written."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any


def read_json(path: Path) -> dict[str, Any]:
    """Empty when there is none, or something else."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def write_json(path: Path, content: Any) -> bool:
    return write_whole(path, json.dumps(content))


def write_whole(path: Path, content: str) -> bool:
    """The old content or the new, for the owner alone; renamed into place, which is what Envoy watches for. False when it was there already."""
    with contextlib.suppress(OSError):
        if path.read_text(encoding="utf-8") == content:
            return False
    new = path.with_name(f".{path.name}.new")
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    return True
