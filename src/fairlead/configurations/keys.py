"""Reading configuration files: any spelling of a key, bare keys as not set, unknown ones told with the nearest that exists."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from fairlead.errors import UsageError

LARGEST = 1 << 20


def load(path: Path) -> dict[str, Any]:
    """The file's keys; `.json` is read as JSON, all else as YAML. Raises UsageError."""
    try:
        if path.stat().st_size > LARGEST:
            raise UsageError(f"{path} has more than {LARGEST} bytes; that is no configuration file. Name another.")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as fault:
        raise UsageError(f"{path} cannot be read: {fault.strerror}.") from None
    except UnicodeDecodeError as fault:
        raise UsageError(f"{path} is not UTF-8 text (byte {fault.start}). Save it as UTF-8.") from None
    content = _parsed(text, path)
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise UsageError(f"{path} must hold keys with values at the top, such as {{computeType: local}}.")
    return content


def plain(key: str) -> str:
    """`entry_script`, `entryScript` and `EntryScript` are one key."""
    return key.replace("_", "").replace("-", "").lower()


def recognised(content: Mapping[str, Any], known: Mapping[str, str], where: str, notices: list[str]) -> dict[str, Any]:
    """Values under the names that `known` gives to plain keys; what is null is not set. Unknown keys become notices. Raises UsageError for a key said twice."""
    found: dict[str, Any] = {}
    for key, value in content.items():
        name = known.get(plain(str(key)))
        if name is None:
            notices.append(f"{where}: key {key!r} is not known and changes nothing{nearest(str(key), known.values())}.")
        elif value is not None and found.setdefault(name, value) != value:
            raise UsageError(f"{where}: {key!r} is said twice, in two spellings and with different values. Delete one.")
    return found


def nearest(key: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` or nothing."""
    names = {plain(each): each for each in known}
    close = difflib.get_close_matches(plain(key), names, n=1, cutoff=0.6)
    return f"; did you mean {names[close[0]]!r}?" if close else ""


def text(value: object, key: str, where: str) -> str:
    """Raises UsageError for anything but text that says something."""
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"{where}: {key} is {value!r}; it must be text. Quote it, or leave it empty.")
    return value


def boolean(value: object, key: str, where: str) -> bool:
    """true and false; text that says so too, as templates in pipelines leave it."""
    if isinstance(value, str) and value.strip().lower() in {"true", "false"}:
        return value.strip().lower() == "true"
    if not isinstance(value, bool):
        raise UsageError(f"{where}: {key} is {value!r}; it must be true or false.")
    return value


def mapping(value: object, key: str, where: str) -> dict[str, Any]:
    """Raises UsageError for anything but keys with values."""
    if not isinstance(value, Mapping):
        raise UsageError(f"{where}: {key} is {value!r}; it must hold keys with values.")
    return {str(name): each for name, each in value.items()}


def _parsed(said: str, path: Path) -> Any:
    try:
        return json.loads(said) if path.suffix.lower() == ".json" and said.strip() else yaml.safe_load(said)
    except json.JSONDecodeError as fault:
        raise UsageError(f"{path}, line {fault.lineno}: this is no JSON ({fault.msg}). Correct it.") from None
    except yaml.YAMLError as fault:
        mark = getattr(fault, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise UsageError(f"{path}{line}: this is no YAML ({getattr(fault, 'problem', None) or 'it cannot be read'}). Correct it.") from None
    except RecursionError:
        raise UsageError(f"{path} is nested too deeply for a configuration file.") from None
