"""Ignore rules agree with git itself."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from fairlead.bundles.ignored import source_files

FILES = (
    "a.py", "a.csv", "b/a.csv", "b/c/d.log", "b/c/keep.log", "build/x", "src/build/y", "doc/x.md", "doc/deep/x.md", "tmp1", "tmpA", "x y.txt", "#odd", "!odd",
    "logs/2026/x", "foo/bar/z", "q[1].txt", "end/",
)  # fmt: skip


@pytest.mark.parametrize(
    "rules",
    [
        "*.csv", "/a.csv", "b/", "b/*.csv", "**/d.log", "b/**", "*.log\n!keep.log", "build/", "/build", "doc/*.md", "doc/**/x.md", "tmp[0-9]", "tmp[!0-9]",
        "tmp?", "x y.txt", "\\#odd", "\\!odd", "# comment\n\n  \n*.py", "logs/**/x", "**/bar", "foo/*", "foo/**/z", "a.csv ", "q\\[1\\].txt", "*",
        "*\n!a.py", "**", "b",
    ],
)  # fmt: skip
def test_rules_mean_what_they_mean_to_git(tmp_path: Path, rules: str) -> None:
    for name in FILES:
        if not name.endswith("/"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text("")
    (tmp_path / ".gitignore").write_text(rules + "\n")
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    shown = subprocess.run(
        ["git", "-C", tmp_path, "-c", "core.excludesFile=/dev/null", "-c", "core.quotePath=false", "ls-files", "-z", "--others", "--exclude-standard"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    kept = sorted(path for path in shown.stdout.split("\0") if path and path != ".gitignore")
    assert sorted(source_files(tmp_path)) == kept
