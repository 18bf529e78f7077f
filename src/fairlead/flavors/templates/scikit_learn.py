"""Scores a scikit-learn model, or anything with its methods, from a pickle, joblib or skops file. Written by Fairlead; yours to change.

{"data": [[...], ...], "method": "predict"} answers {"predict": [...]}. Without "method": predict_proba where the model has it, as Azure's
no-code deployment did. One thread per worker: scikit-learn's own threads cost more than they give on the few rows of a request.
"""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Iterator
from typing import Any, Union

import fairlead_scoring
import numpy as np
import sklearn
from fairlead_scoring.artifact import model_file, threads
from fairlead_scoring.schema import Column, Field, Signature, Table, Tensor, Value

Type = Union[Tensor, Table]

METHODS = ("predict_proba", "predict", "decision_function", "predict_log_proba", "score_samples", "transform")
WITH_CATEGORIES = ("OneHotEncoder", "OrdinalEncoder", "TargetEncoder")
READS_TEXT = ("CountVectorizer", "TfidfVectorizer", "HashingVectorizer")
# Fitted trees are arrays; skops asks about them all the same. Every forest has some.
PLAIN_DATA = ("sklearn.tree._tree.Tree", "sklearn.ensemble._hist_gradient_boosting.", "sklearn._loss.")

model: Any = None
finite = False  # the schema check has seen to it that every number is finite, so scikit-learn need not look again


def init() -> None:
    global model, finite
    model = load()
    if not methods(model):
        raise TypeError(f"The file holds a {type(model).__name__}, which has none of {', '.join(METHODS)}. Write a score.py for it.")
    for part in parts(model, set()):
        if type(part).__module__.startswith(("xgboost.", "lightgbm.")):
            part.n_jobs = threads()
        elif getattr(part, "n_jobs", None) not in (None, 1):
            part.n_jobs = 1
    finite = nulls(model) == "refuses"


@fairlead_scoring.typed
@fairlead_scoring.batched(max_rows=256)
def run(data: Any, method: str = "predict") -> dict[str, Any]:
    if hasattr(data, "infer_objects"):
        data = data.infer_objects()
    with sklearn.config_context(assume_finite=finite):
        return {method: dense(getattr(model, method)(data))}


def describe() -> dict[str, Any]:
    offered = methods(model)
    data = data_type(model)
    example = sample(data)
    inputs = (
        Field("data", data, example=example),
        Field("method", Value({"type": "string", "enum": offered}), required=False, default=offered[0]),
    )
    said = Signature(inputs, Field("output", Value(output_schema(offered)))).to_json()
    plain = {"method": "predict"} if "predict" in offered else {}  # what Open Inference Protocol, MLflow and designer clients expect
    return {**said, "sample": example and {"data": example}, "platform": "sklearn", "defaults": {"v2": plain, "invocations": plain, "designer": plain}}


# Loading


def load() -> Any:
    path = model_file(".pkl", ".pickle", ".joblib", ".skops", ".sav", ".gz", ".xz", ".bz2")
    if zipfile.is_zipfile(str(path)):
        return load_skops(str(path))
    try:
        import joblib
    except ImportError:
        with open(str(path), "rb") as file:
            return pickle.load(file)
    return joblib.load(str(path))


def load_skops(path: str) -> Any:
    import skops.io

    named = os.environ.get("FAIRLEAD_SKOPS_TRUSTED", "").split(",")
    unknown = [name for name in skops.io.get_untrusted_types(file=path) if name not in named and not name.startswith(PLAIN_DATA)]
    if unknown:
        raise TypeError(f"The skops file holds {', '.join(unknown)}, which skops does not trust. If you do, set FAIRLEAD_SKOPS_TRUSTED={','.join(unknown)}.")
    return skops.io.load(path, trusted=[*filter(None, named), *(name for name in skops.io.get_untrusted_types(file=path) if name.startswith(PLAIN_DATA))])


def methods(estimator: Any) -> list[str]:
    return [name for name in METHODS if callable(getattr(estimator, name, None))]


def parts(thing: Any, seen: set) -> Iterator[Any]:  # type: ignore[type-arg]  # Python 3.8
    """The estimators inside an estimator: steps, fitted copies, the best of a search, members of an ensemble."""
    if id(thing) in seen:
        return
    seen.add(id(thing))
    if isinstance(thing, dict):
        inside = list(thing.values())
    elif isinstance(thing, (list, tuple)) or (isinstance(thing, np.ndarray) and thing.dtype == object):
        inside = list(thing)[:10000]
    elif hasattr(thing, "get_params") and not isinstance(thing, type):
        yield thing
        inside = list(vars(thing).values())
    else:
        return
    for each in inside:
        yield from parts(each, seen)


def dense(result: Any) -> Any:
    """Rows first, whatever the model gave: a sparse matrix, one array per output (predict_proba of several targets), a DataFrame."""
    if hasattr(result, "toarray"):
        return result.toarray()
    if isinstance(result, list) and result and isinstance(result[0], np.ndarray):
        return [list(row) for row in zip(*(each.tolist() for each in result))]
    return result.to_numpy() if hasattr(result, "to_numpy") else result


# What the model takes


def data_type(estimator: Any) -> Type:
    allowed = nulls(estimator) != "refuses"
    names = getattr(estimator, "feature_names_in_", None)
    first = steps(estimator)[0]
    width = width_of(estimator, first)
    if type(first).__name__ in READS_TEXT:
        return Tensor("str", (-1,))
    if names is None:
        kind = column_kinds(estimator, list(range(max(width, 0)))) if type(first).__name__ in WITH_CATEGORIES else {}
        text = any(dtype == "str" for dtype, _, _ in kind.values())
        return Tensor("object" if text else "float64", (-1, int(width)), nulls=allowed)
    known = column_kinds(estimator, [str(name) for name in names])
    return Table(tuple(column(name, *known.get(name, ("float64", allowed, None))) for name in map(str, names)))


def width_of(estimator: Any, first: Any) -> int:
    """The number of features; scikit-learn before 0.24 left it in places of its own. -1 when it is nowhere."""
    for each in (estimator, first):
        known = getattr(each, "n_features_in_", getattr(each, "n_features_", None))
        if isinstance(known, (int, np.integer)):
            return int(known)
    found = [getattr(first, name, None) for name in ("coef_", "mean_", "scale_", "statistics_", "cluster_centers_")]
    return next((int(array.shape[-1]) for array in found if isinstance(array, np.ndarray) and array.ndim), -1)


def column(name: Any, dtype: str, nullable: bool, categories: tuple[Any, ...] | None) -> Column:
    return Column(str(name), dtype, nullable=nullable, categories=categories)


def steps(estimator: Any) -> list[Any]:
    """The estimators that data goes through, in order; a search stands for its best."""
    inner = getattr(estimator, "best_estimator_", None)
    if inner is not None:
        return steps(inner)
    inside = getattr(estimator, "steps", None)
    if inside is None:
        return [estimator]
    found = [each for _, step in inside if step is not None and step != "passthrough" for each in steps(step)]
    return found or [estimator]


def column_kinds(estimator: Any, names: list[Any]) -> dict[Any, tuple[str, bool, tuple[Any, ...] | None]]:
    """name -> (dtype, nullable, categories) of the columns that a ColumnTransformer or an encoder at the front says something about."""
    first, *later = steps(estimator)
    if type(first).__name__ in WITH_CATEGORIES:
        return encoded([first], names)
    if not hasattr(first, "transformers_"):
        return {}
    out: dict[Any, tuple[str, bool, tuple[Any, ...] | None]] = {}
    for _, branch, chosen in first.transformers_:
        columns = chosen_names(chosen, names)
        after = "absorbs" if not later or all(nulls(step) != "refuses" for step in later) else "refuses"
        out.update(branch_kinds(branch, columns, after != "refuses"))
    for name in names:
        out.setdefault(name, ("object", True, None))  # a column nobody reads
    return out


def branch_kinds(branch: Any, columns: list[Any], later_takes_nulls: bool) -> dict[Any, tuple[str, bool, tuple[Any, ...] | None]]:
    if type(branch).__name__ == "FunctionTransformer" and branch.func is None:
        branch = "passthrough"  # what a fitted ColumnTransformer of scikit-learn 1.4 and later puts in its place
    if isinstance(branch, str):
        return dict.fromkeys(columns, ("object", True, None) if branch == "drop" else ("float64", later_takes_nulls, None))
    chain = steps(branch)
    if any(type(step).__name__ in WITH_CATEGORIES for step in chain):
        return encoded(chain, columns)
    if type(chain[0]).__name__ in READS_TEXT:
        return dict.fromkeys(columns, ("str", False, None))
    policy = nulls(branch)
    nullable = policy == "absorbs" or (policy == "passes" and later_takes_nulls)
    known = type(chain[0]).__module__.startswith("sklearn.") and type(chain[0]).__name__ != "FunctionTransformer"
    return dict.fromkeys(columns, ("float64" if known else "object", nullable, None))


def encoded(chain: list[Any], columns: list[Any]) -> dict[Any, tuple[str, bool, tuple[Any, ...] | None]]:
    """An encoder knows its categories; they bind the caller only when the encoder refuses others."""
    encoder = next(step for step in chain if type(step).__name__ in WITH_CATEGORIES)
    imputed = any(type(step).__name__.endswith("Imputer") for step in chain)
    out: dict[Any, tuple[str, bool, tuple[Any, ...] | None]] = {}
    for name, seen in zip(columns, encoder.categories_):
        values = [value for value in seen.tolist() if value is not None and value == value]
        dtype = "str" if all(isinstance(value, str) for value in values) else "bool" if all(isinstance(value, bool) for value in values) else "float64"
        strict = getattr(encoder, "handle_unknown", "error") == "error" and values and not imputed
        bound = tuple(values) if dtype != "float64" else tuple(float(value) for value in values)
        out[name] = (dtype, imputed or len(values) < len(seen), bound if strict else None)
    return out


def chosen_names(chosen: Any, names: list[Any]) -> list[Any]:
    """A ColumnTransformer's selection (names, positions, a slice, a mask) as column names."""
    if isinstance(chosen, (str, int)):
        chosen = [chosen]
    if isinstance(chosen, slice):
        if isinstance(chosen.start, str) or isinstance(chosen.stop, str):
            return names[names.index(chosen.start) if chosen.start else 0 : names.index(chosen.stop) + 1 if chosen.stop else None]
        return names[chosen]
    chosen = list(chosen)
    if chosen and isinstance(chosen[0], (bool, np.bool_)):
        return [name for name, taken in zip(names, chosen) if taken]
    return [each if isinstance(each, str) else names[int(each)] for each in chosen]


def nulls(estimator: Any) -> str:
    """What happens to NaN: the estimator "absorbs" it, "passes" it on, or "refuses" it."""
    chain = steps(estimator)
    if len(chain) > 1:
        for step in chain:
            policy = nulls(step)
            if policy != "passes":
                return policy
        return "passes"
    each = chain[0]
    if hasattr(each, "transformers_"):
        known = [nulls(branch) for _, branch, _ in each.transformers_ if not isinstance(branch, str)]
        return "refuses" if "refuses" in known else "absorbs" if known and set(known) == {"absorbs"} else "passes"
    if type(each).__name__.endswith("Imputer"):
        return "absorbs"
    if not takes_nan(each):
        return "refuses"
    return "absorbs" if hasattr(each, "predict") else "passes"


def takes_nan(estimator: Any) -> bool:
    if type(estimator).__module__.split(".")[0] in ("xgboost", "lightgbm", "catboost"):
        return True
    try:
        from sklearn.utils import get_tags

        return bool(get_tags(estimator).input_tags.allow_nan)
    except (ImportError, AttributeError, ValueError):
        tags: dict[str, Any] = getattr(estimator, "_get_tags", dict)()
        return bool(tags.get("allow_nan", False))


# What it answers


def output_schema(offered: list[str]) -> dict[str, Any]:
    classes = getattr(model, "classes_", None)
    known = classes.tolist() if isinstance(classes, np.ndarray) else None
    row: dict[str, Any] = {"type": "array", "items": {"type": "number"}}
    if known:
        row = {**row, "minItems": len(known), "maxItems": len(known), "description": f"one score per class, in the order {known}"}
    shapes: dict[str, Any] = {name: {} for name in offered}
    for name in ("predict_proba", "predict_log_proba"):
        shapes[name] = row if known else {}
    shapes["predict"] = {"enum": known} if known and len(known) <= 1000 else {}
    return {"type": "object", "properties": {name: {"type": "array", "items": shapes[name]} for name in offered}, "additionalProperties": False}


def sample(data: Type) -> Any:
    """One row that the schema lets through: zeros, and the first category of each column that has some; None when the width is unknown."""
    zeros = {"str": "", "bool": False, "object": ""}
    if isinstance(data, Table):
        return [{each.name: each.categories[0] if each.categories else zeros.get(each.dtype, 0.0) for each in data.columns}]
    shape = data.shape or (-1, -1)
    if len(shape) == 1:
        return ["text"]
    return [[zeros.get(data.dtype, 0.0)] * shape[1]] if shape[1] > 0 else None
