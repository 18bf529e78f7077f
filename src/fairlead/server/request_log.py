"""One line in the log for every request: what was asked, how it ended, how long it took, who asked. No query and no body: they may hold secrets."""

from __future__ import annotations

import logging
import time
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOG = logging.getLogger("fairlead.server.requests")


class RequestLog:
    """Stands inside of what gives a request its id."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, answer)
        finally:
            _note(scope, status or 500, (time.perf_counter() - began) * 1000)


def _note(scope: Scope, status: int, milliseconds: float) -> None:
    state: dict[str, Any] = scope.get("state", {})
    access = state.get("access")
    facts = {
        "method": scope["method"],
        "route": state.get("route"),
        "status": status,
        "ms": round(milliseconds, 1),
        "principal": access.principal if access is not None else None,
        "workspace": (access.workspace or None) if access is not None else None,
        "remote": scope["client"][0] if scope.get("client") else None,
        "request_id": state.get("request_id"),
    }
    LOG.info("%s %s %d", scope["method"], facts["route"] or "(no route)", status, extra=facts)
