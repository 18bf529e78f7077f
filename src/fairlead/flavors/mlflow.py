"""MLflow model folders: the native flavor inside is served by ours, so that the folder itself is never trusted.

Only a folder that has nothing but a `python_function` needs MLflow, and then it runs the folder's code: an unsafe format.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from fairlead_scoring.schema import Column, DeclarationError, Field, Signature, Table, Tensor

from fairlead.flavors import lightgbm, onnx, pytorch, scikit_learn, spark_ml, tensorflow, xgboost
from fairlead.flavors.errors import FlavorError
from fairlead.flavors.flavor import Flavor

_NATIVE = {
    "sklearn": scikit_learn.FLAVOR, "onnx": onnx.FLAVOR, "xgboost": xgboost.FLAVOR, "lightgbm": lightgbm.FLAVOR, "pytorch": pytorch.FLAVOR,
    "tensorflow": tensorflow.FLAVOR, "keras": tensorflow.FLAVOR, "spark": spark_ml.FLAVOR,
}  # fmt: skip
_DTYPES = {
    "boolean": "bool", "integer": "int32", "long": "int64", "float": "float32", "double": "float64", "string": "str", "datetime": "datetime64",
}  # fmt: skip


def _detect(path: Path) -> bool:
    return path.is_dir() and (path / "MLmodel").is_file()


FLAVOR = Flavor(name="mlflow", requirements=("mlflow", "pandas"), template="mlflow.py", detect=_detect, suffixes=("an MLflow model folder",))


def native(folder: Path) -> tuple[Flavor, Path] | None:
    """Our flavor for the model inside, and the file or folder it recognises; None when only MLflow can load it."""
    flavors = _said(folder).get("flavors") or {}
    for name, ours in _NATIVE.items():
        if name not in flavors:
            continue
        for path in _candidates(folder, flavors[name] or {}):
            for flavor in (ours, scikit_learn.FLAVOR):  # XGBClassifier and LGBMClassifier may be pickled
                if flavor.detect(path):
                    return flavor, path
    return None


def requirements(folder: Path) -> tuple[str, ...]:
    """The folder's own list, as given, without MLflow itself; empty when it has none."""
    path = folder / "requirements.txt"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    kept = [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
    return tuple(line for line in kept if not line.lower().startswith("mlflow"))


def schema(folder: Path) -> dict[str, Any] | None:
    """The input signature as ours; None when the folder has none, or one that we cannot check."""
    said = (_said(folder).get("signature") or {}).get("inputs")
    if not said:
        return None
    try:
        fields = _fields(json.loads(said))
        return None if fields is None else Signature(fields).to_json()
    except (ValueError, KeyError, TypeError, DeclarationError) as fault:
        raise FlavorError(f"{folder / 'MLmodel'}: the signature cannot be read ({fault}). Log the model again with mlflow.models.infer_signature.") from fault


def _fields(inputs: list[dict[str, Any]]) -> tuple[Field, ...] | None:
    if all(each.get("type") == "tensor" for each in inputs):
        return tuple(Field("data" if len(inputs) == 1 else each["name"], _tensor(each["tensor-spec"])) for each in inputs)
    if not all(each.get("type") in _DTYPES for each in inputs):
        return None  # objects, arrays and maps in cells: left to the model
    if all("name" in each for each in inputs):
        columns = tuple(Column(each["name"], _DTYPES[each["type"]], nullable=_nullable(each)) for each in inputs)
        return (Field("data", Table(columns)),)
    kinds = {_DTYPES[each["type"]] for each in inputs}
    return (Field("data", Tensor(kinds.pop(), (-1, len(inputs)))),) if len(kinds) == 1 else None


def _nullable(each: dict[str, Any]) -> bool:
    """Floats may be NaN in MLflow's own check; other cells may be absent only where `required` is false."""
    return each["type"] in ("float", "double") or not each.get("required", True)


def _tensor(spec: dict[str, Any]) -> Tensor:
    return Tensor(spec["dtype"], tuple(spec["shape"]))


def _said(folder: Path) -> dict[str, Any]:
    try:
        said = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as fault:
        raise FlavorError(f"{folder / 'MLmodel'} is not YAML: {fault}. Log the model again.") from fault
    return said if isinstance(said, dict) else {}


def _candidates(folder: Path, flavor: dict[str, Any]) -> list[Path]:
    """The files that the flavor's section names, kept inside the folder, and what lies below a folder it names."""
    named = [flavor.get(key) for key in ("pickled_model", "data", "model_data", "saved_model_dir")]
    paths = [(folder / name).resolve() for name in named if isinstance(name, str)]
    inside = [path for path in paths if path.is_relative_to(folder.resolve()) and path.exists()]
    return inside + sorted(below for path in inside if path.is_dir() for below in path.rglob("*"))
