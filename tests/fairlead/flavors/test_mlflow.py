from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost
from fairlead_scoring.schema import Signature
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from fairlead.flavors import detect, get, inspect

from .conftest import Serve

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MLflow warns of type hints in its own models
    import mlflow.pyfunc
    import mlflow.sklearn
    import mlflow.xgboost
    from mlflow.models import infer_signature
    from mlflow.pyfunc.model import PythonModel

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # hints to whoever logs a model

TABLE, SPECIES = load_iris(return_X_y=True, as_frame=True)


def test_a_scikit_learn_folder_is_served_without_mlflow(tmp_path: Path, serve: Serve) -> None:
    model = LogisticRegression(max_iter=500).fit(TABLE, SPECIES)
    folder = tmp_path / "saved"
    mlflow.sklearn.save_model(model, folder, signature=infer_signature(TABLE, SPECIES), serialization_format="cloudpickle")
    found = inspect(folder)
    assert found.flavor is get("scikit-learn")
    assert [path for path, _ in found.unsafe] == ["model.pkl"]
    assert not any(line.startswith("mlflow") for line in found.requirements)
    served = serve(folder)
    np.testing.assert_array_equal(served.run(TABLE)["predict"], model.predict(TABLE))


def test_an_xgboost_folder_holds_the_library_s_own_format(tmp_path: Path, serve: Serve) -> None:
    model = xgboost.XGBClassifier(n_estimators=3).fit(TABLE, SPECIES)
    folder = tmp_path / "saved"
    mlflow.xgboost.save_model(model, folder)
    found = inspect(folder)
    assert (found.flavor, found.unsafe) == (get("xgboost"), ())
    np.testing.assert_array_equal(serve(folder).run(TABLE)["predict"], model.predict(TABLE))


def test_a_python_function_needs_mlflow_and_is_unsafe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Doubler(PythonModel):  # here, for MLflow warns when such a class is made
        def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> Any:
            return model_input["a"] * 2

    rows = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]})
    folder = tmp_path / "saved"
    mlflow.pyfunc.save_model(folder, python_model=Doubler(), signature=infer_signature(rows, pd.Series([1.0])))
    assert detect(folder) is get("mlflow")
    found = inspect(folder)
    assert {"MLmodel"} <= {path for path, _ in found.unsafe}
    assert found.schema is not None
    [field] = Signature.from_json(found.schema).inputs
    assert [(each["name"], each["dtype"]) for each in field.type.to_json()["columns"]] == [("a", "float64"), ("b", "str")]
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(tmp_path))
    script: dict[str, Any] = {}
    exec(found.flavor.score_py, script)
    script["init"]()
    assert script["run"](rows)["predict"].tolist() == [2.0, 4.0]
