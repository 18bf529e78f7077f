"""Which of the served files has changed, by looking once a second; a file that is still being written is waited for."""

from __future__ import annotations

import os
import time
from pathlib import Path

from fairlead_scoring.supervisor.options import ServeOptions

EVERY = 1.0
SKIPPED = frozenset(("__pycache__", ".git", ".venv", "node_modules"))
FILES_LIMIT = 20_000


class Watch:
    def __init__(self, options: ServeOptions) -> None:
        given = options.watch or tuple(path for path in (options.bundle, options.entry_script, options.model_dir) if path)
        script = options.entry_script
        self._paths = [Path(path) for path in given] + ([Path(script).parent] if script and not options.watch else [])
        self._seen = self._look()
        self._candidate = self._seen
        self._next = time.monotonic() + EVERY
        self.changed = ""

    def has_changed(self) -> bool:
        """True once per change, when two looks in a row have seen the same new state."""
        if time.monotonic() < self._next:
            return False
        self._next = time.monotonic() + EVERY
        now = self._look()
        settled = now == self._candidate
        self._candidate = now
        if now == self._seen or not settled:
            return False
        self.changed = next(iter(sorted(path for path, _ in self._seen.items() ^ now.items())))
        self._seen = now
        return True

    def _look(self) -> dict[str, tuple[int, int]]:
        found: dict[str, tuple[int, int]] = {}
        for path in self._paths:
            if path.is_dir():
                for folder, folders, names in os.walk(path):
                    folders[:] = [name for name in folders if name not in SKIPPED]
                    for name in names:
                        _add(os.path.join(folder, name), found)
                    if len(found) > FILES_LIMIT:
                        return found
            else:
                _add(str(path), found)
        return found


def _add(path: str, found: dict[str, tuple[int, int]]) -> None:
    try:
        status = os.stat(path)
    except OSError:
        return
    found[path] = (status.st_mtime_ns, status.st_size)
