"""Whether a model runs code when it is loaded, and the sentence that says so. The scan itself is the runtime's own (`formats`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fairlead_scoring.formats import unsafe_files


def scan(path: Path) -> tuple[tuple[str, str], ...]:
    """(path, reason) of every file that runs code of its author's choosing when loaded."""
    return tuple(unsafe_files(path))


def notice(found: Sequence[tuple[str, str]]) -> str | None:
    """For one's own local file; a server that denies such formats refuses with `refusal`."""
    if not found:
        return None
    return f"{_shown(found)}. Loading it runs whatever code it holds: serve it only if you trust who made it. ONNX and skops files run none."


def refusal(found: Sequence[tuple[str, str]]) -> str:
    """What a server says that does not allow such formats."""
    return f"{_shown(found)}, and this server's configuration denies such formats. Export the model to ONNX or skops, or ask for unsafe_formats: allow."


def _shown(found: Sequence[tuple[str, str]]) -> str:
    path, reason = found[0]
    more = f" (and {len(found) - 1} more files)" if len(found) > 1 else ""
    return f"{path}: {reason}{more}"
