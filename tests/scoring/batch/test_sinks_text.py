"""append_row: one text file, as pandas writes the rows and as the items of lists are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from fairlead_scoring.batch.job import Order, Output
from fairlead_scoring.batch.places import Place, Refused, open_place
from fairlead_scoring.batch.shards import Outcome
from fairlead_scoring.batch.sinks import finish, open_sink
from fairlead_scoring.batch.sinks.text import text_rows
from hypothesis import given
from hypothesis import strategies as st

ORDER = Order("job-1", "scores", "/no/bundle", output=Output("out", action="append_row"))


def as_pandas(frame: pd.DataFrame) -> bytes:
    return frame.to_csv(sep=" ", header=False, index=False).encode()


def ours(frame: pd.DataFrame) -> bytes:
    return text_rows(pa.Table.from_pandas(frame, preserve_index=False))


FRAMES = {
    "numbers": pd.DataFrame({"a": [1, -2], "b": [0.1, 1e-05], "c": [1e20, np.inf], "d": [True, False]}),
    "single precision": pd.DataFrame({"a": np.array([0.1, 3.4e38, 1e-7], np.float32), "b": np.array([0.1, 1, 65504], np.float16)}),
    "missing": pd.DataFrame({"a": [1.5, np.nan], "b": ["x", None], "c": pd.array([1, None], "Int64")}),
    "one missing": pd.DataFrame({"a": ["x", None, ""]}),
    "quoting": pd.DataFrame({"a": ["two words", 'a "quote"', "line\nend", "tab\t", "comma,"], "b": [1, 2, 3, 4, 5]}),
    "categories": pd.DataFrame({"a": pd.Categorical(["x", "y", "x"])}),
    "days": pd.DataFrame({"a": pd.to_datetime(["2020-01-01", "2021-06-30"])}),
    "missing days": pd.DataFrame({"a": [pd.Timestamp("2020-01-01"), pd.NaT]}),
    "times": pd.DataFrame({"a": pd.to_datetime(["2020-01-01 10:00:00", "2021-06-30 00:00:00"])}),
    "milliseconds": pd.DataFrame({"a": pd.to_datetime(["2020-01-01 10:00:00.5", "2021-06-30"], format="mixed")}),
    "nanoseconds": pd.DataFrame({"a": pd.to_datetime(["2020-01-01 10:00:00.000000001"])}),
    "zones": pd.DataFrame({"a": pd.to_datetime(["2020-01-01 10:00:00.25"]).tz_localize("Europe/Berlin")}),
    "dates": pd.DataFrame({"a": [pd.Timestamp("2020-01-01").date(), None]}),
    "lists": pd.DataFrame({"a": pd.Series([1, 2], dtype="uint8"), "b": ["", "é"]}),
}


@pytest.mark.parametrize("name", FRAMES)
def test_rows_are_as_pandas_writes_them(name: str) -> None:
    assert ours(FRAMES[name]) == as_pandas(FRAMES[name])


@given(st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.floats(), st.text(st.characters(exclude_categories=["Cs"]))), min_size=1, max_size=8))
def test_any_rows_are_as_pandas_writes_them(rows: list[tuple[int, float, str]]) -> None:
    frame = pd.DataFrame(rows, columns=["a", "b", "c"])
    assert ours(frame) == as_pandas(frame)


def write(place: Place, shard: int, *answers: pd.DataFrame | list[str]) -> Outcome:
    sink = open_sink(ORDER, place, shard)
    for answer in answers:
        if isinstance(answer, list):
            sink.lines(answer)
        else:
            sink.write(pa.Table.from_pandas(answer, preserve_index=False))
    parts, quarantine = sink.publish()
    return Outcome(shard, parts, quarantine, items=sink.rows, rows=sink.rows)


def test_one_file_in_the_order_of_shards(place: Place) -> None:
    frame = FRAMES["quoting"]
    outcomes = {shard: write(place, shard, frame, frame) for shard in (10, 2, 1)} | {3: write(place, 3), 11: write(place, 11, ["a.jpg: cat", "b.jpg: dog"])}
    manifest = finish(ORDER, place, outcomes)
    wanted = as_pandas(frame) * 6 + b"a.jpg: cat\nb.jpg: dog\n"
    assert place.read_bytes("parallel_run_step.txt") == wanted
    (part,) = manifest["parts"]
    assert (part["path"], part["rows"], part["bytes"]) == ("parallel_run_step.txt", 32, len(wanted))
    assert manifest["totals"]["rows"] == 32


def test_a_file_name_that_is_none_is_refused(tmp_path: Path) -> None:
    place = open_place(str(tmp_path))
    for name in ("../up.txt", "_x", ".x", ""):
        order = Order("job-1", "scores", "/no/bundle", output=Output("out", action="append_row", file_name=name))
        with pytest.raises(Refused, match="is no name for the file that append_row writes"):
            finish(order, place, {})
    assert not list(tmp_path.iterdir())
