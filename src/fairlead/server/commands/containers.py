"""`python -m fairlead.server containers`: the engine and the router that services of this server use, whether or not it runs itself."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from fairlead.errors import FairleadError
from fairlead.routers.envoy import EnvoyRouter
from fairlead.server.opening import open_files
from fairlead.server.settings import Settings
from fairlead.server.targets import lacks, used_here


def add_arguments(parser: ArgumentParser) -> None:
    pass


def run(settings: Settings, _told: Namespace, _flags: dict[str, Any]) -> dict[str, Any]:
    """`message`: why it does not answer."""
    found, absent = used_here(settings, open_files(settings))
    why = [lacks(target) for name, target in found.items() if name != "local"] + list(absent.values())
    message = next((each for each in why if each), "")
    return {"engine": {"answers": not message, "message": message} if why else None, "router": _router(settings) if "docker" in found else None}


def _router(settings: Settings) -> dict[str, Any]:
    router = EnvoyRouter(settings.state_dir / "router")
    return {"running": router.is_running, "routes": [_route(router, handle) for handle in router.handles()]}


def _route(router: EnvoyRouter, handle: str) -> dict[str, Any]:
    """A router that does not run is only looked at: whoever observes it starts it."""
    said = {"handle": handle, "address": router.address(handle)}
    if not router.is_running:
        return {**said, "live": False, "message": "The router does not run."}
    try:
        state = router.observe(handle)
    except FairleadError as error:
        return {**said, "live": False, "message": str(error)}
    return {**said, "live": state is not None and state.is_live, "message": state.message if state is not None else "It was retired."}
