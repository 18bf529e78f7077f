"""What a script returned, as a table with one row per item: lists, arrays, frames of pandas and polars, Arrow, dicts of columns, JSON text."""

from __future__ import annotations

import json
import sys
from typing import Any, Callable, Dict, List, Sequence, Tuple

import pyarrow as pa

from fairlead_scoring.worker.encoding import to_json

PREDICTION = "prediction"
LINES = {b"fairlead.lines": b""}  # of a schema: the one column is lines of text
Columns = List[Tuple[str, Any]]


class BadAnswer(Exception):
    """The script's answer is none for its input; the sentence says why."""


def as_table(result: Any, *, is_json: bool = False) -> pa.Table:
    """is_json: text that run() returned is JSON, as scripts for requests answer. Raises BadAnswer."""
    if is_json and isinstance(result, (str, bytes, bytearray)):
        result = _parsed(result)
    columns = _columns(result)
    names = [name for name, _ in columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadAnswer(f"run() answered two columns called {twice[0]!r}; give each a name of its own.")
    arrays = [values if isinstance(values, (pa.Array, pa.ChunkedArray)) else _array(values) for _, values in columns]
    sizes = sorted({len(array) for array in arrays})
    if len(sizes) > 1:
        raise BadAnswer(f"run() answered columns of different lengths ({sizes[0]} and {sizes[-1]}); a column has one value per row.")
    return pa.table(dict(zip(names, arrays))) if columns else pa.table({})


def lines_of(results: Sequence[Any]) -> pa.Table:
    """Results as the lines of text that they are, for outputs of text."""
    return pa.table({PREDICTION: pa.array([str(each) for each in results], pa.string())}).replace_schema_metadata(LINES)


def are_lines(table: pa.Table) -> bool:
    return bool(table.schema.metadata) and LINES.keys() <= table.schema.metadata.keys()


def size_of(result: Any) -> int:
    """How many items are in a batch script's answer. Raises BadAnswer where it is no collection, or one without an order."""
    if isinstance(result, (set, frozenset)):
        raise BadAnswer("run() answered a set, which has no order to tell which result is of which item; answer a list.")
    if isinstance(result, (str, bytes, dict)) or not (hasattr(result, "__len__") or hasattr(result, "num_rows")):
        raise BadAnswer(f"run() answered {type(result).__name__}; a batch script answers a list, an array or a DataFrame, with one result per item.")
    return int(result.num_rows) if hasattr(result, "num_rows") else len(result)


def unwrapped(result: Any, method: str) -> Any:
    """Without the method's name around it, as no-code models answer: {"predict": [...]} is [...]."""
    if isinstance(result, dict) and len(result) == 1 and (method in result or "predict" in result):
        return next(iter(result.values()))
    return result


def _parsed(said: Any) -> Any:
    try:
        return json.loads(said)
    except ValueError:
        raise BadAnswer("run() answered text that is not JSON; answer a list with one item per row.") from None


def _columns(result: Any) -> Columns:
    if isinstance(result, (pa.Table, pa.RecordBatch)):
        return list(zip(result.schema.names, result.columns))
    if isinstance(result, (pa.Array, pa.ChunkedArray)):
        return [(PREDICTION, result)]
    if isinstance(result, dict):
        return _of_dict(result)
    if isinstance(result, (list, tuple)):
        return _of_list(result)
    kind = (type(result).__module__.split(".")[0], type(result).__name__)
    return _OF_FRAMES[kind](result) if kind in _OF_FRAMES else _of_array(PREDICTION, _as_numpy(result))


_OF_FRAMES: Dict[Tuple[str, str], Callable[[Any], Columns]] = {
    ("pandas", "DataFrame"): lambda frame: [(str(name), frame.iloc[:, place]) for place, name in enumerate(frame.columns)],
    ("pandas", "Series"): lambda series: [(PREDICTION if series.name is None else str(series.name), series)],
    ("polars", "DataFrame"): lambda frame: _columns(frame.to_arrow()),
    ("polars", "Series"): lambda series: [(series.name or PREDICTION, series.to_arrow())],
}


def _of_dict(result: Dict[Any, Any]) -> Columns:
    """Of columns; or one list under some name, as many scripts wrap their answer: {"result": [...]}."""
    if len(result) == 1:
        only = next(iter(result.values()))
        if not isinstance(only, (str, bytes)) and hasattr(only, "__len__"):
            found = _columns(only)
            return [(str(next(iter(result))), values) for _, values in found] if [name for name, _ in found] == [PREDICTION] else found
    columns: Columns = []
    for name, values in result.items():
        if isinstance(values, (str, bytes)) or not hasattr(values, "__len__"):
            raise BadAnswer(f"run() answered {type(values).__name__} under {str(name)!r}; a dict is read as columns, each with one value per row.")
        found = _columns(values)
        columns += [(str(name), found[0][1])] if len(found) == 1 else [(f"{name}_{place}", column) for place, (_, column) in enumerate(found)]
    return columns


def _of_list(rows: Sequence[Any]) -> Columns:
    if rows and all(isinstance(row, dict) for row in rows):
        names = list(dict.fromkeys(str(name) for row in rows for name in row))
        return [(name, [row.get(name) for row in rows]) for name in names]
    widths = {len(row) if isinstance(row, (list, tuple)) else _width(row) for row in rows}
    if len(widths) == 1 and min(widths) >= 0:
        numpy = sys.modules.get("numpy")
        if numpy is not None and all(isinstance(row, numpy.ndarray) for row in rows):
            return _of_array(PREDICTION, numpy.stack(rows))
        return [(f"{PREDICTION}_{place}", [row[place] for row in rows]) for place in range(min(widths))]
    return [(PREDICTION, list(rows))]


def _width(row: Any) -> int:
    return int(row.shape[0]) if getattr(row, "ndim", 0) == 1 else -1


def _as_numpy(result: Any) -> Any:
    """Of torch, tensorflow, scipy and whatever numpy understands."""
    import numpy as np

    if hasattr(result, "toarray"):
        return result.toarray()
    if hasattr(result, "detach"):
        return result.detach().cpu().numpy()
    if isinstance(result, (str, bytes)) or not hasattr(result, "__len__"):
        raise BadAnswer(f"run() answered {type(result).__name__}; answer a list, an array or a DataFrame, with one result per item.")
    return np.asarray(result)


def _of_array(name: str, array: Any) -> Columns:
    if array.ndim == 2 and array.shape[1] != 1:
        return [(f"{name}_{place}", array[:, place]) for place in range(array.shape[1])]
    if array.ndim == 2:
        return [(name, array[:, 0])]
    return [(name, array if array.ndim == 1 else array.tolist())]


def _array(values: Any) -> Any:
    """Values of several kinds in one column become text: a file of a table has one type per column."""
    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        return pa.array([one if isinstance(one, str) or one is None else _text(one) for one in values], pa.string())


def _text(value: Any) -> str:
    try:
        return to_json(value).decode("ascii")
    except Exception:  # noqa: BLE001  (a class of the user's is shown as it shows itself)
        return str(value)
