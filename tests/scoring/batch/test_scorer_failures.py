"""What a script raises, or answers instead of answers: which items are bad, and why."""

from __future__ import annotations

import json
import subprocess

import numpy as np
import pyarrow as pa
import pytest
from fairlead_scoring.batch import runner
from fairlead_scoring.batch.frames import InHand
from fairlead_scoring.batch.job import Limits
from fairlead_scoring.batch.scoring import Segment, TooMany
from fairlead_scoring.batch.scoring.answers import are_lines

from tests.scoring.batch.scorers import Open, column, score, table

POISON = """
def init(): pass
def run(mini_batch):
    if (mini_batch["x"] < 0).any():
        raise ValueError("x is negative")
    return mini_batch["x"] * 2
"""


def test_rows_that_raise_are_found_alone(opened: Open) -> None:
    rows = list(range(1000))
    rows[17] = rows[503] = -1
    scored = score(opened(POISON, script="score.py", output={"keep": ("id",)}), table(x=rows, id=rows))
    assert [bad.row for bad in scored.bad] == [1017, 1503]
    assert scored.bad[0].reason == "ValueError: x is negative (score.py, line 5)"
    assert scored.table is not None
    assert column(scored, "id") == [value for value in rows if value >= 0]
    assert column(scored, "x") == [value * 2 for value in rows if value >= 0]


def test_a_flaky_script_is_tried_again(opened: Open) -> None:
    text = """
calls = []
def init(): pass
def run(mini_batch):
    calls.append(1)
    if len(calls) < 3: raise OSError("busy")
    return list(mini_batch["x"])
"""
    scored = score(opened(text, script="score.py"), table(x=[1, 2]))
    assert (column(scored), scored.failed, scored.tries) == ([1, 2], 0, 2)


def test_looking_for_bad_rows_ends_when_there_are_too_many(opened: Open) -> None:
    with pytest.raises(TooMany, match="x is negative"):
        score(opened(POISON, script="score.py"), table(x=[-1] * 100), most_failed=3)


def test_segments_of_an_earlier_process_are_tried_apart(opened: Open) -> None:
    segments = [Segment(0, 2), Segment(2, 3, "the process was ended by SIGSEGV"), Segment(3, 5)]
    scored = score(opened(POISON, script="score.py"), table(x=[1, 2, 3, 4, 5]), segments)
    assert column(scored, "x") == [2, 4, 8, 10]
    assert [(bad.row, bad.reason) for bad in scored.bad] == [(1002, "the process was ended by SIGSEGV")]


def test_a_set_is_refused(opened: Open) -> None:
    scored = score(opened("def init(): pass\ndef run(mini_batch):\n    return set(mini_batch['x'])\n", script="score.py"), table(x=["a", "b"]))
    assert "a set, which has no order" in scored.bad[0].reason


def test_lists_of_an_append_row_are_lines_as_they_are(opened: Open) -> None:
    text = "def init(): pass\ndef run(mini_batch):\n    return [f'{x} \"{x}\"' for x in mini_batch['x']]\n"
    scored = score(opened(text, script="score.py", output={"action": "append_row"}), table(x=[1, 2]))
    assert scored.table is not None
    assert are_lines(scored.table)
    assert column(scored) == ['1 "1"', '2 "2"']


@pytest.mark.parametrize("raised", ["KeyboardInterrupt()", "asyncio.CancelledError()"])
def test_whatever_is_raised_is_the_scripts(opened: Open, raised: str) -> None:
    text = f"import asyncio\ndef init(): pass\ndef run(mini_batch):\n    if 2 in list(mini_batch['x']): raise {raised}\n    return list(mini_batch['x'])\n"
    scored = score(opened(text, script="score.py", limits=Limits(run_max_try=1)), table(x=[1, 2, 3]))
    assert (column(scored), [bad.row for bad in scored.bad]) == ([1, 3], [1001])


def test_values_that_python_cannot_have_are_told_all_the_same(opened: Open) -> None:
    text = "def init(): pass\ndef run(mini_batch):\n    raise ValueError('no')\n"
    invalid = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(np.array([0, 1], "int32")), pa.py_buffer(b"\xff")])
    rows = pa.table({"text": invalid, "year": pa.array([2**60], pa.timestamp("s")), "n": [1]})
    scored = score(opened(text, script="score.py", limits=Limits(run_max_try=1)), rows)
    assert json.loads(str(scored.bad[0].value)) == {"text": "(no valid string)", "year": "(no valid timestamp[s])", "n": 1}


def test_a_process_that_closed_its_link_is_no_victim_of_somebody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "MERCY", 0.05)
    child = runner._Child.__new__(runner._Child)
    child._process = subprocess.Popen(["sleep", "100"], start_new_session=True)
    died = child._died(InHand(0, 0, 4))
    assert (died.from_outside, died.hand, child._process.returncode) == (False, InHand(0, 0, 4), -9)
    assert "closed" in died.reason
