"""inference-schema: the user's installed library converts; a body that does not fit is the caller's mistake; each value is converted once."""

from __future__ import annotations

from typing import Any

import pytest
from fairlead_scoring.worker.faults import ScriptFault
from fairlead_scoring.worker.script import Script
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.scoring.worker.bench import Bench

HEAD = """
import functools
import numpy, pandas
from inference_schema.schema_decorators import input_schema, output_schema
from inference_schema.parameter_types.abstract_parameter_type import AbstractParameterType
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.parameter_types.pandas_parameter_type import PandasParameterType
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType as S
CALLS = []
class Counting(NumpyParameterType):
    def deserialize_input(self, value):
        CALLS.append(value)
        return super().deserialize_input(value)
ROWS = NumpyParameterType(numpy.array([[1.0, 2.0]]))
def init(): pass
"""
TIMED = """
def timed(run):
    @functools.wraps(run)
    def inner(*args, **kwargs):
        SEEN.append({name: type(value).__name__ for name, value in kwargs.items()})
        return run(*args, **kwargs)
    return inner
SEEN = []
"""
ROWS = {"data": [[1, 2]]}


def name(script: Script, name: str) -> Any:
    return script._loaded.init.__globals__[name]


def test_a_value_of_the_librarys_types_is_converted_once(bench: Bench) -> None:
    script = bench.load(
        HEAD + "Counting.__module__ = 'inference_schema.mine'\n@input_schema('data', Counting(numpy.array([[1.0, 2.0]])))\ndef run(data): return data\n"
    )
    assert bench.result(script, ROWS) == [[1.0, 2.0]]
    assert len(name(script, "CALLS")) == 1


def test_a_users_own_type_is_checked_and_then_gets_the_value_as_it_came(bench: Bench) -> None:
    own = """
class Text(AbstractParameterType):
    def __init__(self): super().__init__({'hex': 'ff'})
    def deserialize_input(self, value): return bytes.fromhex(value['hex'])
    def input_to_swagger(self): return {'type': 'object', 'example': {'hex': 'ff'}}
    def supported_versions(self): return ['2.0']
Text.sample_data_type = None
one = Text()
one.sample_data_type = bytes
@input_schema('blob', one)
def run(blob): return [type(blob).__name__, blob]
"""
    script = bench.load(HEAD + own)
    assert bench.result(script, {"blob": {"hex": "6162"}}) == ["bytes", "YWI="]
    assert bench.refusal(script, {"blob": {"hex": "zz"}}) == {
        "message": "blob: non-hexadecimal number found in fromhex() arg at position 0",
        "errors": [
            {
                "field": "blob",
                "row": None,
                "column": None,
                "expected": "blob: non-hexadecimal number found in fromhex() arg at position 0",
                "got": '{"hex": "zz"}',
            }
        ],
    }


def test_a_decorator_of_the_users_outside_sees_the_body_as_it_came(bench: Bench) -> None:
    script = bench.load(HEAD + TIMED + "@timed\n@input_schema('data', ROWS)\ndef run(data): return type(data).__name__\n")
    assert script.kind == "schema"
    assert bench.result(script, ROWS) == "ndarray"
    assert name(script, "SEEN") == [{"data": "list"}]
    assert bench.answer(script, {"data": [["x"]]}).status == 500  # as the Azure server; the decorator might have corrected it


def test_a_decorator_of_the_users_inside_sees_what_run_sees(bench: Bench) -> None:
    script = bench.load(HEAD + TIMED + "@input_schema('data', ROWS)\n@timed\ndef run(data): return type(data).__name__\n")
    assert bench.result(script, ROWS) == "ndarray"
    assert name(script, "SEEN") == [{"data": "ndarray"}]
    assert bench.refusal(script, {"data": [["x", 1]]})["errors"][0]["got"] == '"x"'


def test_nested_types_name_the_part_that_does_not_fit_not_one_that_was_converted_already(bench: Bench) -> None:
    script = bench.load(
        HEAD + "@input_schema('deep', S({'rows': ROWS, 'n': S(1), 'many': S([S({'k': S('a')})])}))\ndef run(deep): return [type(deep['rows']).__name__, deep]\n"
    )
    good = {"deep": {"rows": [[1, 2]], "n": 1, "many": [{"k": "x"}]}}
    assert bench.result(script, good) == ["ndarray", {"rows": [[1.0, 2.0]], "n": 1, "many": [{"k": "x"}]}]
    (one,) = bench.refusal(script, {"deep": {"rows": [[1, 2]], "n": "x"}})["errors"]
    assert (one["field"], one["column"], one["expected"], one["got"]) == ("deep", "n", "an integer", '"x"')
    (one,) = bench.refusal(script, {"deep": {"rows": [[1, 2]], "n": 1, "many": [{"k": "x"}, {"k": 5}]}})["errors"]
    assert (one["column"], one["got"]) == ("many[1].k", "5")


@pytest.mark.parametrize("orient", ["records", "split", "values", "index", "columns", "table"])
def test_every_orient_of_a_frame(bench: Bench, orient: str) -> None:
    frame = "FRAME = pandas.DataFrame({'a': [1, 2], 'b': ['x', 'y']})\n"
    run = f"@input_schema('frame', PandasParameterType(FRAME, orient='{orient}'))\ndef run(frame): return frame.values.tolist()\n"
    script = bench.load(HEAD + frame + run)
    sample = next(iter(script.contract()["swagger"].values()))["input"]["example"]["frame"]
    assert bench.result(script, {"frame": sample}) == [[1, "x"], [2, "y"]]
    assert bench.refusal(script, {"frame": 5})["message"].startswith("frame: ")


def test_structured_arrays_and_times(bench: Bench) -> None:
    point = "POINT = numpy.array([(1, 2.5)], dtype=[('a', 'i4'), ('b', 'f8')])\n"
    source = point + "@input_schema('points', NumpyParameterType(POINT))\ndef run(points): return points['b'].sum()\n"
    script = bench.load(HEAD + source)
    assert bench.result(script, {"points": [{"a": 1, "b": 2}, {"a": 3, "b": 4}]}) == 6.0
    assert bench.refusal(script, {"points": [{"a": 1}]})["errors"][0]["field"] == "points"
    script = bench.load(HEAD + "import datetime\n@input_schema('at', S(datetime.datetime(2024, 1, 2)))\ndef run(at): return at.year\n")
    assert bench.result(script, {"at": "2031-05-06T07:08:09Z"}) == 2031
    assert bench.refusal(script, {"at": "soon"})["errors"][0]["got"] == '"soon"'


def test_a_parameter_that_is_not_converted_is_handed_over_as_it_came(bench: Bench) -> None:
    script = bench.load(HEAD + "@input_schema('data', ROWS, convert_to_provided_type=False)\ndef run(data): return [type(data).__name__]\n")
    assert bench.result(script, {"data": "anything"}) == ["str"]


def test_swagger_is_the_librarys_own_and_only_for_versions_it_can_express(bench: Bench) -> None:
    contract = bench.load(HEAD + "@input_schema('data', ROWS)\n@output_schema(S({'a': 1}))\ndef run(data): return {'a': 1}\n").contract()
    assert list(contract["swagger"]) == ["2.0", "3.0", "3.1"]
    fragment = contract["swagger"]["3.1"]
    assert fragment["input"]["properties"]["data"]["items"]["items"] == {"type": "number", "format": "double"}
    assert fragment["input"]["example"] == {"data": [[1.0, 2.0]]}
    assert fragment["output"]["example"] == {"a": 1}
    (field,) = contract["inputs"]
    assert (field["name"], field["type"]["dtype"], field["type"]["shape"], field["type"]["nulls"]) == ("data", "float64", [-1, 2], True)


def test_an_output_schema_alone_makes_a_decorated_script(bench: Bench) -> None:
    script = bench.load(HEAD + "@output_schema(S(1))\ndef run(data): return data\n")
    assert script.kind == "schema"
    assert bench.result(script, {"data": [1]}) == [1]
    assert bench.answer(script, b"text", headers={"Content-Type": "text/plain"}).status == 415


@pytest.mark.parametrize(
    ("run", "kind"),
    [
        ("@input_schema('data', ROWS)\ndef run(data): return data\nrun = run.__wrapped__\n", "schema"),
        ("@input_schema('data', ROWS)\ndef predict(data): return data\ndef run(data): return predict(data)\n", "text"),
    ],
)
def test_detection_is_by_module_and_name_of_the_inner_function(bench: Bench, run: str, kind: str) -> None:
    assert bench.load(HEAD + run).kind == kind


def test_request_headers_beside_declared_parameters(bench: Bench) -> None:
    script = bench.load(HEAD + "@input_schema('data', ROWS)\ndef run(data, request_headers): return request_headers['X-Me']\n")
    answer = bench.answer(script, ROWS, headers={"Content-Type": "application/json", "x-me": "1"})
    assert answer.body == b'"1"'


def test_both_decorators_are_refused(bench: Bench) -> None:
    raw = "from fairlead_scoring.worker.rawhttp import rawhttp\n"
    with pytest.raises(ScriptFault, match=r"cannot be decorated with both @rawhttp and @input_schema"):
        bench.load(HEAD + raw + "@rawhttp\n@input_schema('data', ROWS)\ndef run(data): return data\n")


CELLS = st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False, width=32) | st.sampled_from(["x", "1", "2024-01-02"])
GRID = st.lists(st.lists(CELLS, max_size=3) | CELLS, max_size=3)
FRAME = st.lists(st.dictionaries(st.sampled_from("abc"), CELLS, max_size=3), max_size=3) | GRID
DEEP = st.fixed_dictionaries({}, optional={"n": CELLS, "rows": GRID, "many": st.lists(st.dictionaries(st.just("k"), CELLS)), "z": CELLS}) | CELLS
TYPES = {
    "NumpyParameterType(numpy.array([[1.0, 2.0]]))": GRID,
    "NumpyParameterType(numpy.array([[1, 2]]))": GRID,
    "NumpyParameterType(numpy.array(['a']), enforce_shape=False)": GRID,
    "PandasParameterType(pandas.DataFrame({'a': [1], 'b': ['x']}))": FRAME,
    "PandasParameterType(pandas.DataFrame({'a': [1.5], 'b': [True]}), enforce_shape=False)": FRAME,
    "S(1)": CELLS,
    "S([S({'k': S('a')})])": st.lists(st.dictionaries(st.just("k"), CELLS)) | CELLS,
    "S({'rows': ROWS, 'n': S(1.5), 'many': S([S({'k': S('a')})])})": DEEP,
}


@pytest.mark.parametrize("declared", TYPES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_what_the_library_takes_is_answered_alike_and_what_it_does_not_take_is_a_400(bench: Bench, declared: str, data: st.DataObject) -> None:
    source = HEAD + f"@input_schema('value', {declared})\ndef run(value): return [type(value).__name__, repr(value)]\n"
    body = {"value": data.draw(TYPES[declared])}
    strict = bench.answer(bench.load(source, strict_compat=True), body)
    ours = bench.answer(bench.load(source), body)
    assert strict.status in (200, 500)
    assert (ours.status, ours.failed) == ((200, False) if strict.status == 200 else (400, False))
    assert ours.body == strict.body or strict.status == 500
