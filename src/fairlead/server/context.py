"""What every route can ask for: the parts of this server, put together once in `app.create`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, cast

from fastapi import Depends, Request

from fairlead.server.builds import Builds
from fairlead.server.db import Database
from fairlead.server.news import News
from fairlead.server.node import Node
from fairlead.server.sealing import Seal
from fairlead.server.settings import Settings
from fairlead.stores import Store
from fairlead.targets.types import Target


@dataclass(frozen=True, kw_only=True)
class Context:
    settings: Settings
    database: Database
    seal: Seal
    store: Store
    node: Node
    news: News
    targets: Mapping[str, Target]
    builds: Builds = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "builds", Builds(self.settings.cache_dir / "environments"))


def _context(request: Request) -> Context:
    return cast(Context, request.app.state.context)


Parts = Annotated[Context, Depends(_context)]
