"""What `run()` returned, as rows: for the dialects that answer a list with one item per row."""

from __future__ import annotations

from typing import Any, Dict, List

from fairlead_scoring.worker.arguments import plain_list
from fairlead_scoring.worker.exchange import EncodeFault


def unwrapped(result: Any, method: Any = None) -> Any:
    """Without the method's name around it: {"predict": [...]} is [...]."""
    if hasattr(result, "__next__") or hasattr(result, "__anext__"):
        raise EncodeFault("run() streams its answer, which only /score can pass on.")
    if isinstance(result, dict) and len(result) == 1 and ("predict" in result or (isinstance(method, str) and method in result)):
        return next(iter(result.values()))
    return result


def records(result: Any) -> List[Any]:
    """One item per row: a DataFrame's rows as dicts, columns of equal length side by side, an array's rows."""
    if type(result).__name__ == "DataFrame":
        frame: List[Any] = result.to_dict(orient="records")
        return frame
    if isinstance(result, dict):
        columns = [plain_list(values) for values in result.values()]
        sizes = {len(column) if isinstance(column, (list, tuple)) else -1 for column in columns}
        return [result] if -1 in sizes or len(sizes) != 1 else [dict(zip(map(str, result), row)) for row in zip(*columns)]
    rows = plain_list(result)
    return list(rows) if isinstance(rows, (list, tuple)) else [rows]


def named_records(result: Any, name: str) -> List[Dict[str, Any]]:
    """The same, each row as an object; what has no name gets this one."""
    return [row if isinstance(row, dict) else {name: row} for row in records(result)]
