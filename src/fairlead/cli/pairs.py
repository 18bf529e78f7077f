"""`KEY=VALUE` and the like, as people write them behind an option that may be repeated."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fairlead.errors import UsageError
from fairlead.schemas.models import DatasetReference


def labels(said: Sequence[str] | None, option: str) -> dict[str, str]:
    """`stage=prod`; the value may hold further `=`, and be empty. Raises UsageError."""
    found: dict[str, str] = {}
    for each in said or ():
        key, equals, value = each.partition("=")
        if not key or not equals:
            raise UsageError(f"{option} {each!r}: write KEY=VALUE, such as {option} stage=prod.")
        if found.get(key, value) != value:
            raise UsageError(f"{option} {key!r} is given twice, as {found[key]!r} and as {value!r}; give it once.")
        found[key] = value
    return found


def numbers(said: Sequence[str] | None, option: str) -> dict[str, float]:
    """`auc=0.91`. Raises UsageError."""
    return {name: _number(text, f"{option} {name}={text}") for name, text in labels(said, option).items()}


def datasets(said: Sequence[str] | None, option: str) -> list[DatasetReference]:
    """`training=customers-2024`, or with the digest of its content `training=customers-2024@sha256:…`. Raises UsageError."""
    found = []
    for each in said or ():
        purpose, _, rest = each.partition("=")
        name, at, digest = rest.partition("@")
        if not purpose or not name:
            raise UsageError(f"{option} {each!r}: write PURPOSE=NAME or PURPOSE=NAME@DIGEST, such as {option} training=customers-2024.")
        found.append(DatasetReference(purpose=purpose, name=name, digest=digest if at else None))
    return found


def _number(text: str, where: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UsageError(f"{where}: {text!r} is no number; write one such as 0.91.")
    return number
