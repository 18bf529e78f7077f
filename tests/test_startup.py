"""What a start costs: CPU of the front's and the command's imports against that of their parts, and the size of what is installed."""

from __future__ import annotations

import importlib.metadata
import resource
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.live import FAIRLEAD

ROUNDS = 9
FRONT = "import fairlead_scoring.front.app"
FRONT_YARDSTICK = "import httptools, starlette.applications, uvicorn, uvloop"
FRONT_LIMIT = 1.6
HELP_YARDSTICK = "import typer"
HELP_LIMIT = 2.0
INSTALLED_LIMIT_MB = 25.0


def test_front_imports_in_little_more_than_its_parts() -> None:
    ours, parts = cpu_of([sys.executable, "-c", FRONT], [sys.executable, "-c", FRONT_YARDSTICK])
    assert ours <= FRONT_LIMIT * parts, f"{ours * 1000:.0f} ms of CPU, the parts alone {parts * 1000:.0f} ms"


def test_help_costs_little_more_than_typer() -> None:
    ours, typer = cpu_of([FAIRLEAD, "--help"], [sys.executable, "-c", HELP_YARDSTICK])
    assert ours <= HELP_LIMIT * typer, f"{ours * 1000:.0f} ms of CPU, `import typer` alone {typer * 1000:.0f} ms"


def test_runtime_install_is_small(repository: Path) -> None:
    sizes = {name: installed_bytes(name) / 1e6 for name in closure("fairlead-scoring") - {"fairlead-scoring"}}
    sizes["fairlead-scoring"] = folder_bytes(repository / "scoring/fairlead_scoring") / 1e6  # editable here: its RECORD lists a path only
    assert {"orjson", "uvloop"} < sizes.keys()
    assert sum(sizes.values()) <= INSTALLED_LIMIT_MB, {name: f"{size:.1f} MB" for name, size in sorted(sizes.items(), key=lambda item: -item[1])}


@pytest.mark.parametrize("module", ["numpy", "pandas", "pydantic", "starlette", "uvicorn"])
def test_front_does_not_import(module: str) -> None:
    shown = subprocess.run([sys.executable, "-c", f"{FRONT}, sys\nprint({module!r} in sys.modules)"], capture_output=True, text=True)
    assert shown.stdout.strip() == "False", shown.stdout + shown.stderr


def cpu_of(*commands: list[str | Path]) -> list[float]:
    """Median CPU seconds of each command, run in turn so that a noisy moment of the machine meets all of them; the first round warms the caches."""
    rounds = [[cpu_once(command) for command in commands] for _ in range(ROUNDS + 1)][1:]
    return [statistics.median(times) for times in zip(*rounds, strict=True)]


def cpu_once(command: list[str | Path]) -> float:
    before = cpu_of_children()
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return cpu_of_children() - before


def cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)  # microseconds; os.times() counts in steps of 10 ms
    return used.ru_utime + used.ru_stime


def closure(name: str, extras: frozenset[str] = frozenset()) -> set[str]:
    """A distribution and all that it needs on this platform, by name."""
    found = {name}
    for line in importlib.metadata.requires(name) or []:
        needed = Requirement(line)
        wanted = [""] if not extras else sorted(extras)
        if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in wanted):
            found |= closure(needed.name, frozenset(needed.extras))
    return found


def installed_bytes(name: str) -> int:
    """Size of the files of its RECORD, compiled bytecode left out: whether it is there depends on the installer."""
    files = importlib.metadata.files(name) or []
    return sum(path.stat().st_size for path in map(Path, (file.locate() for file in files)) if path.suffix != ".pyc" and path.exists())


def folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
