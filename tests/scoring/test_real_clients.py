"""Clients that are not ours against a served script: tritonclient for Open Inference Protocol v2, MLflow's own for /invocations."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.live import Launcher, Service

pytestmark = pytest.mark.needs("tritonclient", "mlflow")

SCORE = """
import fairlead_scoring
from fairlead_scoring.schema import Column, Field, Signature, Table, Tensor, Value


def init():
    pass


def describe():
    data = Table((Column("age", "int64", minimum=0), Column("income", "float64", nullable=True), Column("city", "str")))
    method = Field("method", Value({"type": "string", "enum": ["predict", "predict_proba"]}), required=False, default="predict_proba")
    answers = {"predict": {"type": "array", "items": {"type": "integer"}}, "predict_proba": {"type": "array", "items": {"type": "array"}}}
    output = Field("output", Value({"type": "object", "properties": answers}))
    defaults = {"v2": {"method": "predict"}, "invocations": {"method": "predict"}, "designer": {"method": "predict"}}
    sample = {"data": [{"age": 1, "income": 2.5, "city": "Ulm"}]}
    return {**Signature((Field("data", data), method), output).to_json(), "sample": sample, "platform": "test", "defaults": defaults}


@fairlead_scoring.batched(max_rows=64)
def run(data, method="predict"):
    assert [str(kind) for kind in data.dtypes] == ["int64", "float64", "object"], data.dtypes
    ages = data["age"].to_numpy()
    return {"predict": ages * 2} if method == "predict" else {"predict_proba": (ages[:, None] / [[4, 2]]).astype("float32")}
"""

ECHO = """
from fairlead_scoring.schema import Field, Signature, Tensor

DTYPES = ["bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float16", "float32", "float64", "str"]


def init():
    pass


def describe():
    fields = tuple(Field(dtype + "_in", Tensor(dtype, (-1, 2)), required=False) for dtype in DTYPES)
    return Signature(fields).to_json()


def run(%s):
    return {name: value for name, value in locals().items() if value is not None}
"""
DTYPES = {
    "BOOL": "bool", "UINT8": "uint8", "UINT16": "uint16", "UINT32": "uint32", "UINT64": "uint64", "INT8": "int8", "INT16": "int16",
    "INT32": "int32", "INT64": "int64", "FP16": "float16", "FP32": "float32", "FP64": "float64", "BYTES": "str",
}  # fmt: skip


@pytest.fixture(scope="module")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    launcher = Launcher(tmp_path_factory.mktemp("services"))
    try:
        yield launcher
    finally:
        launcher.end()


@pytest.fixture(scope="module")
def table(launcher: Launcher) -> Service:
    return started(launcher, "table", SCORE)


@pytest.fixture(scope="module")
def echo(launcher: Launcher) -> Service:
    return started(launcher, "echo", ECHO % ", ".join(f"{dtype}_in=None" for dtype in DTYPES.values()))


def started(launcher: Launcher, name: str, text: str) -> Service:
    script = launcher.folder / name / "score.py"
    script.parent.mkdir()
    script.write_text(text)
    return launcher("--entry-script", script)


@pytest.fixture
def triton() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("tritonclient.http")


def client_of(triton: Any, service: Service) -> Any:
    return triton.InferenceServerClient(f"{service.host}:{service.port}")


def inputs_of(triton: Any, *, binary: bool, ages: Any = (3, 4)) -> list[Any]:
    columns = {
        "age": ("INT64", np.array(ages)),
        "income": ("FP64", np.array([1.5] * len(ages))),
        "city": ("BYTES", np.array(["Köln"] * len(ages), dtype=object)),
    }
    found = []
    for name, (datatype, column) in columns.items():
        tensor = triton.InferInput(name, [len(ages), 1], datatype)
        tensor.set_data_from_numpy(column.reshape(-1, 1), binary_data=binary)
        found.append(tensor)
    return found


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
def test_triton_scores_a_table(triton: Any, table: Service, binary_in: bool, binary_out: bool) -> None:
    client = client_of(triton, table)
    outputs = [triton.InferRequestedOutput("predict_proba", binary_data=binary_out)]
    result = client.infer("score", inputs_of(triton, binary=binary_in), outputs=outputs, request_id="r-1")
    assert result.as_numpy("predict_proba").tolist() == [[0.75, 1.5], [1.0, 2.0]]
    assert result.as_numpy("predict_proba").dtype == "float32"
    assert result.get_response()["id"] == "r-1"
    assert client.infer("score", inputs_of(triton, binary=binary_in), model_version="1.0").as_numpy("predict").tolist() == [6, 8]


def test_triton_finds_server_and_model(triton: Any, table: Service) -> None:
    client = client_of(triton, table)
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("score")
    assert client.is_model_ready("score", client.get_model_metadata("score")["versions"][0])
    assert not client.is_model_ready("other")
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]


def test_metadata_is_enough_to_build_a_request_that_is_taken(triton: Any, table: Service) -> None:
    client = client_of(triton, table)
    said = client.get_model_metadata("score")
    assert [(each["name"], each["datatype"], each["shape"]) for each in said["inputs"]] == [
        ("age", "INT64", [-1]),
        ("income", "FP64", [-1]),
        ("city", "BYTES", [-1]),
    ]
    assert said["outputs"] == [{"name": "predict", "datatype": "INT64", "shape": [-1]}]
    inputs = []
    for each in said["inputs"]:
        shape = [max(size, 1) for size in each["shape"]]
        tensor = triton.InferInput(each["name"], shape, each["datatype"])
        tensor.set_data_from_numpy(np.full(shape, "x", dtype=object) if each["datatype"] == "BYTES" else np.ones(shape).astype(DTYPES[each["datatype"]]))
        inputs.append(tensor)
    result = client.infer("score", inputs, outputs=[triton.InferRequestedOutput(each["name"]) for each in said["outputs"]])
    assert {"name": "predict", "datatype": "INT64"}.items() <= result.get_output("predict").items()


@pytest.mark.parametrize(
    ("datatype", "binary"),
    [(datatype, binary) for datatype in DTYPES for binary in (True, False) if binary or datatype != "FP16"],  # which this client sends as binary only
)
def test_triton_sends_and_gets_every_datatype(triton: Any, echo: Service, datatype: str, binary: bool) -> None:
    name = DTYPES[datatype] + "_in"
    sent = np.array([["a", "é"], ["", "d"]], dtype=object) if datatype == "BYTES" else np.array([[0, 1], [1, 0]]).astype(DTYPES[datatype])
    tensor = triton.InferInput(name, [2, 2], datatype)
    tensor.set_data_from_numpy(sent, binary_data=binary)
    result = client_of(triton, echo).infer("score", [tensor], outputs=[triton.InferRequestedOutput(name, binary_data=binary)])
    found = result.as_numpy(name).tolist()
    assert result.get_output(name)["datatype"] == datatype
    assert [[each.decode() if isinstance(each, bytes) else each for each in row] for row in found] == sent.tolist()


@pytest.mark.parametrize(
    ("model", "age", "output", "said"),
    [
        ("score", -1, "predict", "[400] data, row 0, column 'age': expected an integer between 0 and"),
        ("score", 1, "nope", "[400] The model has no output 'nope' here; its outputs are: predict."),
        ("other", 1, "predict", "[404] This service has no model 'other'; its model is 'score'."),
    ],
)
def test_triton_is_told_what_is_wrong(triton: Any, table: Service, model: str, age: int, output: str, said: str) -> None:
    with pytest.raises(triton.InferenceServerException) as caught:
        client_of(triton, table).infer(model, inputs_of(triton, binary=True, ages=[age]), outputs=[triton.InferRequestedOutput(output)])
    assert said in str(caught.value)


def test_triton_sends_more_than_a_frame_holds(triton: Any, echo: Service) -> None:
    sent = np.arange(600_000, dtype="float64").reshape(-1, 2)
    tensor = triton.InferInput("float64_in", list(sent.shape), "FP64")
    tensor.set_data_from_numpy(sent)
    assert (client_of(triton, echo).infer("score", [tensor]).as_numpy("float64_in") == sent).all()


def test_answers_of_batched_requests_are_not_swapped(table: Service) -> None:
    def ask(age: int) -> Any:
        columns = [("age", "INT64", [age]), ("income", "FP64", [1]), ("city", "BYTES", ["x"])]
        inputs = [{"name": name, "datatype": datatype, "shape": [1], "data": data} for name, datatype, data in columns]
        reply = table.post("/v2/models/score/infer", {"id": str(age), "inputs": inputs}).json()
        return reply["id"], reply["outputs"][0]["data"]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(100))) == [(str(age), [2 * age]) for age in range(100)]


# MLflow


@pytest.fixture
def mlflow(table: Service, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client = pytest.importorskip("mlflow.pyfunc.scoring_server.client")
    return client.ScoringServerClient(table.host, table.port)


FRAME = pd.DataFrame({"city": ["Ulm", "Bonn"], "age": [3, 4], "income": [1.5, None]})


def test_mlflow_scores_a_frame(mlflow: Any) -> None:
    mlflow.ping()
    assert mlflow.invoke(FRAME).get_predictions("ndarray").tolist() == [6, 8]
    assert mlflow.invoke(FRAME, params={"method": "predict_proba"}).get_predictions().to_numpy().tolist() == [[0.75, 1.5], [1.0, 2.0]]


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_records": [{"city": "Ulm", "age": 3, "income": None}]},
        {"instances": [{"city": "Ulm", "age": 3, "income": None}]},
        {"inputs": {"city": ["Ulm"], "age": [3], "income": [None]}},
    ],
)
def test_what_mlflow_documents_is_taken(mlflow: Any, body: Any) -> None:
    assert mlflow.invoke(json.dumps(body)).get_predictions()[0].tolist() == [6]


def test_mlflow_csv_and_sagemaker_csv(table: Service) -> None:
    text = FRAME.to_csv(index=False)
    assert table.post("/invocations", text, {"Content-Type": "text/csv"}).json() == {"predictions": [6, 8]}
    reply = table.post("/invocations", "3,,Ulm\n4,2,Bonn\n", {"Content-Type": "text/csv; header=absent", "Accept": "text/csv"})
    assert (reply.headers["content-type"], reply.text) == ("text/csv", "6\n8\n")


def test_mlflow_errors_have_a_code_and_a_message(table: Service) -> None:
    reply = table.post("/invocations", {"dataframe_split": {"columns": ["age"], "data": [[1]]}})
    assert (reply.status, reply.json()["error_code"]) == (400, "BAD_REQUEST")
    assert reply.json()["message"] == "data, column 'income': expected this column once in columns, got nothing."
    assert table.post("/invocations", "x", {"Content-Type": "text/html"}).status == 415


# The script's own dialect, and the designer's


def test_score_in_its_own_words_and_in_the_designers(table: Service) -> None:
    row = {"age": 3, "income": None, "city": "Ulm"}
    assert table.post("/score", {"data": [row]}).json() == {"predict_proba": [[0.75, 1.5]]}
    assert table.post("/score", [row]).json() == {"predict_proba": [[0.75, 1.5]]}
    assert table.post("/score", {"Inputs": {"WebServiceInput0": [row]}, "GlobalParameters": {}}).json() == {"Results": {"WebServiceOutput0": [{"predict": 6}]}}
    assert table.post("/score", {"Inputs": {"data": [row]}, "GlobalParameters": 1.0}).json() == {"Results": [6]}
    reply = table.post("/score", "{}", {"Content-Type": "text/plain"})
    assert reply.status == 415
    assert reply.json()["message"].startswith("Expects Content-Type to be application/json")


def test_a_script_without_a_declaration_says_what_is_missing(serve: Launcher, tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text("def init(): pass\ndef run(data): return 1\n")
    service = serve("--entry-script", tmp_path / "score.py")
    assert service.post("/v2/models/score/infer", {}).status == 404
    assert "declares none" in service.post("/v2/models/score/infer", {}).json()["error"]
    assert "declares none" in service.post("/invocations", {}).json()["message"]
