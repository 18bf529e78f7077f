"""Where a transaction ends."""

from __future__ import annotations

from fastapi.routing import APIRoute

from fairlead.server import app
from fairlead.server.routing import CommittingRoute


def test_no_route_keeps_its_locks_while_its_answer_waits_for_a_thread() -> None:
    """What happens else: tests/fairlead/server/registry/test_concurrent.py, which then takes minutes."""
    routes = [route for router in app.ROUTERS for route in router.routes if isinstance(route, APIRoute)]
    assert len(routes) > 20
    assert [route.path for route in routes if not isinstance(route, CommittingRoute)] == []
