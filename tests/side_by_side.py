"""Which tests may run at the same time, in several processes (xdist), and which one process runs one after the other."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from xdist.scheduler import LoadScopeScheduling

REPO = Path(__file__).resolve().parents[1]
PAGE = re.compile(r"^tests/docs/test_pages\.py::test_commands\[(.+)\]$")


FIRST = ("tests/faults/test_killed_control_plane.py", "tests/docs/", "tests/examples/", "tests/fairlead/test_cli_model.py")
"""What takes longest: begun last, one process would still be at it when the others have nothing left."""


def turn_of(nodeid: str) -> int:
    return next((number for number, path in enumerate(FIRST) if nodeid.startswith(path)), len(FIRST))


class ByFile(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """A file's tests share what its fixtures have made, so one process runs them; but pages are long, and each goes alone. The engine has one user."""

    def schedule(self) -> None:
        self.config.option.loadscopereorder = False  # what is long comes early, what is left at the end is short
        super().schedule()

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def group_of(nodeid: str) -> str:
    if page := PAGE.match(nodeid):
        return "engine" if _has(page[1], "needs: [a-z0-9 _-]*docker") else nodeid
    path = nodeid.partition("::")[0]
    return "engine" if _has(path, r"pytest\.mark\.engine") else path


@cache
def _has(path: str, pattern: str) -> bool:
    file = REPO / path
    return file.is_file() and re.search(pattern, file.read_text(encoding="utf-8")) is not None
