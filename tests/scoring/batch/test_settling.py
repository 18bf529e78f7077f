"""A task that wakes up on another machine finds what it needs there."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from fairlead_scoring.batch.cluster import settling


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """With a temporary folder of the machine's own."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    for name, content in (("bundle/bundle.json", "{}"), ("bundle/code/score.py", "x = 1"), ("secrets/token", "s3cret")):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    folders = {"bundle": str(tmp_path / "bundle"), "script_secrets": str(tmp_path / "secrets")}
    return {"order": {"id": "job-1"}, **folders, "logs": str(tmp_path / "logs"), "work": str(tmp_path / "work"), "side": {"words": "/here"}}


def test_on_the_driver_s_machine_all_is_where_it_was(task: dict[str, Any], tmp_path: Path) -> None:
    assert settling.is_home(settling.leaving(task))
    assert not settling.is_home({**settling.leaving(task), "bundle": str(tmp_path / "nowhere")}), "a container that has not this folder"
    assert not settling.is_home({**task, "machine": "another"})


def test_elsewhere_the_bundle_and_the_script_s_secrets_are_laid_down_once(task: dict[str, Any], tmp_path: Path) -> None:
    archive = settling.packed(task)
    first, second = settling.settled(task, archive), settling.settled(task, archive)
    assert first == second
    assert (Path(first["bundle"], "code", "score.py").read_text(), Path(first["script_secrets"], "token").read_text()) == ("x = 1", "s3cret")
    assert (first["logs"], first["work"], first["side"], first["order"]) == (None, None, {}, {"id": "job-1"})
    assert len(list((tmp_path / "tmp").iterdir())) == 1
    assert Path(first["bundle"]).parent.stat().st_mode & 0o077 == 0, "secrets are this user's alone"


def test_the_lowest_free_number_is_this_process_s(task: dict[str, Any]) -> None:
    claim = f"import sys; from fairlead_scoring.batch.cluster import settling; print(settling.claimed({task!r})[0], flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", claim], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "0\n"
        assert settling.claimed(task)[0] == 1
        other.kill()
    assert settling.claimed(task)[0] == 0


def test_the_package_is_imported_from_its_archive_and_laid_down_there(tmp_path: Path) -> None:
    settling.zipped_package(str(tmp_path / "package.zip"))
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from fairlead_scoring.batch.cluster import settling\n"
        "assert '.zip' in settling.PACKAGE, settling.PACKAGE\n"
        "settling.unzip_package()\n"
        "from fairlead_scoring.batch import runner\n"
        "print(runner.PACKAGE)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path / "package.zip"], capture_output=True, text=True, check=True)
    folder = Path(done.stdout.strip())
    assert (folder / "__main__.py").is_file()
    assert subprocess.run([sys.executable, folder], capture_output=True).returncode == 2, "it can be started from there"
