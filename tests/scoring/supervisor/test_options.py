"""Variables that make no sense end the start with 2 and a sentence, before anything is started."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from fairlead_scoring.errors import UsageFault
from fairlead_scoring.supervisor.options import read

from tests.live import RUNTIME


@pytest.mark.parametrize(("given", "read_as"), [("INFO", "info"), ("warn", "warning"), ("Fatal", "critical")])
def test_levels_of_the_azure_server(given: str, read_as: str) -> None:
    assert read(["--entry-script", "score.py"], {"AZUREML_LOG_LEVEL": given}).log_level == read_as


@pytest.mark.parametrize(
    ("name", "value", "cure"),
    [
        ("AZUREML_LOG_LEVEL", "verbose", "use one of debug, info, warning, error, critical"),
        ("WORKER_COUNT", "two", "not a number"),
        ("FAIRLEAD_STRICT_COMPAT", "maybe", "use true or false"),
        ("FAIRLEAD_MAX_WAITING", "0", "must be above 0"),
    ],
)
def test_a_variable_that_makes_no_sense(name: str, value: str, cure: str) -> None:
    with pytest.raises(UsageFault, match=cure):
        read(["--entry-script", "score.py"], {name: value})


def test_it_is_a_sentence_and_exit_code_2(tmp_path: Path) -> None:
    done = subprocess.run([*RUNTIME, "--entry-script", "score.py"], env={"AZUREML_LOG_LEVEL": "verbose"}, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
