"""Plain annotations as the declaration: what fits is handed over as annotated, what does not is a 400 that says where."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fairlead_scoring.worker.faults import ScriptFault

from tests.scoring.worker.bench import Bench

HEAD = """
from __future__ import annotations
import dataclasses, datetime, enum, numpy, numpy.typing, pandas, pydantic
from typing import *
from fairlead_scoring import typed
from fairlead_scoring.schema import Tensor
class Mode(enum.Enum):
    A = 'a'
    B = 'b'
@dataclasses.dataclass
class Row:
    x: float
    when: datetime.date
    y: Optional[int] = None
    seen: bool = dataclasses.field(default=False, init=False)
    def __post_init__(self):
        if self.x > 99: raise ValueError('x is above 99.')
class Named(TypedDict):
    n: int
class Person(pydantic.BaseModel):
    age: int = pydantic.Field(ge=0, le=150)
    tags: List[str] = []
    @pydantic.field_validator('tags')
    def known(cls, tags):
        if 'bad' in tags: raise ValueError('no such tag')
        return tags
def init(): pass
@typed
"""

FITS: list[tuple[str, Any, str]] = [
    ("x: int, y: float = 2.5", {"x": 1}, "1 2.5"),
    ("x: float", {"x": 1}, "1"),
    ("x: Mode = Mode.A", {}, "<Mode.A: 'a'>"),
    ("x: Mode = Mode.A", {"x": "b"}, "<Mode.B: 'b'>"),
    ("x: List[Mode]", {"x": ["b"]}, "[<Mode.B: 'b'>]"),
    ("x: Row", {"x": {"x": 1, "when": "2024-02-29"}}, "Row(x=1, when=datetime.date(2024, 2, 29), y=None, seen=False)"),
    ("x: dict[str, Row]", {"x": {"k": {"x": 1, "when": "2024-02-29"}}}, "{'k': Row(x=1, when=datetime.date(2024, 2, 29), y=None, seen=False)}"),
    ("x: Named", {"x": {"n": 1}}, "{'n': 1}"),
    ("x: Person", {"x": {"age": 1, "tags": ["a"]}}, "Person(age=1, tags=['a'])"),
    ("x: Optional[Person] = None", {"x": None}, "None"),
    ("x: datetime.datetime", {"x": "2024-01-02T03:04:05.25+01:00"}, "datetime.datetime(2024, 1, 2, 2, 4, 5, 250000, tzinfo=datetime.timezone.utc)"),
    ("x: datetime.datetime = datetime.datetime(2024, 1, 2)", {}, "datetime.datetime(2024, 1, 2, 0, 0)"),
    ("x: Literal['a', 2]", {"x": 2}, "2"),
    ("x: int | None", {"x": None}, "None"),
    ("x: Union[int, str]", {"x": "a"}, "'a'"),
    ("x: numpy.ndarray", [[1, 2]], "array([[1., 2.]])"),
    ("x: numpy.typing.NDArray[numpy.int8]", {"x": [1]}, "array([1], dtype=int8)"),
    ("x: Annotated[numpy.ndarray, Tensor('float32', (-1, 2))]", {"x": [[1, 2]]}, "array([[1., 2.]], dtype=float32)"),
    ("x: pandas.DataFrame", {"x": [{"a": 1}]}, "   a\n0  1"),
    ("x: Annotated[int, 'a note']", {"x": 1}, "1"),
    ("x: Annotated[int, pydantic.Field(gt=3)]", {"x": 4}, "4"),
    ("x: Sequence[int]", {"x": [1]}, "[1]"),
    ("x, y: Any = ()", {"x": {"free": 1}}, "{'free': 1} ()"),
    ("x: int, request_headers", {"x": 1}, "1"),
    ("*, x: int", {"x": 1}, "1"),
]


@pytest.mark.parametrize(("parameters", "body", "shown"), FITS)
def test_hands_over_what_was_annotated(bench: Bench, parameters: str, body: Any, shown: str) -> None:
    run = f"def run({parameters}): return ' '.join(repr(value) for name, value in locals().items() if name != 'request_headers')\n"
    script = bench.load(HEAD + run)
    assert bench.result(script, body) == shown
    json.dumps(script.contract(), allow_nan=False)


UNFIT: list[tuple[str, Any, str]] = [
    ("x: int", {"x": True}, "x: expected an integer, got true."),
    ("x: int", {"x": "5"}, 'x: expected an integer, got "5".'),
    ("x: int", {}, "'x' is missing; the inputs are: x."),
    ("x: Mode", {"x": "c"}, 'x: expected one of "a", "b", got "c".'),
    ("x: Row", {"x": {"x": 1, "when": "2023-02-29"}}, "x, column 'when': expected a date such as 2026-11-21, got \"2023-02-29\"."),
    ("x: Row", {"x": {"x": 100, "when": "2024-02-29"}}, 'x: x is above 99, got {"x": 100, "when": "2024-02-29"}.'),
    (
        "x: List[Row]",
        {"x": [{"x": 1, "when": "2024-02-29"}, {"x": 100, "when": "2024-02-29"}]},
        'x, row 1: x is above 99, got {"x": 100, "when": "2024-02-29"}.',
    ),
    ("x: Row", {"x": {"x": 1, "when": "2024-02-29", "seen": True}}, "x, column 'seen': expected nothing: the properties are x, when, y, got true."),
    ("x: Named", {"x": {"n": "a"}}, "x, column 'n': expected an integer, got \"a\"."),
    ("x: Person", {"x": {"age": 1, "tags": ["bad"]}}, "x, column 'tags': Value error, no such tag, got [\"bad\"]."),
    ("x: List[Person]", {"x": [{"age": 1}, {"age": 1, "tags": ["bad"]}]}, "x, row 1, column 'tags': Value error, no such tag, got [\"bad\"]."),
    ("x: dict[str, Person]", {"x": {"k": {"age": 1, "tags": ["bad"]}}}, "x, column 'k.tags': Value error, no such tag, got [\"bad\"]."),
    ("x: Person", {"x": {"age": 151}}, "x, column 'age': expected a number between 0 and 150, got 151."),
    (
        "x: Annotated[str, pydantic.AfterValidator(lambda text: int(text))]",
        {"x": "z"},
        "x: Value error, invalid literal for int() with base 10: 'z', got \"z\".",
    ),
    ("x: datetime.datetime", {"x": "2024-01-02T25:00:00Z"}, 'x: expected a time such as 2026-11-21T11:26:37Z, got "2024-01-02T25:00:00Z".'),
    ("x: Annotated[numpy.ndarray, Tensor('float32', (-1, 2))]", {"x": [[1]]}, "x, row 0: expected 2 values, got 1 value."),
    ("x: int", {"x": 1, "z": 2}, "'z' is no input of this service; its inputs are: x."),
]


@pytest.mark.parametrize(("parameters", "body", "sentence"), UNFIT)
def test_says_where_a_body_does_not_fit(bench: Bench, parameters: str, body: Any, sentence: str) -> None:
    refusal = bench.refusal(bench.load(HEAD + f"def run({parameters}): return 'entered'\n"), body)
    assert refusal["message"] == sentence
    for error in refusal.get("errors", []):
        assert error["field"] == "x"
        assert set(error) == {"field", "row", "column", "expected", "got"}


UNREADABLE = {
    "x: bytes": "'x' is annotated with <class 'bytes'>, which a JSON body cannot be checked against",
    "x: Set[int]": "'x' is annotated with <class 'set'>",
    "x: Tuple[int, str]": "'x' is annotated with <class 'tuple'>",
    "x: Undefined": "the annotations of run\\(\\) cannot be read: name 'Undefined' is not defined",
    "x: Union[Person, Row]": "'x' is a Union of values that would have to be converted",
}


@pytest.mark.parametrize("parameters", UNREADABLE)
def test_an_annotation_that_cannot_be_checked_ends_the_start(bench: Bench, parameters: str) -> None:
    with pytest.raises(ScriptFault, match=UNREADABLE[parameters]) as caught:
        bench.load(HEAD + f"def run({parameters}): pass\n")
    assert caught.value.exit_code == 3


def test_annotations_count_only_when_the_script_or_the_manifest_says_so(bench: Bench) -> None:
    source = "def init(): pass\ndef run(x: int): return [x]\n"
    assert bench.result(bench.load(source), b"5") == ["5"]
    assert bench.result(bench.load(source, typed=True), {"x": 5}) == [5]


SCHEMA = {"inputs": [{"name": "data", "type": {"kind": "tensor", "dtype": "float32", "shape": [-1, 2]}}]}


def test_a_schema_in_the_manifest_is_checked_and_handed_over_as_declared(bench: Bench) -> None:
    script = bench.load("def init(): pass\ndef run(data): return [str(data.dtype), data.tolist()]\n", schema=SCHEMA)
    assert script.kind == "typed"
    assert bench.result(script, {"data": [[1, 2]]}) == ["float32", [[1.0, 2.0]]]
    assert bench.refusal(script, {"data": [[1]]})["errors"][0]["row"] == 0
    with pytest.raises(ScriptFault, match=r"declares the input 'data', but run\(\) of .* takes rows"):
        bench.load("def init(): pass\ndef run(rows): pass\n", schema=SCHEMA)


DESCRIBED = "def init(): pass\ndef run(data): return data.tolist()\ndef describe(): return {}\n"


def test_describe_declares_after_init_and_a_manifest_schema_wins(bench: Bench) -> None:
    described = {"inputs": [{"name": "data", "type": {"kind": "tensor", "dtype": "float64", "shape": [-1]}}], "sample": {"data": [1]}, "platform": "mine"}
    script = bench.load(DESCRIBED.replace("{}", repr(described)))
    assert bench.result(script, {"data": [1]}) == [1.0]
    contract = script.contract()
    assert (contract["sample"], contract["model"]) == ({"data": [1]}, {"platform": "mine"})
    assert bench.refusal(bench.load(DESCRIBED.replace("{}", repr(described)), schema=SCHEMA), {"data": [1]})["message"]
    with pytest.raises(ScriptFault, match=r"describe\(\) of .* raised ZeroDivisionError"):
        bench.load(DESCRIBED.replace("{}", "1 / 0"))
