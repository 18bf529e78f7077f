"""Before any traffic: a declared sample must be answered, one that describe() made up need not be."""

from __future__ import annotations

from pathlib import Path

from tests.live import Launcher

SCRIPT = """
def init():
    pass

def describe():
    return {"inputs": [{"name": "data", "type": {"kind": "value", "schema": {"type": "number"}}}], "sample": {"data": 0.0}}

def run(**data):
    return {"inverse": 1 / data["data"]}
"""


def test_values_that_describe_made_up_do_not_end_the_start(serve: Launcher, tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text(SCRIPT)
    service = serve("--entry-script", tmp_path / "score.py")
    assert service.post("/score", {"data": 4}).json() == {"inverse": 0.25}
    warning = next(record for record in service.records if record["level"] == "warning")
    assert "made-up values failed (run() raised ZeroDivisionError: float division by zero)" in warning["message"]
    assert not any("Traceback" in line for line in service.log_lines)
    assert service.get("/sample").status == 404
    assert '"level":"info"' in service.wait_log('"path":"/sample"'), "nothing is wrong with a service that has none"


def test_a_declared_sample_has_to_be_answered(serve: Launcher, tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text(SCRIPT)
    (tmp_path / "sample.json").write_text('{"data": 0}')
    service = serve("--entry-script", tmp_path / "score.py", "--sample", tmp_path / "sample.json", ready=False)
    assert service.wait_exit() == 3
    assert service.wait_log("The sample was answered with 500")


def test_a_run_of_any_name_needs_a_schema(serve: Launcher, tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text("def init():\n    pass\n\ndef run(**data):\n    return data\n")
    service = serve("--entry-script", tmp_path / "score.py", ready=False)
    assert service.wait_exit() == 3
    assert service.wait_log("takes **data; it can only take named arguments")
