"""What a body, a query or an option got wrong, in words: what must be there, never what was sent, which may be a secret."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

WORDS: Mapping[str, str] = {
    "missing": "is missing",
    "extra_forbidden": "is not known here; check its spelling, or leave it out",
    "none_required": "must be null",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be {ge} or more",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be {le} or less",
    "multiple_of": "must be a multiple of {multiple_of}",
    "finite_number": "must be a finite number",
    "string_too_short": "must have {min_length} characters or more",
    "string_too_long": "must have {max_length} characters or fewer",
    "string_pattern_mismatch": "must look like {pattern}",
    "too_short": "must have {min_length} entries or more",
    "too_long": "must have {max_length} entries or fewer",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "bool_parsing": "must be true or false",
    "int_parsing_size": "is a larger number than can be kept",
    "int_from_float": "must be a whole number",
    "datetime_from_date_parsing": "must be a time such as 2026-03-03T12:00:00Z",
    "timezone_aware": "must say its time zone, as 2026-03-03T12:00:00Z does",
}
KINDS: Mapping[str, str] = {
    "string": "a text",
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "list": "a list",
    "tuple": "a list",
    "dict": "an object",
    "mapping": "an object",
    "model": "an object",
    "model_attributes": "an object",
    "datetime": "a time such as 2026-03-03T12:00:00Z",
    "date": "a date such as 2026-03-03",
}


class Mistake(NamedTuple):
    """`where`: a path such as `body.settings.cpu`. `what`: goes on from it. `sentence`: both, to its full stop."""

    where: str
    what: str
    sentence: str


def mistakes(errors: Sequence[Any], whole: str = "") -> list[Mistake]:
    """Of a ValidationError's `errors()`, in their order. `whole`: the name of what they are in, for a mistake that is in no one place."""
    return [_mistake(each, ".".join(str(part) for part in each["loc"]) or whole) for each in errors]


def first_mistake(error: ValidationError, whole: str = "") -> str:
    """As a sentence; `whole` as in `mistakes`."""
    return mistakes(error.errors(include_input=False, include_url=False), whole)[0].sentence


def _mistake(error: Mapping[str, Any], where: str) -> Mistake:
    kind = error["type"]
    if kind == "value_error":  # a validator of ours, in a sentence of its own
        what = error["msg"].removeprefix("Value error, ")
        return Mistake(where, what, f"{where}: {what}." if where else f"{what}.")
    what = _in_words(kind, error)
    return Mistake(where, what, f"{where} {what}.".lstrip())


def _in_words(kind: str, error: Mapping[str, Any]) -> str:
    if error.get("ctx", {}).get("min_length") == 1:
        return "must not be empty"
    if words := WORDS.get(kind):
        return words.format_map({name: f"{value:g}" if isinstance(value, float) else value for name, value in error.get("ctx", {}).items()})
    stem, _, ending = kind.rpartition("_")
    if ending in ("type", "parsing") and stem in KINDS:
        return f"must be {KINDS[stem]}"
    said = str(error["msg"])
    return f"does not fit: {said[:1].lower()}{said[1:]}"
