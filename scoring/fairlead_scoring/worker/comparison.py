"""The sample's answer beside the one that was recorded: the first difference, in words (DECISIONS 21)."""

from __future__ import annotations

import json
import math
from typing import Any, Dict, List, Optional, Tuple

LONGEST = 80  # characters of a value that is shown

Place = Tuple[Any, ...]


class Differs(Exception):
    """Where, and what is there."""

    def __init__(self, place: Place, said: str) -> None:
        super().__init__(said)
        self.place, self.said = place, said


def difference(recorded: Any, now: Any, tolerance: float) -> Optional[str]:
    """None when they are the same: numbers within the tolerance, absolute or relative; everything else exactly, NaN included."""
    try:
        _compare(*_opened(recorded, now), tolerance, ())
    except Differs as found:
        return f"{_named(found.place)} {found.said} (tolerance {tolerance:g})"
    return None


def _opened(recorded: Any, now: Any) -> Tuple[Any, Any]:
    """A script that returns json.dumps(...) answers with a text; where both texts are documents, the documents are compared."""
    if not (isinstance(recorded, str) and isinstance(now, str)):
        return recorded, now
    try:
        return json.loads(recorded), json.loads(now)
    except ValueError:
        return recorded, now


def _compare(recorded: Any, now: Any, tolerance: float, place: Place) -> None:
    if isinstance(recorded, dict) and isinstance(now, dict):
        _compare_objects(recorded, now, tolerance, place)
    elif isinstance(recorded, list) and isinstance(now, list):
        _compare_lists(recorded, now, tolerance, place)
    elif _is_number(recorded) and _is_number(now):
        if not _is_close(recorded, now, tolerance):
            raise Differs(place, f"is {_shown(now)}, recorded {_shown(recorded)}")
    elif type(recorded) is not type(now) or recorded != now:
        raise Differs(place, f"is {_shown(now)}, recorded {_shown(recorded)}")


def _compare_objects(recorded: Dict[str, Any], now: Dict[str, Any], tolerance: float, place: Place) -> None:
    for name, value in recorded.items():
        if name not in now:
            raise Differs((*place, name), f"is missing, recorded {_shown(value)}")
        _compare(value, now[name], tolerance, (*place, name))
    for name, value in now.items():
        if name not in recorded:
            raise Differs((*place, name), f"is {_shown(value)}, and was not there when the answer was recorded")


def _compare_lists(recorded: List[Any], now: List[Any], tolerance: float, place: Place) -> None:
    for number, (value, other) in enumerate(zip(recorded, now)):
        _compare(value, other, tolerance, (*place, number))
    if len(recorded) != len(now):
        raise Differs(place, f"has {len(now)} items, recorded {len(recorded)}")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_close(recorded: Any, now: Any, tolerance: float) -> bool:
    if recorded == now:  # whole numbers of any size, and infinities
        return True
    try:
        if math.isnan(recorded) or math.isnan(now):
            return math.isnan(recorded) and math.isnan(now)
        return abs(recorded - now) <= tolerance * max(1.0, abs(recorded), abs(now)) and math.isfinite(recorded) and math.isfinite(now)
    except OverflowError:  # a whole number that no float can hold
        return False


def _named(place: Place) -> str:
    """('predictions', 3, 'score') is `row 3 of predictions, field score`; the first number is what people count rows by."""
    rows = [position for position, part in enumerate(place) if isinstance(part, int)]
    if not place:
        return "the whole answer"
    if not rows:
        return "field " + ".".join(map(str, place))
    first = rows[0]
    within = " of " + ".".join(place[:first]) if first else ""
    rest = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place[first + 1 :])
    return f"row {place[first]}{within}" + (f", field {rest.lstrip('.')}" if rest else "")


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= LONGEST else text[:LONGEST] + " …"
