"""Rows as a model takes them, and the same as a request body; whether two answers are the same."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from fairlead.errors import UsageError
from fairlead.sdk import saving
from fairlead.sdk.samples import sample_text

ROWS = 3  # of a sample that are kept: enough to show shapes and types
TOLERANCE = 1e-5


def request_of(model: Any, sample: Any) -> str | None:
    """The body that asks for the first rows; a body that is given stays as it is."""
    if sample is None or isinstance(sample, str | Mapping):
        return sample_text(sample)
    if isinstance(sample, tuple):
        raise UsageError("A sample of several inputs is given as a request body: sample={'first': [...], 'second': [...]}.")
    body: dict[str, Any] = {"data": _as_json(first_rows(sample), getattr(model, "feature_names_in_", None))}
    method = None if _is_only_called(model) else saving.method_of(model)
    return json.dumps({**body, "method": method} if method else body)


def first_rows(sample: Any) -> Any:
    """As the model takes them; None for a request body."""
    if sample is None or isinstance(sample, str | Mapping | tuple):
        return None
    try:
        return sample.iloc[:ROWS] if hasattr(sample, "iloc") else sample[:ROWS]
    except (TypeError, KeyError, IndexError) as error:
        raise UsageError(f"The sample must be rows: an array, a DataFrame, a list; not a {type(sample).__name__} ({error}).") from error


def differs(here: Any, there: Any) -> str | None:
    """Where the first difference is, in words; None when there is none."""
    first, second = _plain(here), _plain(there)
    if isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
        return next((f"row {number}: {said}" for number, pair in enumerate(zip(first, second, strict=True)) if (said := differs(*pair))), None)
    return None if _same(first, second) else f"{first!r} here, {second!r} there"


def _as_json(rows: Any, columns: Any) -> Any:
    """Records where columns have names, else lists."""
    if hasattr(rows, "to_json") and hasattr(rows, "columns"):
        return json.loads(rows.to_json(orient="records"))
    listed = _plain(rows.toarray() if hasattr(rows, "toarray") else rows)
    if columns is not None and listed and isinstance(listed[0], list):
        return [dict(zip(map(str, columns), row, strict=False)) for row in listed]
    return listed


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value


def _same(first: Any, second: Any) -> bool:
    if isinstance(first, int | float) and isinstance(second, int | float):
        return math.isclose(first, second, rel_tol=TOLERANCE, abs_tol=TOLERANCE) or (math.isnan(first) and math.isnan(second))
    return bool(first == second)


def _is_only_called(model: Any) -> bool:
    """PyTorch and ONNX have no methods to choose from."""
    return any(each.__module__.startswith("torch.nn.") for each in type(model).__mro__) or saving.library_of(model) == "onnx"
