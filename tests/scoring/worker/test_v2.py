"""Open Inference Protocol v2: named tensors in and out, JSON and binary, checked against what is declared."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fairlead_scoring.schema import Column, Field, Signature, Table, Tensor, Value
from fairlead_scoring.schema.open_inference import DTYPES, input_tensors, output_tensors
from fairlead_scoring.worker import arguments as arguments_module
from fairlead_scoring.worker import v2_tensors
from fairlead_scoring.worker.dialects import Dialects
from fairlead_scoring.worker.exchange import Answer, BadInput, EncodeFault, Request

METHOD = Field("method", Value({"type": "string", "enum": ["predict", "predict_proba"]}), required=False, default="predict_proba")
METHODS = Value({"type": "object", "properties": {"predict": {"type": "array", "items": {"enum": [0, 1]}}, "predict_proba": {}}})
NARROW = ("BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64")


def tensor(data: Any, shape: list[int], datatype: str = "FP64", name: str = "data", **parameters: Any) -> dict[str, Any]:
    said = {"name": name, "shape": shape, "datatype": datatype, "data": data}
    return {**said, "parameters": parameters} if parameters else said


def one(declared: Any) -> Dialects:
    return Dialects(Signature((Field("data", declared),)))


def asked(dialects: Dialects, body: Any, tail: bytes = b"", length: str | None = None) -> tuple[dict[str, Any], Request]:
    head = json.dumps(body).encode()
    headers = [(b"inference-header-content-length", (length or str(len(head))).encode())] if tail or length else []
    request = Request(head + tail, dialect="v2", path="/v2/models/m%C3%A9/versions/3/infer".replace("%C3%A9", "\xc3\xa9"), headers=headers)
    return dialects.bind(request), request


def refused(dialects: Dialects, body: Any, tail: bytes = b"", length: str | None = None) -> str:
    with pytest.raises(BadInput) as caught:
        asked(dialects, body, tail, length)
    assert caught.value.status == 400
    return caught.value.message


def answered(request: Request, result: Any) -> Any:
    assert request.reply is not None
    body = request.reply(result).body
    assert isinstance(body, bytes)
    return json.loads(body)


# Inputs


@pytest.mark.parametrize("data", [[1, 2, 3, 4], [[1, 2], [3, 4]]], ids=["flat", "nested"])
def test_json_data_is_flat_or_nested(data: Any) -> None:
    array = asked(one(Tensor("float32", (-1, 2))), {"inputs": [tensor(data, [2, 2], "FP32")]})[0]["data"]
    assert array.dtype == "float32"
    assert array.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("datatype", NARROW)
@pytest.mark.parametrize("numpy_is_there", [True, False])
def test_binary_data_of_every_datatype(datatype: str, numpy_is_there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    dtype = DTYPES[datatype]
    sent = np.array([[1, 0], [1, 1]]).astype(dtype)
    if not numpy_is_there:
        for module in (arguments_module, v2_tensors):
            monkeypatch.setattr(module, "optional", lambda name: None)
    said = tensor(None, [2, 2], datatype, binary_data_size=sent.nbytes)
    del said["data"]
    found = asked(one(Tensor(dtype, (-1, 2))), {"inputs": [said]}, sent.astype(sent.dtype.newbyteorder("<")).tobytes())[0]["data"]
    if numpy_is_there:
        assert found.dtype == dtype
        assert found.flags.writeable
        found = found.tolist()
    assert found == sent.tolist()


def test_binary_text_has_lengths() -> None:
    raw = b"".join(struct.pack("<I", len(each)) + each for each in ("é".encode(), b""))
    said = {"name": "data", "shape": [2], "datatype": "BYTES", "parameters": {"binary_data_size": len(raw)}}
    assert asked(one(Tensor("str", (-1,))), {"inputs": [said]}, raw)[0]["data"].tolist() == ["é", ""]


@pytest.mark.parametrize(("datatype", "declared"), [("FP64", "float32"), ("INT64", "float64"), ("INT64", "int8"), ("UINT8", "int32"), ("FP32", "int64")])
def test_numbers_of_another_width_are_taken_where_they_fit(datatype: str, declared: str) -> None:
    raw = np.array([1, 2]).astype(DTYPES[datatype]).tobytes()
    binary = {"name": "data", "shape": [2], "datatype": datatype, "parameters": {"binary_data_size": len(raw)}}
    for said, tail in ((binary, raw), (tensor([1, 2], [2], datatype), b"")):
        found = asked(one(Tensor(declared, (-1,))), {"inputs": [said]}, tail)[0]["data"]
        assert (found.dtype, found.tolist()) == (declared, [1, 2])


@pytest.mark.parametrize(
    ("declared", "array", "message"),
    [
        (Tensor("float64", (-1,)), np.array([1, np.nan]), "data, row 1: expected a number, got NaN."),
        (Tensor("float32", (-1,)), np.array([1e300]), "data, row 0: expected a number that fits float32, got 1e+300."),
        (Tensor("int8", (-1,)), np.array([1, 300]), "data, row 1: expected an integer between -128 and 127, got 300."),
        (Tensor("int64", (-1,)), np.array([1.5]), "data, row 0: expected an integer, got 1.5."),
        (Tensor("bool", (-1,)), np.array([1]), "data, row 0: expected true or false, got 1."),
        (Tensor("float64", (-1,)), np.array([True]), "data, row 0: expected a number, got true."),
        (Tensor("float64", (-1, 3)), np.array([[1.0, 2.0]]), "data, row 0: expected 3 values, got 2 values."),
        (Tensor("float64", (-1, 2)), np.array([1.0, 2.0]), "data, row 0: expected a list of 2 values, got 1.0."),
    ],
)
def test_binary_values_are_checked_like_json(declared: Tensor, array: Any, message: str) -> None:
    datatype = {dtype: name for name, dtype in DTYPES.items()}[array.dtype.name]
    said = {"name": "data", "shape": list(array.shape), "datatype": datatype, "parameters": {"binary_data_size": array.nbytes}}
    assert refused(one(declared), {"inputs": [said]}, array.tobytes()) == message


def test_nan_is_taken_where_nulls_are_declared() -> None:
    array = np.array([np.nan, 1], dtype="float32")
    said = {"name": "data", "shape": [2], "datatype": "FP32", "parameters": {"binary_data_size": 8}}
    for dtype in ("float32", "float64"):
        found = asked(one(Tensor(dtype, (-1,), nulls=True)), {"inputs": [said]}, array.tobytes())[0]["data"]
        assert found.dtype == dtype
        assert np.isnan(found[0])


TABLE = Table((Column("a", "float64"), Column("b", "int64", minimum=0)))


def test_a_table_comes_as_one_tensor_per_column_or_as_one_for_all() -> None:
    columns = [tensor([1, 2], [2, 1], "INT64", "b"), tensor([0.5, 1.5], [2], "FP32", "a", content_type="np")]
    for inputs in (columns, [tensor([0.5, 1, 1.5, 2], [2, 2])]):
        frame = asked(one(TABLE), {"inputs": inputs, "parameters": {"content_type": "pd"}})[0]["data"]
        assert list(frame.columns) == ["a", "b"]
        assert [str(dtype) for dtype in frame.dtypes] == ["float64", "int64"]
        assert frame.to_numpy().tolist() == [[0.5, 1], [1.5, 2]]


def test_a_table_of_one_kind_as_one_tensor() -> None:
    table = Table((Column("a", "float64"), Column("b", "float64")))
    frame = asked(one(table), {"inputs": [tensor([1, 2], [1, 2], "FP32")]})[0]["data"]
    assert frame.to_dict(orient="records") == [{"a": 1.0, "b": 2.0}]


def test_values_come_as_parameters_or_as_tensors_of_one() -> None:
    dialects = Dialects(Signature((Field("k", Value({"type": "integer"})), Field("words", Value({"type": "array"})), METHOD)), {"v2": {"method": "predict"}})
    body = {"parameters": {"k": 3, "timeout": 5}, "inputs": [tensor(["x", "y"], [2], "BYTES", "words")]}
    assert asked(dialects, body)[0] == {"k": 3, "words": ["x", "y"], "method": "predict"}
    body = {"parameters": {"words": [], "method": "predict_proba"}, "inputs": [tensor([4], [1], "INT32", "k")]}
    assert asked(dialects, body)[0] == {"k": 4, "words": [], "method": "predict_proba"}


def test_asking_for_an_output_chooses_the_method() -> None:
    dialects = Dialects(Signature((Field("data", Tensor("float64", (-1,))), METHOD)), {"v2": {"method": "predict"}})
    body = {"inputs": [tensor([1], [1])], "outputs": [{"name": "predict_proba"}]}
    assert asked(dialects, body)[0]["method"] == "predict_proba"
    body["outputs"].append({"name": "predict"})
    assert "come from different methods" in refused(dialects, body)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ([], "The body must be an object with inputs, got []."),
        ({}, "inputs must be a list of tensors, got null."),
        ({"inputs": [1]}, "inputs: each must be an object, got 1."),
        ({"inputs": [{"shape": [1]}]}, "inputs: each needs a name"),
        ({"inputs": []}, "'data' is missing; the inputs are: data."),
        ({"inputs": [tensor([1, 2], [1, 2], name="x")]}, "'x' is no input of this model; its inputs are: data FP64."),
        ({"inputs": [tensor([1, 2], [1, 2])] * 2}, "input 'data' is there twice."),
        ({"inputs": [tensor([1, 2], [1, 3])]}, "input 'data': shape [1, 3] holds 3 values, data has 2."),
        ({"inputs": [tensor([[1], [2]], [1, 2])]}, "the nested lists of data do not have shape [1, 2]."),
        ({"inputs": [tensor([1, 2], [1, -2])]}, "shape must be a list of sizes from 1 up, got [1, -2]."),
        ({"inputs": [tensor([], [10**12, 0])]}, "shape must be a list of sizes from 1 up"),
        ({"inputs": [tensor([1, 2], "1,2")]}, "shape must be a list of sizes"),  # type: ignore[arg-type]
        ({"inputs": [tensor([1, 2], [1, 2], "BF16")]}, "BF16 is not supported; send FP32"),
        ({"inputs": [tensor([1, 2], [1, 2], "FLOAT")]}, 'datatype "FLOAT" is unknown; send one of BOOL'),
        ({"inputs": [tensor(None, [1, 2])]}, "needs data, a list of values, got null."),
        ({"inputs": [tensor([1, "x"], [1, 2])]}, 'element 1 is "x", FP64 holds a number.'),
        ({"inputs": [tensor([1, 300], [1, 2], "INT8")]}, "element 1 is 300, INT8 holds an integer between -128 and 127."),
        ({"inputs": [tensor([1, None], [1, 2])]}, "data, row 0, column 1: expected a number, got null."),
        ({"inputs": [tensor(["1", "2"], [1, 2], "BYTES")]}, 'data, row 0, column 0: expected a number, got "1".'),
        ({"inputs": [tensor([1, 2], [1, 2], content_type="base64")]}, 'content_type "base64" is not read here'),
        ({"inputs": [tensor([1, 2], [1, 2], shared_memory_region="r")]}, "shared memory is not available here"),
        ({"inputs": [tensor([1, 2], [1, 2], binary_data_size=16)]}, "has both data and binary_data_size"),
        ({"inputs": [tensor([1, 2], [1, 2])], "parameters": 1}, "the request: parameters must be an object, got 1."),
        ({"inputs": [tensor([1, 2], [1, 2])], "id": 7}, "id must be a string, got 7."),
        ({"inputs": [tensor([1, 2], [1, 2])], "outputs": {}}, "outputs must be a list"),
        ({"inputs": [tensor([1, 2], [1, 2])], "outputs": [{}]}, "outputs: each must be an object with a name"),
        ({"inputs": [tensor([1, 2], [1, 2])], "outputs": [{"name": "o", "parameters": {"classification": 3}}]}, "classification is not available here"),
    ],
)
def test_what_does_not_fit_is_told_in_a_sentence(body: Any, message: str) -> None:
    assert message in refused(one(Tensor("float64", (-1, 2))), body)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([tensor([1], [1], name="a")], "input 'b' is missing; data needs one tensor for each of its columns."),
        ([tensor([1], [1], name="a"), tensor([1, 2], [2], "INT64", "b")], "input 'b': shape is [2], a column of a table has [1] or [1, 1]"),
        (
            [tensor([1], [1], name="a"), tensor([-1], [1], "INT64", "b")],
            "data, row 0, column 'b': expected an integer between 0 and 9223372036854775807, got -1.",
        ),
        ([tensor([1], [], name="a"), tensor([1], [1], "INT64", "b")], "a column of a table has [n] or [n, 1]"),
        ([tensor([1, 2, 3], [1, 3])], "data, row 0: expected 2 values, in the order a, b, got 3 values."),
    ],
)
def test_what_does_not_fit_a_table(inputs: Any, message: str) -> None:
    assert message in refused(one(TABLE), {"inputs": inputs})


@pytest.mark.parametrize(
    ("parameters", "tail", "length", "message"),
    [
        ({"binary_data_size": 8}, b"1234", None, "binary_data_size is 8, but 4 bytes are left after the JSON head."),
        ({"binary_data_size": 8}, b"", None, "binary_data_size is 8, but 0 bytes are left"),
        ({"binary_data_size": 4}, b"12345", None, "FP64 of shape [1] takes 8 bytes, binary_data_size is 4."),
        ({"binary_data_size": 8}, b"123456789", None, "1 bytes follow that no input's binary_data_size speaks of."),
        ({"binary_data_size": "8"}, b"12345678", None, 'binary_data_size "8" is no number of bytes.'),
        ({"binary_data_size": 8}, b"12345678", "99999", "Inference-Header-Content-Length is 99999, the body has"),
        ({"binary_data_size": 8}, b"12345678", "-1", "Inference-Header-Content-Length is -1"),
        ({"binary_data_size": 8}, b"12345678", "\xb2", "Inference-Header-Content-Length is"),
        ({"binary_data_size": 8}, b"12345678", "5", "The body is not JSON"),
    ],
)
def test_binary_that_does_not_add_up(parameters: Any, tail: bytes, length: str | None, message: str) -> None:
    said = {"name": "data", "shape": [1], "datatype": "FP64", "parameters": parameters}
    assert message in refused(one(Tensor("float64", (-1,))), {"inputs": [said]}, tail, length)


@pytest.mark.parametrize(
    ("datatype", "raw", "message"),
    [
        ("BOOL", b"\x02", "each byte of a BOOL is 0 or 1."),
        ("BYTES", b"\x05\0\0\0abc", "the element at byte 0 ends after the data"),
        ("BYTES", b"\x01\0", "the element at byte 0 ends after the data"),
        ("BYTES", b"\x01\0\0\0\xff", "the element at byte 0 is not UTF-8."),
        ("BYTES", b"\0\0\0\0\0\0\0\0", "shape [1] holds 1 elements, 2 came."),
    ],
)
def test_binary_that_is_no_value(datatype: str, raw: bytes, message: str) -> None:
    said = {"name": "data", "shape": [1], "datatype": datatype, "parameters": {"binary_data_size": len(raw)}}
    assert message in refused(one(Tensor("object", (-1,))), {"inputs": [said]}, raw)


# Outputs


def ask(**said: Any) -> Request:
    return asked(one(Tensor("float64", (-1,))), {"inputs": [tensor([1], [1])], **said})[1]


@pytest.mark.parametrize(
    ("result", "outputs"),
    [
        (np.array([[1.5, 2]], dtype="float32"), [("output-0", "FP32", [1, 2], [1.5, 2])]),
        (np.array([1, 2], dtype="int16"), [("output-0", "INT16", [2], [1, 2])]),
        (np.array([True]), [("output-0", "BOOL", [1], [True])]),
        (np.float32(0.5), [("output-0", "FP32", [1], [0.5])]),
        (np.array(["a", "b"]), [("output-0", "BYTES", [2], ["a", "b"])]),
        (np.array([None, 1.5], dtype=object), [("output-0", "FP64", [2], [None, 1.5])]),
        (np.array(["2024-01-01"], dtype="datetime64[ns]"), [("output-0", "BYTES", [1], ["2024-01-01T00:00:00"])]),
        (np.asfortranarray([[1, 2], [3, 4]]), [("output-0", "INT64", [2, 2], [1, 2, 3, 4])]),
        ([1, 2], [("output-0", "INT64", [2], [1, 2])]),
        ([[0.5], [1]], [("output-0", "FP64", [2, 1], [0.5, 1])]),
        ([2**63], [("output-0", "UINT64", [1], [2**63])]),
        ([], [("output-0", "BYTES", [0], [])]),
        ([[1], [2, 3]], [("output-0", "BYTES", [2], ["[1]", "[2,3]"])]),
        ([{"a": 1}], [("output-0", "BYTES", [1], ['{"a":1}'])]),
        ([np.int64(1), np.int64(2)], [("output-0", "INT64", [2], [1, 2])]),
        ("text", [("output-0", "BYTES", [1], ["text"])]),
        (True, [("output-0", "BOOL", [1], [True])]),
        ([float("nan")], [("output-0", "FP64", [1], [None])]),
        ({"p": np.array([1]), "q": ["x"]}, [("p", "INT64", [1], [1]), ("q", "BYTES", [1], ["x"])]),
        (pd.DataFrame({"a": [1], "b": ["x"]}), [("a", "INT64", [1], [1]), ("b", "BYTES", [1], ["x"])]),
        (pd.Series([1, None], dtype="Int64"), [("output-0", "FP64", [2], [1, None])]),
    ],
)
def test_results_become_tensors(result: Any, outputs: Any) -> None:
    found = answered(ask(id="7"), result)
    assert [(each["name"], each["datatype"], each["shape"], each["data"]) for each in found["outputs"]] == outputs
    assert (found["model_name"], found["model_version"], found["id"]) == ("mé", "3", "7")


def test_bytes_that_are_no_text_are_base64_in_json_and_themselves_in_binary() -> None:
    assert answered(ask(), [b"ok"])["outputs"][0]["data"] == ["ok"]
    output = answered(ask(), [b"\xff", "a"])["outputs"][0]
    assert (output["data"], output["parameters"]) == (["/w==", "YQ=="], {"content_type": "base64"})


@pytest.mark.parametrize("result", [np.array([[1, 2]], dtype="<f4"), np.array([[1, 2]], dtype=">f4")])
def test_binary_output(result: Any) -> None:
    request = ask(parameters={"binary_data_output": True})
    assert request.reply is not None
    head, raw = split(request.reply(result))
    assert head["outputs"] == [{"name": "output-0", "datatype": "FP32", "shape": [1, 2], "parameters": {"binary_data_size": 8}}]
    assert struct.unpack("<2f", raw) == (1, 2)


def test_each_output_is_binary_or_not_as_asked_and_in_that_order() -> None:
    wanted = [{"name": "q", "parameters": {"binary_data": True}}, {"name": "p", "parameters": {"binary_data": False}}]
    request = ask(outputs=wanted, parameters={"binary_data_output": True})
    assert request.reply is not None
    head, raw = split(request.reply({"p": [1], "q": ["é", None], "r": [1]}))
    assert [(each["name"], "data" in each) for each in head["outputs"]] == [("q", False), ("p", True)]
    assert raw == b"\x02\0\0\0\xc3\xa9\0\0\0\0"


@pytest.mark.parametrize(("result", "raw"), [([1, 2], struct.pack("<2q", 1, 2)), ([0.5], struct.pack("<d", 0.5)), ([True], b"\1")])
def test_lists_are_binary_too(result: Any, raw: bytes) -> None:
    request = ask(parameters={"binary_data_output": True})
    assert request.reply is not None
    assert split(request.reply(result))[1] == raw


def split(answer: Answer) -> tuple[Any, bytes]:
    assert isinstance(answer.body, bytes)
    assert answer.content_type == "application/octet-stream"
    length = int(dict(answer.headers)["Inference-Header-Content-Length"])
    return json.loads(answer.body[:length]), answer.body[length:]


def test_an_output_that_is_not_there_is_the_callers_mistake() -> None:
    request = ask(outputs=[{"name": "nope"}])
    assert request.reply is not None
    answer = request.reply({"p": [1], "q": [2]})
    assert answer.status == 400
    assert answer.body == b'{"error": "The model has no output \'nope\' here; its outputs are: p, q."}'


@pytest.mark.parametrize("result", [None, {"p": None}, iter([1])])
def test_what_is_no_tensor_is_the_scripts_fault(result: Any) -> None:
    request = ask()
    assert request.reply is not None
    with pytest.raises(EncodeFault, match="v2 needs an array"):
        request.reply(result)


# Metadata


@pytest.mark.parametrize(
    ("declared", "result", "datatype"),
    [
        (Tensor("float64", (-1,)), np.array([1], dtype="float32"), "FP64"),
        (Tensor("float32", (-1,)), [1.5], "FP32"),
        (Tensor("int32", (-1,)), np.array([2**40]), "INT64"),  # does not fit, so it says what it is
        (Tensor("int32", (-1,)), np.array([7]), "INT32"),
        (Tensor("int64", (-1,)), np.array([0.5]), "FP64"),
        (Tensor("str", (-1,)), ["x"], "BYTES"),
    ],
)
def test_an_answer_has_the_declared_name_and_datatype(declared: Tensor, result: Any, datatype: str) -> None:
    dialects = Dialects(Signature((Field("data", Tensor("float64", (-1,))),), Field("score", declared)))
    output = answered(asked(dialects, {"inputs": [tensor([1], [1])]})[1], result)["outputs"][0]
    assert (output["name"], output["datatype"]) == ("score", datatype)


def test_metadata_names_what_a_request_must_bring() -> None:
    fields = (
        Field("image", Tensor("float32", (-1, 3, 8, 8))),
        Field("row", TABLE),
        Field("k", Value({"type": "integer"})),
        Field("options", Value({"type": "object"})),
        METHOD,
    )
    found = [tuple(each) for each in input_tensors(Signature(fields))]
    assert found == [("image", "FP32", (-1, 3, 8, 8)), ("a", "FP64", (-1,)), ("b", "INT64", (-1,)), ("k", "INT64", (1,))]


def test_metadata_names_the_outputs_whose_datatype_is_known() -> None:
    inputs = (Field("data", Tensor("float64", (-1,))), METHOD)
    assert [tuple(each) for each in output_tensors(Signature(inputs, Field("output", METHODS)), {"method": "predict"})] == [("predict", "INT64", (-1,))]
    assert output_tensors(Signature(inputs, Field("output", METHODS)), {}) == []  # predict_proba: its items are not declared
    assert [each.name for each in output_tensors(Signature(inputs[:1], Field("output", METHODS)), {})] == ["predict"]
    assert output_tensors(Signature(inputs), {}) == []
    assert [tuple(each) for each in output_tensors(Signature(inputs, Field("o", TABLE)), {})] == [("a", "FP64", (-1,)), ("b", "INT64", (-1,))]
