"""What the Azure scoring server answered to raw scripts, a live service of ours answers, over HTTP; and each difference with its reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.live import Launcher
from tests.scoring.worker.azure_scripts import FAILED, SCRIPTS, Seen, recorded, said


@pytest.mark.parametrize("name", SCRIPTS)
def test_same_requests_same_answers(serve: Launcher, tmp_path: Path, name: str) -> None:
    source, asks = SCRIPTS[name]
    (tmp_path / "score.py").write_text(source)
    service = serve("--entry-script", tmp_path / "score.py", cwd=tmp_path)
    seen = {label: ask.put(service) for label, ask in asks.items()}
    expected = {label: ask.ours or recorded(name, label) for label, ask in asks.items()}
    differing = {label: (seen[label], expected[label], asks[label].why) for label in asks if seen[label] != expected[label]}
    assert not differing
    needless = [label for label, ask in asks.items() if ask.ours == recorded(name, label)]
    assert not needless, "Recorded as differences, but there are none."


def test_strict_compat_counts_a_callers_json_as_the_scripts_failure(serve: Launcher, tmp_path: Path) -> None:
    source, asks = SCRIPTS["request"]
    (tmp_path / "score.py").write_text(source)
    service = serve("--entry-script", tmp_path / "score.py", "--strict-compat", cwd=tmp_path)
    for label in ("json as text", "bad json", "no file"):
        assert asks[label].put(service) == recorded("request", label) == said(500, FAILED, failed="True")
    assert isinstance(asks["json"].put(service), Seen)
