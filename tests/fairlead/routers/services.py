"""What tests of routers put behind one, and how they speak to what stands before it."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass

from fairlead.routers.types import Route, Router, RouteState, Upstream
from tests.faults.subject import Subject, Subjects
from tests.live import free_port
from tests.waiting import until

HANDLE = "fl-0000000a"

# Answers with what it was sent, after as many seconds as it is asked for.
ECHO = """
import json, time
from azureml.contrib.services.aml_request import rawhttp
from azureml.contrib.services.aml_response import AMLResponse

def init():
    pass

@rawhttp
def run(request):
    time.sleep(float(request.args.get("seconds", "0")))
    body = request.get_data()
    said = {"method": request.method, "path": request.path, "query": request.query_string.decode("latin-1")}
    said.update(headers=list(request.headers.items()), size=len(body), sum=sum(body))
    return AMLResponse(json.dumps(said), 200, {"X-MiXed-Case": "as Given", "x-lower": "1"})
"""


@dataclass
class Replicas:
    """Real services, of one script."""

    subjects: Subjects
    script: str

    def __call__(self, *arguments: str, env: Mapping[str, str] | None = None) -> Subject:
        return self.subjects(self.script, *arguments, env=env)


def upstream(replica: Subject, weight: int = 1) -> Upstream:
    return Upstream(host="127.0.0.1", port=replica.port, weight=weight)


def route_to(*replicas: Subject, port: int | None = None) -> Route:
    return Route(handle=HANDLE, host="127.0.0.1", port=port or free_port(), upstreams=tuple(upstream(one) for one in replicas))


def live(router: Router, handle: str = HANDLE, timeout: float = 60.0) -> RouteState:
    """Once what was published is what new requests meet."""
    seen: list[RouteState | None] = [None]

    def is_live() -> bool:
        seen[0] = router.observe(handle)
        return seen[0] is not None and seen[0].is_live

    try:
        until(is_live, f"{handle} to be live", timeout=timeout)
    except AssertionError as error:
        raise AssertionError(f"{error} It says {seen[0]}.") from None
    assert seen[0] is not None
    return seen[0]


def published(router: Router, route: Route) -> Route:
    router.publish(route)
    live(router, route.handle)
    return route


def exchange(port: int, sent: bytes, *, patience: float = 15.0, until_end: bool = True) -> bytes:
    """The raw bytes that come back, until the other side closes, or with until_end=False until nothing comes for a while."""
    got = b""
    with socket.create_connection(("127.0.0.1", port), timeout=patience) as sock:
        sock.sendall(sent)
        if not until_end:
            sock.settimeout(0.3)
        try:
            while piece := sock.recv(1 << 16):
                got += piece
        except TimeoutError:
            assert not until_end, f"the connection stayed open after {got!r}"
    return got
