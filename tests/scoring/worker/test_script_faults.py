"""A script that cannot serve is refused at start-up with one sentence: the cause, and the last frames of the user's own code."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from fairlead_scoring.worker.exchange import Request
from fairlead_scoring.worker.faults import ScriptFault, user_frames
from fairlead_scoring.worker.script import load
from fairlead_scoring.worker.step import Step

from tests.scoring.worker.bench import Bench

INIT = "def init(): pass\n"
SIGNATURES = {
    "def run(*data): pass": r"run\(\) of .*score.py takes \*data; it can only take named arguments",
    "def run(data, **more): pass": r"takes \*\*more",
    "def run(data, /): pass": "takes positional-only data",
    "def run(): pass": "takes no data",
    "def run(request_headers): pass": "takes no data",
    "def run(data, other): pass": "takes 'other' besides 'data', and nothing says where it comes from",
    "run = 5": r"does not define run\(\)",
    "": r"does not define run\(\)",
}


@pytest.mark.parametrize("run", SIGNATURES)
def test_refuses_a_signature_that_cannot_be_served(bench: Bench, run: str) -> None:
    with pytest.raises(ScriptFault, match=SIGNATURES[run]) as caught:
        bench.load(INIT + run)
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "run", ["def run(data): return 1", "def run(data, a=1, *, b=2): return 1", "def run(request_headers, data): return 1", "run = lambda data: 1"]
)
def test_takes_a_signature_that_can_be_served(bench: Bench, run: str) -> None:
    assert bench.result(bench.load(INIT + run), b"x") == 1


def test_refuses_a_script_without_init(bench: Bench) -> None:
    with pytest.raises(ScriptFault, match=r"score.py does not define init\(\); a scoring script needs init\(\) and run\(data\)"):
        bench.load("def run(data): pass")


LOADING = {
    "def init(:\n": r"cannot be read: invalid syntax \(.*score.py, line 1\)",
    "import sys\nsys.exit(4)": r"called sys.exit\(4\) while it was loaded; put what is not for serving under",
    "1 / 0": "could not be loaded: ZeroDivisionError: division by zero",
    "raise ValueError('one.\\ntwo')": "could not be loaded: ValueError: one …",
    "import no_such_thing": f"'no_such_thing', which {sys.executable} does not have. Install it: {sys.executable} -m pip install 'no-such-thing'",
    "import json.nothing": "needs the module 'json.nothing'. The installed json [\\d.]+ does not have it",
    "from no_such.deep import x": "needs the module 'no_such.deep'",
    "from no_such_azure import identity": "pip install 'no-such-azure'",
    "import skimage.io": "pip install 'scikit-image'",
    "import yaml_is_not_here as yaml": "pip install 'yaml-is-not-here'",
}


@pytest.mark.parametrize("source", LOADING)
def test_says_why_a_script_cannot_be_loaded(bench: Bench, source: str) -> None:
    with pytest.raises(ScriptFault, match=LOADING[source]) as caught:
        bench.load(source)
    assert "\n" not in str(caught.value)
    assert "score.py" in caught.value.frames or "score.py" in str(caught.value)
    assert "fairlead_scoring" not in caught.value.frames


INITS = {
    "raise RuntimeError('no model')": r"init\(\) of .*score.py raised RuntimeError: no model\.$",
    "raise KeyError": "raised KeyError.$",
    "import sys; sys.exit(0)": r"called sys.exit\(0\); raise an exception",
    "import no_such_thing": r"init\(\) of .*score.py needs the module 'no_such_thing'",
    "raise Mute()": "raised Mute.$",
}


@pytest.mark.parametrize("body", INITS)
def test_says_why_init_failed(bench: Bench, body: str) -> None:
    source = f"class Mute(Exception):\n    def __str__(self): raise ValueError\ndef init(): helper()\ndef helper(): {body}\ndef run(data): pass\n"
    with pytest.raises(ScriptFault, match=INITS[body]) as caught:
        bench.load(source)
    assert caught.value.frames.count("score.py") == 2
    assert "in helper" in caught.value.frames
    assert "fairlead_scoring" not in caught.value.frames


def test_frames_begin_in_the_users_code_and_keep_what_lies_below(bench: Bench) -> None:
    bench.write("import json\ndef parse(text): return json.loads(text)\n", "sibling.py")
    script = bench.load(
        "import sibling\ndef init(): pass\ndef run(data):\n    try: return sibling.parse(data)\n    except ValueError as e: raise KeyError('x') from e\n"
    )
    answer = bench.answer(script, b"{")
    assert answer.status == 500
    assert answer.failed is True
    assert "json" not in str(answer.body)
    logged = bench.log
    assert logged.startswith("run() raised KeyError: 'x'\nTraceback")
    assert logged.index("sibling.py") < logged.index("json/decoder.py") < logged.index("The above led to") < logged.rindex("score.py")
    assert "fairlead_scoring" not in logged


def test_a_row_that_ends_the_process_fails_alone(bench: Bench) -> None:
    head = "import fairlead_scoring, sys\ndef init(): pass\n@fairlead_scoring.batched(max_rows=8)\n"
    source = head + "def run(data: list): return [sys.exit(1) if x < 0 else x for x in data]"
    script = bench.load(source)
    step = Step(script, script.contract(), bench.lines)
    answers = step.answer([Request(b'{"data": [%d]}' % number, request_id=f"r{number}") for number in (1, -2, 3)])
    assert [(answer.status, answer.failed) for answer in answers] == [(200, False), (500, True), (200, False)]


def test_an_exception_that_is_its_own_cause_ends() -> None:
    error = ValueError("round")
    error.__cause__ = error
    assert user_frames(error) == "ValueError: round\n"


def test_no_such_script_and_no_main(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(ScriptFault, match=r"The entry script .*nowhere.py does not exist"):
        load(Path("nowhere.py"), bench.app_root, None)
    with pytest.raises(ScriptFault, match=r"No entry script was named and there is no main.py in"):
        load(None, bench.app_root, None)
    bench.write("import sys; sys.exit(1)", "main.py")
    with pytest.raises(ScriptFault, match=r"main.py called sys.exit\(1\)"):
        load(None, bench.app_root, None)


def test_in_an_image_nothing_is_installed_by_hand(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", "/opt/fairlead/env")
    with pytest.raises(ScriptFault, match=r"Add 'no-such-thing' to its requirements, and deploy again\."):
        bench.load("import no_such_thing")


def test_names_the_package_inside_a_namespace(bench: Bench) -> None:
    bench.write("", "azure/core/__init__.py")
    with pytest.raises(ScriptFault, match=r"needs the module 'azure.identity'.*pip install 'azure-identity'"):
        bench.load("import azure.core\nfrom azure.identity import DefaultAzureCredential\n")
