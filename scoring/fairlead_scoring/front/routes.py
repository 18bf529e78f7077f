"""Which path is which. One prefix, plus `/api/v1/service/NAME` when the service has a name, moves every route (DECISIONS 10)."""

from __future__ import annotations

import re
from dataclasses import dataclass

GET = frozenset((b"GET", b"HEAD"))
POST = frozenset((b"POST",))
SCORE, V2, INVOCATIONS = range(3)


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """`dialect`: the body's dialect when a worker answers, None for a page. `is_open`: needs no key."""

    name: str
    methods: frozenset[bytes] = GET
    dialect: int | None = None
    is_open: bool = False
    model: str = ""
    version: str = ""


HEALTH = Route(name="health", methods=GET | {b"OPTIONS"}, is_open=True)
PLAIN = {
    b"/": HEALTH,
    b"/livez": Route(name="livez", is_open=True),
    b"/readyz": Route(name="readyz", is_open=True),
    b"/ping": Route(name="ping", is_open=True),
    b"/score": Route(name="score", methods=frozenset((b"GET", b"POST", b"OPTIONS")), dialect=SCORE),
    b"/invocations": Route(name="invocations", methods=POST, dialect=INVOCATIONS),
    b"/swagger.json": Route(name="swagger"),
    b"/openapi.json": Route(name="openapi"),
    b"/docs": Route(name="docs"),
    b"/sample": Route(name="sample"),
    b"/metrics": Route(name="metrics"),
    b"/status": Route(name="status"),
    b"/version": Route(name="version"),
    b"*": Route(name="server", methods=frozenset((b"OPTIONS",)), is_open=True),  # OPTIONS * asks about the server
    b"/v2": Route(name="v2_server"),
    b"/v2/health/live": Route(name="livez", is_open=True),
    b"/v2/health/ready": Route(name="readyz", is_open=True),
}
V2_MODEL = re.compile(rb"/v2/models/([^/]+)(?:/versions/([^/]+))?(/infer|/ready|)")


class Routes:
    def __init__(self, prefix: str, name: str) -> None:
        self._prefixes = [part.rstrip("/").encode() for part in (prefix, f"/api/v1/service/{name}" if name else "") if part.strip("/")]
        self._table = dict(PLAIN)
        for before in self._prefixes:
            self._table.update({before + path: route for path, route in PLAIN.items()})
            self._table[before] = HEALTH

    def find(self, path: bytes) -> Route | None:
        return self._table.get(path) or self._find_model(path)

    def not_found(self, path: bytes) -> str:
        if path.endswith(b"/score/"):
            return "There is nothing at this URL. Scoring is at /score, without a slash at the end."
        return "The requested URL was not found on the server. If you entered the URL manually please check your spelling and try again."

    def _find_model(self, path: bytes) -> Route | None:
        for before in self._prefixes:
            if path.startswith(before + b"/v2/"):
                path = path[len(before) :]
        match = V2_MODEL.fullmatch(path)
        if match is None:
            return None
        model, version = match[1].decode("utf-8", "replace"), (match[2] or b"").decode("utf-8", "replace")
        if match[3] == b"/infer":
            return Route(name="infer", methods=POST, dialect=V2, model=model, version=version)
        return Route(name="v2_ready" if match[3] else "v2_model", model=model, version=version)
