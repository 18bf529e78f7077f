"""What an interpreter lacks, told without importing anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.environments.checking import check
from fairlead.errors import UsageError
from tests.fairlead.environments.test_spec import bare_environment, installed


@pytest.fixture
def python(tmp_path: Path) -> Path:
    python = bare_environment(tmp_path)
    installed(tmp_path, "scikit_learn", "1.7.0")
    installed(tmp_path, "torch", "2.1.0+cpu")
    installed(tmp_path, "odd", "not a version")
    installed(tmp_path, "schema", "1.8")
    about = next((tmp_path / "v").rglob("schema-1.8.dist-info/METADATA"))
    about.write_text(
        about.read_text() + "Requires-Dist: base>=1\nRequires-Dist: numpy>=1.8; extra == 'numpy-support'\nRequires-Dist: pandas; extra == 'other'\n"
    )
    return python


@pytest.mark.parametrize(
    ("requirement", "said"),
    [
        ("scikit-learn", []),
        ("Scikit_Learn==1.7.*", []),
        ("torch==2.1.0", []),
        ("odd", []),
        ("numpy; python_version < '3'", []),
        ("numpy; sys_platform == 'win32'", []),
        ("schema", []),
        ("scikit-learn<1.7", ["scikit-learn 1.7.0 is installed, scikit-learn<1.7 is required"]),
        ("xgboost", ["xgboost is missing"]),
        ("xgboost>=2", ["xgboost is missing, xgboost>=2 is required"]),
        ("odd>1", ["odd not a version is installed, odd>1 is required"]),
        ("schema[numpy-support]", ["numpy is missing, numpy>=1.8 is required by schema[numpy-support]"]),
    ],
)
def test_mismatches_by_name(python: Path, requirement: str, said: list[str]) -> None:
    assert [str(each) for each in check(python, [requirement])] == said


def test_all_are_told_in_order(python: Path) -> None:
    found = check(python, ["zeta", "scikit-learn==9", "alpha", "zeta"])
    assert [(each.package, each.found) for each in found] == [("zeta", None), ("scikit-learn", "1.7.0"), ("alpha", None)]


def test_a_line_that_is_no_requirement_is_refused(python: Path) -> None:
    with pytest.raises(UsageError, match="is no requirement"):
        check(python, ["=="])


def test_nothing_of_the_package_runs(python: Path, tmp_path: Path) -> None:
    installed(tmp_path, "loud", "1.0")
    package = next((tmp_path / "v").rglob("site-packages")) / "loud.py"
    package.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    assert not check(python, ["loud==1.0"])
    assert not (tmp_path / "ran").exists()
