"""What holds for every folder of examples/: a page of at most 25 lines, a line in the index, a test that follows it, no data in git."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.docs.reader import blocks

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PAGES = sorted(EXAMPLES.glob("*/README.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_page(page: Path) -> None:
    assert len(page.read_text().splitlines()) <= 25
    commands = "\n".join(block.text for block in blocks(page) if block.is_run)
    assert "fairlead serve" in commands or "fairlead batch run" in commands
    assert f"]({page.parent.name}/)" in (EXAMPLES / "README.md").read_text()
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert f'follow("{page.parent.name}")' in tests


def test_git_keeps_text_only(repository: Path) -> None:
    kept = subprocess.run(["git", "ls-files", "examples"], cwd=repository, capture_output=True, text=True, check=True).stdout.split()
    assert {Path(name).suffix for name in kept} == {".ipynb", ".md", ".py", ".txt"}
