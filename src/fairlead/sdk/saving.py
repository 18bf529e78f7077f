"""A model in memory becomes a file, in the format of its own library, that another process can load."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fairlead.errors import UsageError
from fairlead.flavors import pickled

METHODS = ("predict", "predict_proba", "decision_function", "score_samples", "transform")
_TREES = ("sklearn.tree._tree.Tree", "sklearn.ensemble._hist_gradient_boosting.", "sklearn._loss.")  # skops asks about them; the script trusts them


def save(model: Any, folder: Path, sample: Any = None) -> Path:
    """The file. scikit-learn and what has its methods: skops where that holds the model whole and runs no code, else joblib; xgboost: UBJSON; lightgbm's
    Booster: its text; PyTorch: torch.export, for which it needs the sample; ONNX: as it is.

    Raises UsageError for what is no model, and for a class that only this program knows.
    """
    stem = folder / _stem(model)
    writer = next((each for fits, each in _WRITERS if fits(model)), None)
    if writer is None:
        raise UsageError(_why_not(model))
    path = writer(model, stem, sample)
    _refuse_own_classes(path, model)
    return path


def library_of(model: Any) -> str:
    """Name of the package that the model's class comes from: `sklearn`."""
    return type(model).__module__.partition(".")[0]


def method_of(model: Any) -> str | None:
    """What it is asked with: `predict`, or the first it has; None for what is only called."""
    return next((name for name in METHODS if callable(getattr(model, name, None))), None)


def name_of(model: Any) -> str:
    """A name for the registry, from what the model is: a pipeline is called after its last step."""
    steps = getattr(model, "steps", None)
    inner = steps[-1][1] if isinstance(steps, list) and steps else model
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", type(inner).__name__).lower()


def _stem(model: Any) -> str:
    return re.sub(r"[^a-z0-9-]", "-", name_of(model)) or "model"


def _is_torch(model: Any) -> bool:
    return any(each.__module__.startswith("torch.nn.") and each.__name__ == "Module" for each in type(model).__mro__)


def _is_xgboost(model: Any) -> bool:
    return library_of(model) == "xgboost" and hasattr(model, "save_model")


def _is_lightgbm_booster(model: Any) -> bool:
    return library_of(model) == "lightgbm" and type(model).__name__ == "Booster"


def _is_onnx(model: Any) -> bool:
    return library_of(model) == "onnx" and type(model).__name__ == "ModelProto"


def _is_estimator(model: Any) -> bool:
    return not isinstance(model, type) and method_of(model) is not None


def _write_torch(model: Any, stem: Path, sample: Any) -> Path:
    import torch  # noqa: PLC0415 - it made the model, so it is there

    if sample is None:
        raise UsageError("A PyTorch model is exported by following a sample through it; give sample=, a tensor or array as forward() takes it.")
    given = tuple(torch.as_tensor(each) for each in (sample if isinstance(sample, tuple) else (sample,)))
    free = tuple({0: torch.export.Dim.AUTO} if each.ndim and each.shape[0] > 1 else None for each in given)  # how many rows, the caller says
    path = stem.with_suffix(".pt2")
    torch.export.save(torch.export.export(model.eval(), given, dynamic_shapes=free), path)
    return path


def _write_xgboost(model: Any, stem: Path, sample: Any) -> Path:
    path = stem.with_suffix(".ubj")
    model.save_model(path)
    return path


def _write_lightgbm(model: Any, stem: Path, sample: Any) -> Path:
    path = stem.with_suffix(".txt")
    model.save_model(path)
    return path


def _write_onnx(model: Any, stem: Path, sample: Any) -> Path:
    path = stem.with_suffix(".onnx")
    path.write_bytes(model.SerializeToString())
    return path


def _write_estimator(model: Any, stem: Path, sample: Any) -> Path:
    return _write_skops(model, stem) or _write_joblib(model, stem)


def _write_skops(model: Any, stem: Path) -> Path | None:
    """None where skops is not installed, or would have to trust types that only the caller can judge."""
    if importlib.util.find_spec("skops") is None or library_of(model) != "sklearn":
        return None
    import skops.io  # noqa: PLC0415 - optional

    path = stem.with_suffix(".skops")
    try:
        skops.io.dump(model, path)
        unknown = [name for name in skops.io.get_untrusted_types(file=path) if not name.startswith(_TREES)]
    except Exception:  # noqa: BLE001 - whatever skops cannot write, joblib may
        unknown = [""]
    if unknown:
        path.unlink(missing_ok=True)
        return None
    return path


def _write_joblib(model: Any, stem: Path) -> Path:
    import joblib  # noqa: PLC0415 - scikit-learn depends on it

    path = stem.with_suffix(".joblib")
    try:
        joblib.dump(model, path)
    except Exception as error:
        raise UsageError(f"The {type(model).__name__} cannot be written to a file ({type(error).__name__}: {error}).") from error
    return path


_WRITERS: tuple[tuple[Callable[[Any], bool], Callable[[Any, Path, Any], Path]], ...] = (
    (_is_torch, _write_torch),
    (_is_xgboost, _write_xgboost),
    (_is_lightgbm_booster, _write_lightgbm),
    (_is_onnx, _write_onnx),
    (_is_estimator, _write_estimator),
)


def _refuse_own_classes(path: Path, model: Any) -> None:
    """What is defined in a notebook or in the script that runs is known under `__main__`, which is something else in every process."""
    said = pickled.read(path)
    own = sorted(name.removeprefix("__main__.") for name in (said.names if said else ()) if name.startswith("__main__."))
    if own or type(model).__module__ == "__main__":
        what = ", ".join(own) or type(model).__name__
        raise UsageError(
            f"{what} is defined in this notebook or script, so no other process can load the model. "
            "Move it into a module of an installed package, import it from there, and fit again; or write a score.py that defines it."
        )


def _why_not(model: Any) -> str:
    what = type(model).__name__
    if isinstance(model, type):
        return f"{model.__name__} is a class, not a model; fit an instance of it."
    if library_of(model) in ("keras", "tensorflow", "tf_keras"):
        return "Save the Keras model with model.export(FOLDER), and register that folder: Model.register(ws, FOLDER, NAME)."
    if callable(model) and not hasattr(model, "__dict__"):
        return f"A {what} is no model. Put it into a score.py as run(), and deploy that: `fairlead deploy score.py`."
    if callable(model):
        return f"A {what} is called, not asked with {', '.join(METHODS)}. Put it into a score.py as run(), and deploy that: `fairlead deploy score.py`."
    return f"A {what} is no model: it has none of {', '.join(METHODS)}. Give a fitted model, or the path of a file."
