"""What a search for model versions asks for, as the client sends it and the server reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Search:
    """What versions are asked for. tags, properties: `key` or `key=value`, all of which must be there. name: a trailing `*` asks for all that begin so.

    archived: False leaves them out, True asks for them alone, None for both. where: such as `metrics.auc > 0.9 and tags.stage = 'prod'`.
    """

    name: str | None = None
    tags: Sequence[str] = ()
    properties: Sequence[str] = ()
    framework: str | None = None
    run_id: str | None = None
    dataset: str | None = None
    latest: bool = False
    archived: bool | None = False
    where: str | None = None
