"""Times and durations as people type them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from fairlead.errors import UsageError

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_LONGEST = 10 * 366 * 86_400


def parse_duration(text: str) -> int:
    """Seconds. Raises UsageError."""
    found = re.fullmatch(r"([0-9]{1,9})([smhdw])", text.strip())
    seconds = int(found[1]) * _SECONDS[found[2]] if found else 0
    if not 0 < seconds <= _LONGEST:
        raise UsageError(f"{text!r} is no duration; write such as 30m, 12h, 90d or 2w, ten years at most.")
    return seconds


def parse_moment(text: str) -> datetime:
    """A moment, or how long ago it was. Local time unless it names a zone. Raises UsageError."""
    if re.fullmatch(r"[0-9]+[smhdw]", text.strip()):
        return datetime.now(UTC) - timedelta(seconds=parse_duration(text))
    try:
        return datetime.fromisoformat(text.strip()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(f"{text!r} is no time; write such as 2026-07-01, 2026-07-01T12:30 or 2h (ago).") from None
