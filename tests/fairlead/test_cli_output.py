"""Tables at 80 columns."""

from __future__ import annotations

import pytest

from fairlead.cli.output import Output


def test_names_and_addresses_are_not_cut_in_two(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [("schema-of-wine", "Transitioning", "diabetes:1, forest-of-trees:1, wine:12", "1/1", "http://127.0.0.1:20145")]
    Output().table([], ("NAME", "STATE", "MODELS", "WORKERS", "ADDRESS"), rows, empty="")
    told = capsys.readouterr().out
    for word in ("schema-of-wine", "Transitioning", "http://127.0.0.1:20145"):
        assert word in told
    assert max(map(len, told.splitlines())) <= 80


def test_what_is_longer_than_a_column_is_folded(capsys: pytest.CaptureFixture[str]) -> None:
    Output().table([], ("NAME", "PATH"), [("a", "x" * 200)], empty="")
    told = capsys.readouterr().out
    assert told.count("x") == 200
    assert max(map(len, told.splitlines())) <= 80


def test_many_whole_words_still_fit(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [tuple("y" * 30 for _ in range(5))]
    Output().table([], ("A", "B", "C", "D", "E"), rows, empty="")
    told = capsys.readouterr().out
    assert told.count("y") == 150
    assert max(map(len, told.splitlines())) <= 80
