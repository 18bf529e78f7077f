"""A file of xDS resources, one per line, so that one route's line is replaced without a look at the others."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from fairlead.routers.envoy.files import write_whole

TYPE = "type.googleapis.com/"


class ResourceFile:
    """Named resources; `opening` and `closing` stand around them where they are parts of one. A name is an owner's, or begins with `owner@`."""

    def __init__(self, path: Path, opening: str = "", closing: str = "") -> None:
        self.path = path
        self._opening = opening
        self._closing = closing

    def put(self, owner: str, resource: dict[str, Any]) -> None:
        """In place of what the owner had there."""
        self._write([*self._others(owner), json.dumps({"name": resource["name"], **resource}, separators=(",", ":"))])

    def remove(self, *owners: str) -> None:
        self._write(self._others(*owners))

    def get(self, name: str) -> dict[str, Any]:
        """Empty when it is not there."""
        text = self._text()
        start = text.find(f'\n{{"name":"{name}"') + 1
        found: dict[str, Any] = json.loads(text[start : text.index("\n", start)].removesuffix(",")) if start else {}
        return found

    @property
    def version(self) -> str:
        """As Envoy is told it."""
        found = re.match(r'\{"version_info": "(\w+)"', self._text())
        return found[1] if found else ""

    def ensure(self) -> None:
        """Envoy waits for a file that is not there."""
        if not self.path.exists():
            self._write([])

    def _others(self, *owners: str) -> list[str]:
        marks = tuple(f'{{"name":"{owner}{end}' for owner in owners for end in ('"', "@"))
        return [line for line in self._lines() if not line.startswith(marks)]

    def _lines(self) -> list[str]:
        return [line.removesuffix(",") for line in self._text().split("\n")[1:-1] if line]

    def _text(self) -> str:
        try:
            return self.path.read_text(encoding="utf-8")
        except OSError:
            return ""

    def _write(self, lines: list[str]) -> None:
        content = ",\n".join(sorted(lines))
        version = hashlib.sha256(content.encode()).hexdigest()[:16]
        write_whole(self.path, f'{{"version_info": "{version}", "resources": [{self._opening}\n{content}\n{self._closing}]}}')
