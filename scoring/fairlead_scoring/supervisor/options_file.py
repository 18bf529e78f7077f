"""`serve --options FILE`: the options as a JSON object. It is read again at each reload, so that everything in it changes together."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fairlead_scoring.errors import UsageFault
from fairlead_scoring.lines import LEVELS

PATHS = (
    "app_root", "bundle", "control", "entry_script", "expected", "keys", "log_file", "model_dir", "report", "sample", "secrets", "source_dir",
    "tls_cert", "tls_key", "work",
)  # fmt: skip
WORDS: dict[str, tuple[str, ...]] = {"log_level": tuple(LEVELS), "log_form": ("auto", "json", "text"), "unsafe_formats": ("allow", "deny")}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _all(kind: Callable[[Any], bool], values: Any) -> bool:
    return all(kind(value) for value in values)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


# The annotation of a field of ServeOptions → what JSON may say, and how to call it.
KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "str": (_is_text, "a text"),
    "int": (_is_whole, "a whole number"),
    "float": (_is_number, "a number"),
    "bool": (lambda value: isinstance(value, bool), "true or false"),
    "tuple[str, ...]": (lambda value: isinstance(value, list) and _all(_is_text, value), "a list of texts"),
    "dict[str, float]": (lambda value: isinstance(value, dict) and _all(_is_number, value.values()), "an object of numbers"),
    "dict[str, str]": (lambda value: isinstance(value, dict) and _all(_is_text, value.values()), "an object of texts"),
}


def read_file(path: str, kinds: Mapping[str, str]) -> dict[str, Any]:
    """`kinds`: annotation of each option that a file may give. Paths in it are relative to its folder. Raises UsageFault."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageFault(f"The options file {path} cannot be read ({error.strerror}).") from error
    except ValueError as error:
        raise UsageFault(f"The options file {path} is not JSON ({error}).") from error
    if not isinstance(content, dict):
        raise UsageFault(f"The options file {path} must hold one JSON object.")
    for name, value in content.items():
        _check(path, name, value, kinds)
    folder = os.path.dirname(path)
    return {name: os.path.join(folder, value) if name in PATHS and value else _frozen(value) for name, value in content.items()}


def _check(path: str, name: str, value: Any, kinds: Mapping[str, str]) -> None:
    if name not in kinds:
        near = difflib.get_close_matches(name, kinds, n=1)
        raise UsageFault(f"The options file {path} has an unknown option {name}{f'; did you mean {near[0]}?' if near else '.'}")
    kind, _, null = kinds[name].partition(" | ")
    is_right, words = KINDS[kind]
    if not (is_right(value) or (null and value is None)):
        raise UsageFault(f"{name} in the options file {path} is {json.dumps(value)[:80]}; it must be {words}.")
    if name in WORDS and value not in WORDS[name]:
        raise UsageFault(f"{name} in the options file {path} is {json.dumps(value)}; use one of {', '.join(WORDS[name])}.")


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
