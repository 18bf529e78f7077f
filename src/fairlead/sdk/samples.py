"""Sample requests and answers, as text that goes over the wire."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from fairlead.errors import UsageError


def sample_text(said: object) -> str | None:
    """A sample as it goes over the wire: text as it is, a path's content, anything else as JSON. Raises UsageError."""
    if said is None or isinstance(said, str):
        return said
    if isinstance(said, os.PathLike):
        path = Path(said)
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"The sample {path} cannot be read ({error}).") from error
    try:
        return json.dumps(said, default=lambda value: value.tolist())
    except (TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"The sample cannot be written as JSON ({error}); give text, a path, or plain values.") from error


def bodies(said: object) -> list[bytes]:
    """Request bodies from a list of them, or from a path with one per line. Raises UsageError."""
    if said is None:
        return []
    if isinstance(said, str | os.PathLike):
        text = sample_text(Path(said)) or ""
        return [line.encode() for line in text.splitlines() if line.strip()]
    if not isinstance(said, Iterable):
        raise UsageError(f"Requests are a list of bodies, or a path with one per line; not a {type(said).__name__}.")
    return [(sample_text(each) or "").encode() for each in said]
