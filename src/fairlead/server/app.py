"""The composition root: every route of the control plane, and what stands around all of them."""

from __future__ import annotations

import re
import uuid
from typing import cast

from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fairlead import __version__
from fairlead.schemas.access import Health, ServerFacts
from fairlead.schemas.services import Targets
from fairlead.server import problems
from fairlead.server.access import Anyone
from fairlead.server.accounts import routes as accounts
from fairlead.server.batch_services import dialect_routes as batch_dialect
from fairlead.server.batch_services import routes as batch_services
from fairlead.server.blobs import routes as blobs
from fairlead.server.compute import routes as compute
from fairlead.server.context import Context, Parts
from fairlead.server.data import dataset_routes
from fairlead.server.data import routes as data
from fairlead.server.door import Door
from fairlead.server.environments import routes as environments
from fairlead.server.images import routes as images
from fairlead.server.jobs import history_routes as job_history
from fairlead.server.jobs import routes as jobs
from fairlead.server.registry import routes as registry
from fairlead.server.request_log import RequestLog
from fairlead.server.routing import Router
from fairlead.server.services import access_routes as service_access
from fairlead.server.services import history_routes as service_history
from fairlead.server.services import routes as services
from fairlead.server.targets import lacking

_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,100}")
ROUTERS: tuple[APIRouter, ...] = (
    accounts.router,
    blobs.router,
    registry.router,
    services.router,
    service_access.router,
    service_history.router,
    environments.router,
    images.router,
    data.router,
    dataset_routes.router,
    compute.router,
    jobs.router,
    job_history.router,
    batch_services.router,
    batch_dialect.router,
)
meta = Router(prefix="/v1", tags=["server"])


def create(context: Context) -> FastAPI:
    app = FastAPI(
        title="Fairlead",
        version=__version__,
        openapi_url="/v1/openapi.json",
        docs_url=None,  # the page would load its scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.context = context
    problems.install(app)
    every = routes()
    app.router.routes += every  # as they are: `include_router` would analyse each again, at the first request of each server
    app.add_middleware(Door, context=context, routes=every)
    app.add_middleware(RequestLog)
    app.add_middleware(Surroundings)  # the last that is added is the first that a request meets
    return app


def routes() -> list[APIRoute]:
    """Every route, in the order in which they are tried. Routers are not nested: one level of prefixes can be read."""
    found = [route for router in (meta, *ROUTERS) for route in router.routes]
    return [cast(APIRoute, route) for route in found]


@meta.get("/server")
def show_server() -> ServerFacts:
    """Which program and version answers here."""
    return ServerFacts(version=__version__)


@meta.get("/targets")
def list_targets(access: Anyone, parts: Parts) -> Targets:  # noqa: ARG001 - to be somebody is enough
    """Where this server can run services; engines are asked whether they answer."""
    found = lacking(parts.settings, parts.store, parts.targets)
    return Targets.model_validate({"targets": [{"name": name, "lacks": why} for name, why in found.items()]})


@meta.get("/livez")
def show_liveness() -> Health:
    """200 while the process can answer at all."""
    return Health(status="ok")


@meta.get("/readyz", responses={503: {"model": Health, "description": "Something it needs is missing."}})
def show_readiness(parts: Parts) -> JSONResponse:
    """200 when requests can be served: the database answers."""
    parts.database.ping()
    return JSONResponse(Health(status="ok", checks={"database": "ok"}).model_dump())


class Surroundings:
    """Request ids in and out, and headers that a browser obeys."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = request_id
                headers.setdefault("cache-control", "no-store")
                headers["x-content-type-options"] = "nosniff"
                if scope["scheme"] == "https":
                    headers["strict-transport-security"] = "max-age=31536000"
            await send(message)

        await self._app(scope, receive, answer)


def _request_id(scope: Scope) -> str:
    """The caller's own, if it is printable and short; else a new one."""
    said = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"x-request-id"), "")
    return said if _REQUEST_ID.fullmatch(said) else str(uuid.uuid4())
