"""docs/reference/ is what the code says now."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"


def test_reference_is_up_to_date() -> None:
    done = subprocess.run([sys.executable, ROOT / "docs" / "generate.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\nRun scripts/docs and commit what it writes."


def test_every_variable_of_ours_is_described() -> None:
    sources = [path for folder in ("src", "scoring") for path in (ROOT / folder).rglob("*.py")]
    named = {name for path in sources for name in re.findall(r"(?<![A-Z_])FAIRLEAD_[A-Z_]+", path.read_text())}
    assert named
    assert named <= set(re.findall(r"FAIRLEAD_[A-Z_]+", (REFERENCE / "variables.md").read_text()))
