"""What the loop's acts need of a server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fairlead.server.db import Database
from fairlead.server.making.caches import Caches
from fairlead.server.news import News
from fairlead.server.sealing import Seal
from fairlead.targets.types import Target


@dataclass(frozen=True, kw_only=True)
class Means:
    """`node`: of `server/node.py`."""

    database: Database
    seal: Seal
    caches: Caches
    targets: Mapping[str, Target]
    node: str
    news: News
    unsafe_formats: str
