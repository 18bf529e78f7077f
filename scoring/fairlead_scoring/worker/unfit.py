"""Values that are good JSON and still cannot become what a script annotated: where in the body, why, and what was there."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Tuple, Union

from fairlead_scoring.schema.check import shorten
from fairlead_scoring.worker.exchange import BadInput

Path = Tuple[Union[str, int], ...]
Convert = Callable[[Any], Any]
MOST = 10


class Unfit(Exception):
    """found: path inside the value, why it does not fit, what was there."""

    def __init__(self, found: List[Tuple[Path, str, Any]]) -> None:
        super().__init__(found)
        self.found = found[:MOST]


def attempt(convert: Convert, value: Any, *place: Union[str, int]) -> Any:
    """convert(value), which lies at `place`. Whatever a user's own class raises says that it does not want this value. Raises Unfit."""
    try:
        return convert(value)
    except Unfit as unfit:
        raise Unfit([((*place, *path), why, got) for path, why, got in unfit.found]) from unfit.__cause__
    except MemoryError:
        raise
    except Exception as error:
        raise Unfit([(place, str(error) or type(error).__name__, value)]) from error


def refusing(name: str, convert: Convert) -> Convert:
    """The same conversion for the input `name`; it raises BadInput."""

    def read(value: Any) -> Any:
        try:
            return attempt(convert, value)
        except Unfit as unfit:
            errors = [_error(name, *one) for one in unfit.found]
            raise BadInput(_sentence(errors[0]), detail={"errors": errors}) from unfit.__cause__

    return read


def _error(name: str, path: Path, why: str, got: Any) -> Dict[str, Any]:
    row = path[0] if path and isinstance(path[0], int) else None
    column = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in (path if row is None else path[1:]))
    return {"field": name, "row": row, "column": column.lstrip(".") or None, "expected": why, "got": _short(got)}


def _short(got: Any) -> str:
    try:
        return shorten(got)
    except (TypeError, ValueError):  # a default of Python's, or half converted
        return repr(got)[:80]


def _sentence(error: Dict[str, Any]) -> str:
    row = "" if error["row"] is None else f", row {error['row']}"
    column = "" if error["column"] is None else f", column '{error['column']}'"
    return f"{error['field']}{row}{column}: {error['expected'].rstrip('.')}, got {error['got']}."
