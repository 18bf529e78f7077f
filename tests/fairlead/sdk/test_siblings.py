"""Modules beside a script: said before the service fails for want of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.sdk.siblings import left_behind


@pytest.fixture
def script(tmp_path: Path) -> Path:
    made = tmp_path / "score.py"
    made.write_text("import os, features.text\nfrom cleaning import tidy\nfrom . import score\nimport score, numpy\n")
    (tmp_path / "cleaning.py").write_text("")
    (tmp_path / "features").mkdir()
    (tmp_path / "features" / "__init__.py").write_text("")
    (tmp_path / "numpy").mkdir()  # a folder of data, and no package
    return made


def test_what_lies_beside_and_is_imported_is_named_with_the_way_to_ship_it(script: Path) -> None:
    assert left_behind(script, []) == (
        f"score.py imports cleaning, features from beside it, which do not ship with it: "
        f"--source-dir {script.parent} ships the folder (in Python, source_directory)."
    )


def test_what_ships_is_not_named(script: Path) -> None:
    assert left_behind(script, [Path("elsewhere/cleaning.py"), Path("features")]) is None


@pytest.mark.parametrize("content", ["def (", "import os", "\0"])
def test_nothing_is_said_of_a_script_that_cannot_be_read_or_needs_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / "score.py").write_text(content)
    assert left_behind(tmp_path / "score.py", []) is None
    assert left_behind(tmp_path / "absent.py", []) is None
