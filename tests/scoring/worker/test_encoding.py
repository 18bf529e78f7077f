"""What a script may return, and the bytes it becomes."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import json
import uuid
from collections import OrderedDict, deque
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pydantic
import pytest
from fairlead_scoring.worker.encoding import to_json
from fairlead_scoring.worker.exchange import EncodeFault
from hypothesis import given
from hypothesis import strategies as st

from tests.scoring.worker.bench import Bench


class Colour(enum.Enum):
    RED = "red"


class Pair(NamedTuple):
    left: int
    right: str


@dataclasses.dataclass
class Box:
    size: np.float32
    when: dt.date


class Model(pydantic.BaseModel):
    score: decimal.Decimal
    at: dt.datetime


FRAME = pd.DataFrame({"p": [0.1234567890123456, np.nan], "n": [1, 2], "t": [pd.Timestamp("2024-01-02"), pd.NaT], "s": ["x", None]})
NATIVE: list[tuple[Any, Any]] = [
    (np.float32(0.1), 0.10000000149011612),
    (np.array([[1.5, 2.5]]), [[1.5, 2.5]]),
    (np.array(["a"]), ["a"]),
    (np.array([1], dtype=object), [1]),
    (np.array(["2024-02-29T12:00:00.000000001"], dtype="datetime64[ns]"), ["2024-02-29T12:00:00"]),
    (np.datetime64("2024-02-29T12:00:00", "ns"), "2024-02-29T12:00:00"),
    (np.datetime64("NaT"), None),
    (np.timedelta64(1500, "ms"), 1.5),
    (np.bool_(False), False),
    ({np.int64(1): {np.str_("a"): np.int64(2)}}, {"1": {"a": 2}}),
    ({dt.date(2024, 1, 2): 1, (1, "b"): 2}, {"2024-01-02": 1, "(1, 'b')": 2}),
    ([FRAME], [[{"p": 0.1234567890123456, "n": 1, "t": "2024-01-02T00:00:00", "s": "x"}, {"p": None, "n": 2, "t": None, "s": None}]]),
    (FRAME["n"], [1, 2]),
    (FRAME["t"], ["2024-01-02T00:00:00", None]),
    (FRAME["n"].value_counts().to_dict(), {"1": 1, "2": 1}),
    (FRAME.describe().to_dict()["n"]["mean"], 1.5),
    ([pd.NA, pd.NaT], [None, None]),
    (pd.Timestamp("2024-01-02", tz="UTC"), "2024-01-02T00:00:00+00:00"),
    (pd.Timedelta(seconds=2), 2.0),
    (dt.datetime(2024, 1, 2, 3, tzinfo=dt.UTC), "2024-01-02T03:00:00+00:00"),
    (dt.time(3, 4), "03:04:00"),
    (dt.timedelta(minutes=1), 60.0),
    (decimal.Decimal(10), 10),
    (decimal.Decimal("0.10"), 0.1),
    (b"\x00\xff", "AP8="),
    (memoryview(b"ab"), "YWI="),
    ({"b", "a"}, ["a", "b"]),
    (Colour.RED, "red"),
    (Pair(1, "x"), [1, "x"]),
    (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (Box(np.float32(2), dt.date(2024, 1, 2)), {"size": 2.0, "when": "2024-01-02"}),
    ([Model(score=decimal.Decimal("0.5"), at=dt.datetime(2024, 1, 2, tzinfo=dt.UTC))], [{"score": 0.5, "at": "2024-01-02T00:00:00+00:00"}]),
    (OrderedDict(a=1).keys(), ["a"]),
    (deque([1, 2]), [1, 2]),
    (range(2), [0, 1]),
]


@pytest.mark.parametrize(("value", "expected"), NATIVE, ids=lambda one: type(one).__name__)
def test_writes_what_json_lacks(value: Any, expected: Any) -> None:
    assert json.loads(to_json(value)) == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers() | st.none(), inner),
)


@given(JSON)
def test_plain_values_are_byte_for_byte_json_dumps(value: Any) -> None:
    assert to_json(value) == json.dumps(value).encode("ascii")


class Sly:
    def tolist(self) -> Any:
        raise ZeroDivisionError


CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)


@pytest.mark.parametrize("value", [object(), Fraction(1, 3), CIRCLE, 1j, Sly(), lambda: 0, int, [[object()]]], ids=lambda one: type(one).__name__)
def test_says_what_cannot_be_written(value: Any) -> None:
    with pytest.raises(EncodeFault, match=rf"run\(\) returned {type(value).__name__}, which cannot be encoded as JSON"):
        to_json(value)


def test_an_answer_that_cannot_be_written_is_no_fault_of_run(bench: Bench) -> None:
    answer = bench.answer(bench.load("def init(): pass\ndef run(data): return object()\n"))
    assert (answer.status, answer.failed) == (500, False)
    assert "Object of type object is not JSON serializable" in bench.log
