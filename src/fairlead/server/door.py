"""What a request passes before anything of it is read: is there such a route, may the caller, is the body too large.

It stands before the framework, which would read and parse a body before it asks whose it is. What is refused here has entered no route.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fairlead.errors import FairleadError, Forbidden, NotFound, TooLarge, Unauthenticated, UsageError
from fairlead.server import problems
from fairlead.server.access import admit, need_of
from fairlead.server.context import Context

LOG = logging.getLogger("fairlead.server")


@dataclass(frozen=True)
class Found:
    route: APIRoute
    parameters: dict[str, Any]


class Door:
    """Refuses with a problem document; else notes the caller in the request's state, for `access.Requires`."""

    def __init__(self, app: ASGIApp, *, context: Context, routes: Sequence[APIRoute]) -> None:
        self._app = app
        self._context = context
        self._routes = tuple(routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        try:
            allowed = await self._enter(request, receive)
        except FairleadError as error:
            _log(request, error)
            await problems.problem(request, error)(scope, receive, send)
        except SQLAlchemyError as error:
            await problems.database(request, error)(scope, receive, send)
        else:
            await self._app(scope, allowed, send)

    async def _enter(self, request: Request, receive: Receive) -> Receive:
        """The receive to go on with."""
        if "\0" in request.scope["path"] or b"%00" in request.scope["query_string"]:
            raise UsageError("The address holds a NUL character, which nothing here is called; leave it out.")
        found = self._find(request.scope)
        if found is None:
            return receive  # the framework says 404 or 405
        request.state.route = found.route.path
        need = need_of(found.route)
        if need is not None:
            request.state.access = await run_in_threadpool(admit, self._context.database, request, need, found.parameters.get("workspace"))
        return receive if found.route.body_field is None else _limited(request, receive, self._context.settings.max_body)

    def _find(self, scope: Scope) -> Found | None:
        for route in self._routes:
            match, told = route.matches(scope)
            if match is Match.FULL:
                return Found(route, told["path_params"])
        return None


def _limited(request: Request, receive: Receive, most: int) -> Receive:
    """For routes that take a body whole; one that streams counts by itself. Raises TooLarge at once when the request says how long it is."""
    sentence = f"A request body may have {most} bytes here (setting max_body); send less, or upload it as a file."
    said = request.headers.get("content-length", "")
    if said.isdigit() and int(said) > most:
        raise TooLarge(sentence)
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > most:
            raise HTTPException(TooLarge.status, sentence)  # the one kind of error that the framework lets through while it reads
        return message

    return counted


def _log(request: Request, error: FairleadError) -> None:
    """Refusals are lines of the log, not of the audit, which says what was done: strangers must not be able to fill what is never deleted."""
    if isinstance(error, Unauthenticated | Forbidden | NotFound):
        told = {"status": error.status, "method": request.method, "path": request.url.path, "remote": request.client.host if request.client else None}
        LOG.warning("refused: %s", error, extra=told | {"request_id": request.state.request_id})
