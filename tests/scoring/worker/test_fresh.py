"""A script and what ships with it are what is in the files now, whatever a bytecode cache says."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.live import Launcher
from tests.waiting import until

SCRIPT = "import beside.it\n\n\ndef init():\n    pass\n\n\ndef run(data):\n    return [{number}, beside.it.NUMBER]\n"


def write(folder: Path, number: int) -> Path:
    """The same size, and the same time of change, whatever the number."""
    script, module = folder / "score.py", folder / "beside" / "it.py"
    module.parent.mkdir(exist_ok=True)
    script.write_text(SCRIPT.format(number=number))
    module.write_text(f"NUMBER = {number}\n")
    for path in (script, module):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return script


def test_a_script_that_was_edited_within_a_second_is_taken_as_it_is(serve: Launcher, tmp_path: Path) -> None:
    service = serve("--entry-script", write(tmp_path, 1), "--app-root", tmp_path, env={"PYTHONDONTWRITEBYTECODE": ""})
    assert service.post("/score", {}).json() == [1, 1]
    write(tmp_path, 2)
    os.kill(service.pid, signal.SIGHUP)
    until(lambda: service.post("/score", {}).json() != [1, 1], "the new script to answer")
    assert service.post("/score", {}).json() == [2, 2]
    assert not list(tmp_path.rglob("*.pyc")), "a cache is left where only scripts are"
