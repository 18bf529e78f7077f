from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fairlead_scoring.schema import Mismatch
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from fairlead.flavors import inspect

from .conftest import Serve

IRIS, SPECIES = load_iris(return_X_y=True)


def test_a_classifier_with_zipmap(tmp_path: Path, serve: Serve) -> None:
    model = LogisticRegression(max_iter=500).fit(IRIS, SPECIES)
    path = tmp_path / "model.onnx"
    path.write_bytes(to_onnx(model, IRIS[:1].astype(np.float32)).SerializeToString())
    assert inspect(path).unsafe == ()
    served = serve(path)
    assert served.said["inputs"][0]["type"] == {"kind": "tensor", "dtype": "float32", "shape": [-1, 4], "nulls": False}
    with pytest.raises(Mismatch, match="4"):
        served.check(data=[[1.0]])
    answer = served.run(data=IRIS)
    assert list(answer["output_label"]) == list(model.predict(IRIS))
    assert set(answer["output_probability"][0]) == {"0", "1", "2"}
    assert len(answer["output_probability"]) == len(IRIS)


def test_several_inputs_and_outputs_go_by_name(tmp_path: Path, serve: Serve) -> None:
    inputs = [helper.make_tensor_value_info(name, kind, ["batch", 2]) for name, kind in (("left", TensorProto.FLOAT), ("right:0", TensorProto.INT64))]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 2]) for name in ("sum", "product")]
    nodes = [
        helper.make_node("Cast", ["right:0"], ["right"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["left", "right"], ["sum"]),
        helper.make_node("Mul", ["left", "right"], ["product"]),
    ]
    model = helper.make_model(helper.make_graph(nodes, "g", inputs, outputs), opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path = tmp_path / "two.onnx"
    path.write_bytes(model.SerializeToString())
    served = serve(path)
    assert [(each["name"], each["type"]["dtype"]) for each in served.said["inputs"]] == [("left", "float32"), ("right:0", "int64")]
    answer = served.run(**{"left": np.array([[1.5, 2.0]]), "right:0": np.array([[2, 3]])})
    assert answer["sum"].tolist() == [[3.5, 5.0]]
    assert answer["product"].tolist() == [[3.0, 6.0]]


def test_strings_go_in(tmp_path: Path, serve: Serve) -> None:
    data = helper.make_tensor_value_info("name", TensorProto.STRING, [None, 1])
    out = helper.make_tensor_value_info("same", TensorProto.STRING, [None, 1])
    graph = helper.make_graph([helper.make_node("Identity", ["name"], ["same"])], "g", [data], [out])
    path = tmp_path / "text.onnx"
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString())
    served = serve(path)
    assert served.run(data=np.array([["Ålesund"]]))["same"].tolist() == [["Ålesund"]]
