"""Log lines of a service as a person reads them on a terminal; they come as JSON, which is what anything else is given."""

from __future__ import annotations

import json
from typing import Any

from fairlead.sdk.webservice import START_UP

_MARKS = {"info": "", "warning": "WARN ", "error": "ERROR ", "critical": "FATAL ", "debug": "DEBUG "}
_SAID = {"time", "level", "source", "message", "request_id"}
_OF_NO_USE = {"revision", "worker", "generation", "pid", "bytes", "rows", "queue_ms", "run_ms"}


def as_text(line: str) -> str:
    """Time, level, source, what was said, and the first letters of the request's id; a line in another form as it is."""
    try:
        said = json.loads(line)
    except ValueError:
        return line
    if not isinstance(said, dict) or not isinstance(said.get("time"), str):
        return line
    first, more, rest = _message(said).partition("\n")
    request = str(said.get("request_id") or "")[:8]
    mark = f"  [{request}]" if request and request != START_UP[:8] else ""
    return f"{said['time'][11:19]}  {_MARKS.get(str(said.get('level')), '')}{said.get('source', '')}: {first}{mark}{more}{rest}"


def _message(said: dict[str, Any]) -> str:
    if said.get("source") == "request":
        told = [f"{said.get('method')} {said.get('path')} {said.get('status')} {said.get('ms')} ms"]
        left = {"method", "path", "status", "ms"}
    else:
        told, left = [str(said.get("message", ""))], set()
    facts = [f"{name}={value}" for name, value in said.items() if name not in _SAID | _OF_NO_USE | left]
    return "  ".join([*told, *facts]) if "\n" not in told[0] else told[0]
