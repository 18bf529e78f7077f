"""Routes that commit in the thread that wrote.

FastAPI validates the answer of a plain function in a thread of its pool, and only then ends the function's dependencies. A transaction that stayed
open so long would hold its locks while it waits for a thread; with forty requests waiting for those locks, no thread is left, and all wait for
ever. So the transaction of a `Writing` session ends before the function's thread is given back.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from enum import Enum
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute
from sqlalchemy.orm import Session

from fairlead.server.db import finish
from fairlead.server.problems import DOCUMENTED


class CommittingRoute(APIRoute):
    def __init__(self, path: str, endpoint: Callable[..., Any], **said: Any) -> None:
        super().__init__(path, _committing(endpoint), **said)


class Router(APIRouter):
    """What every domain's `routes.py` begins with."""

    def __init__(self, *, prefix: str, tags: list[str | Enum], responses: dict[int | str, dict[str, Any]] | None = None) -> None:
        super().__init__(prefix=prefix, tags=tags, route_class=CommittingRoute, responses=DOCUMENTED | (responses or {}))


def _committing(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(endpoint):
        return endpoint

    @functools.wraps(endpoint)
    def run(**values: Any) -> Any:
        answer = endpoint(**values)
        for each in values.values():
            if isinstance(each, Session):
                finish(each)
        return answer

    return run
