"""Flavors: what turns a model file into a service without a line of code. They work when a bundle is made; the runtime knows none of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from fairlead.flavors import installed, lightgbm, mlflow, named_columns, onnx, pickled, pytorch, scikit_learn, spark_ml, tensorflow, unsafe, xgboost
from fairlead.flavors.errors import CompileRefused, FlavorError, UnknownModel
from fairlead.flavors.flavor import Flavor, Found

__all__ = ["FLAVORS", "CompileRefused", "Flavor", "FlavorError", "Found", "UnknownModel", "detect", "get", "inspect"]

# In this order: a folder before what lies in it, a file's own marks before the pickle that anything may be.
FLAVORS = (mlflow.FLAVOR, tensorflow.FLAVOR, spark_ml.FLAVOR, onnx.FLAVOR, xgboost.FLAVOR, lightgbm.FLAVOR, pytorch.FLAVOR, scikit_learn.FLAVOR)

_NAMED_COLUMNS = {
    scikit_learn.FLAVOR.name: named_columns.in_scikit_learn,
    xgboost.FLAVOR.name: named_columns.in_xgboost,
    lightgbm.FLAVOR.name: named_columns.in_lightgbm,
}
_WITHOUT_METHODS = (mlflow.FLAVOR, pytorch.FLAVOR, tensorflow.FLAVOR)  # the others know their inputs better than a signature does


def get(name: str) -> Flavor:
    """The flavor of this name. Raises UnknownModel."""
    for flavor in FLAVORS:
        if flavor.name == name:
            return flavor
    raise UnknownModel(f"There is no flavor {name!r}; the flavors are {', '.join(flavor.name for flavor in FLAVORS)}.")


def detect(path: Path) -> Flavor | None:
    """The flavor whose script serves this model, by content; executes nothing."""
    flavor = next((each for each in FLAVORS if each.detect(path)), None)
    if flavor is mlflow.FLAVOR:
        inside = mlflow.native(path)
        return inside[0] if inside else flavor
    return flavor


def inspect(path: Path, python: Path | None = None) -> Found:
    """Everything packaging needs to know of a model; raises UnknownModel with the reason when no flavor serves it.

    python: the interpreter whose package versions are pinned, and that must be able to load the model; this one when None.
    """
    if not path.exists():
        raise UnknownModel(f"{path} does not exist. Give the path of a model file or folder.")
    flavor = detect(path)
    if flavor is None:
        raise UnknownModel(_why_not(path))
    inside = mlflow.native(path) if mlflow.FLAVOR.detect(path) else None
    model = inside[1] if inside else path
    said = pickled.read(model) if flavor is scikit_learn.FLAVOR else None
    names = _distributions(flavor, model, said)
    version, found = installed.versions(names, python)
    if said and said.sklearn and said.sklearn.count("."):
        found = {**found, "scikit-learn": said.sklearn}
    ours = installed.pinned(names, found)
    folder = mlflow.FLAVOR.detect(path)
    given = mlflow.requirements(path) if folder else ()
    return Found(
        flavor=flavor,
        requirements=_merged(given, spark_ml.requirements(model, ours) if flavor is spark_ml.FLAVOR else ours),
        unsafe=_unsafe(flavor, path),
        notes=tuple(_notes(said, model.name, version)),
        schema=mlflow.schema(path) if folder and flavor in _WITHOUT_METHODS else None,
    )


def _distributions(flavor: Flavor, model: Path, said: pickled.Pickled | None) -> tuple[str, ...]:
    extra = said.distributions if said else ()
    skops = ("skops",) if flavor is scikit_learn.FLAVOR and scikit_learn.is_skops(model) else ()
    asks = _NAMED_COLUMNS.get(flavor.name)
    tables = ("pandas",) if asks is not None and asks(model) else ()
    return tuple(dict.fromkeys([*flavor.requirements, *extra, *skops, *tables]))


def _merged(given: Iterable[str], ours: Iterable[str]) -> tuple[str, ...]:
    """What the model folder states, as given, and what our script needs beyond that."""
    kept = tuple(given)
    stated = {_bare(line) for line in kept}
    return kept + tuple(line for line in ours if _bare(line) not in stated and _bare(line).removesuffix("-cpu") not in stated)


def _bare(line: str) -> str:
    name = line.split(";", maxsplit=1)[0]
    for mark in "=<>~![ @":
        name = name.split(mark)[0]
    return name.strip().lower().replace("_", "-")


def _unsafe(flavor: Flavor, path: Path) -> tuple[tuple[str, str], ...]:
    found = unsafe.scan(path)
    if flavor is mlflow.FLAVOR and not any(name == "MLmodel" for name, _ in found):
        found = (*found, ("MLmodel", "only MLflow can load the folder, and runs the code that it brings"))
    return found


def _notes(said: pickled.Pickled | None, name: str, python: tuple[int, int]) -> Iterable[str]:
    if said is None:
        return
    old = pickled.advice(said, name, python)
    if old:
        yield old
    if said.unknown:
        yield f"{name} also imports {', '.join(said.unknown)}, for which no package is known: put its code beside the script, or its package in --requirements."


def _why_not(path: Path) -> str:
    if pytorch.is_saved_object(path):
        return (
            f"{path.name} was written by torch.save: it holds weights or a pickled module, not a program. "
            "Export it with torch.export.save or torch.jit.save, or write a score.py that builds the network."
        )
    if alone := spark_ml.why_not(path):
        return alone
    if xgboost.is_old_binary(path):
        return f"{path.name} is in XGBoost's old binary format, which XGBoost 3.1 dropped. Load it with an older one and save_model it as .ubj."
    named_so = [flavor.name for flavor in FLAVORS if path.suffix and path.suffix.lower() in flavor.suffixes]
    if path.is_file() and named_so:
        what = "is empty" if not path.stat().st_size else "does not hold what its name says: it may be damaged or cut off"
        return f"{path.name} {what} ({' or '.join(named_so)}). Export the model again."
    known = "; ".join(f"{flavor.name} ({', '.join(flavor.suffixes)})" for flavor in FLAVORS)
    what = "folder" if path.is_dir() else "file"
    return f"{path.name} is no model {what} that Fairlead knows: {known}. Write a score.py with init() and run() for it."
