"""The table of routes as tests read it, and every kind of caller that there is."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fastapi.routing import APIRoute

from fairlead.server import app
from fairlead.server.access import Need, need_of

OPEN = {("GET", "/v1/server"), ("GET", "/v1/livez"), ("GET", "/v1/readyz")}
"""Routes that answer anybody; /v1/openapi.json is the framework's own. A route that is not named here asks for a token."""

STRANGERS = ("no token", "no bearer", "malformed", "unknown", "expired", "revoked")
ROLES = ("reader", "contributor", "owner")
MIGHT = ("outsider", *ROLES, "admin")  # of this workspace, weakest first
OUTSIDERS = tuple(f"{role} of another workspace" for role in ROLES)
DISGUISED = "admin, with a token for another workspace"
REMOVED = "removed member"
CALLERS = (*STRANGERS, *OUTSIDERS, DISGUISED, REMOVED, *ROLES, "admin")
WEAKEST: dict[Need, str] = {"anyone": "outsider", "reader": "reader", "contributor": "contributor", "owner": "owner", "admin": "admin"}


@dataclass(frozen=True)
class Operation:
    method: str
    path: str
    need: Need | None
    route: APIRoute

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def documented(self) -> str:
        """Its path as the OpenAPI document has it."""
        return self.route.path_format

    @property
    def parameters(self) -> list[str]:
        return re.findall(r"{(\w+)(?::\w+)?}", self.path)

    def address(self, **values: str) -> str:
        """`values` for the parameters; the rest are names of nothing."""
        return re.sub(r"{(\w+)(?::\w+)?}", lambda found: values.get(found[1], "nothing"), self.path)


def operations() -> list[Operation]:
    return [Operation(method, route.path, need_of(route), route) for route in app.routes() for method in sorted(route.methods or ())]


def expected(need: Need | None, caller: str) -> int | None:
    """The status that a refused caller gets; None for one who may. Nothing but the declared need is looked at."""
    if need is None:
        return None
    if caller in STRANGERS:
        return 401
    might = caller if caller in MIGHT else "outsider"
    if MIGHT.index(might) >= MIGHT.index(WEAKEST[need]):
        return None
    if need == "admin":
        return 403
    return 404 if might == "outsider" else 403
