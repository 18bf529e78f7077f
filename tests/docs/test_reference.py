"""docs/reference/ is what the code says now."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

from fairlead_scoring.supervisor import options

from fairlead.server.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"


def test_reference_is_up_to_date() -> None:
    done = subprocess.run([sys.executable, ROOT / "docs" / "generate.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\nRun scripts/docs and commit what it writes."


def test_every_variable_of_ours_is_described_and_known() -> None:
    """Known: a service does not warn of it as misspelt."""
    sources = [path for folder in ("src", "scoring") for path in (ROOT / folder).rglob("*.py") if path.name not in ("options.py", "others_variables.py")]
    named = {name for path in sources for name in re.findall(r"(?<![A-Z_])FAIRLEAD_[A-Z_]+", path.read_text())}
    named |= {name for name in options.VARIABLES if name.startswith("FAIRLEAD_")}
    named |= {f"FAIRLEAD_{each.name.upper()}" for each in fields(Settings)}
    described = set(re.findall(r"FAIRLEAD_[A-Z_]+", (REFERENCE / "variables.md").read_text()))
    assert named == described
    assert options.unknown_variables(dict.fromkeys(described, "")) == []
