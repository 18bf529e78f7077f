"""What the Azure scoring server answered, we answer: the recorded requests, and each difference with its reason."""

from __future__ import annotations

import pytest

from tests.scoring.worker.azure_cases import CASES, Ask, Seen, recorded
from tests.scoring.worker.bench import Bench, bytes_of

EVERY = [pytest.param(source, name, ask, id=f"{name}-{ask.name}") for name, (source, asks) in CASES.items() for ask in asks]


@pytest.mark.parametrize(("source", "name", "ask"), EVERY)
def test_same_request_same_answer(bench: Bench, source: str, name: str, ask: Ask) -> None:
    script = bench.load(source)
    answer = bench.answer(script, ask.body, headers=ask.headers, method=ask.method, query=ask.query)
    seen = Seen(answer.status, answer.content_type, str(answer.failed), bytes_of(answer).decode())
    theirs = recorded(name, ask)
    assert seen == (ask.ours or theirs), ask.why
    assert ask.ours != theirs, "Recorded as a difference, but there is none."


DECORATED = [parameter for parameter in EVERY if parameter.values[1] in ("numpy", "pandas", "standard")]


@pytest.mark.parametrize(("source", "name", "ask"), DECORATED)
def test_strict_compat_counts_a_mismatch_as_the_scripts_failure(bench: Bench, source: str, name: str, ask: Ask) -> None:
    script = bench.load(source, strict_compat=True)
    answer = bench.answer(script, ask.body, headers=ask.headers, method=ask.method, query=ask.query)
    theirs = recorded(name, ask)
    if ask.name == "not UTF-8":
        assert answer.status == 400  # no client relies on an internal error
    else:
        assert Seen(answer.status, answer.content_type, str(answer.failed), bytes_of(answer).decode()) == theirs
