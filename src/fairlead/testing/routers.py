"""A router without a proxy, for tests of what uses one: it passes the same contract suite as the real one."""

from __future__ import annotations

import threading

from fairlead.errors import UsageError
from fairlead.routers.kept import Kept, check_handle, follow
from fairlead.routers.types import Route, RouteState


class FakeRouter:
    """A route is live at once, or when `settle` is called if `is_patient`. Replicas have in flight what `busy` says."""

    def __init__(self, *, is_patient: bool = False) -> None:
        self.is_patient = is_patient
        self.published: list[Route] = []  # every call, in order
        self.retired: list[str] = []
        self._lock = threading.RLock()
        self._kept: dict[str, Kept] = {}
        self._waiting: dict[str, str] = {}
        self._busy: dict[str, dict[str, int]] = {}

    def publish(self, route: Route) -> None:
        with self._lock:
            _check_certificate(route)
            new = follow(self._kept.get(route.handle), route)
            for other in self._kept.values():
                if other.handle != new.handle and (other.host, other.port) == (new.host, new.port):
                    raise UsageError(f"It cannot be served at {new.host}:{new.port}: that is the address of {other.handle}; choose another port.")
            self.published.append(route)
            self._kept[route.handle] = new
            if self.is_patient:
                self._waiting[route.handle] = "The router has not taken it up yet."

    def observe(self, handle: str) -> RouteState | None:
        with self._lock:
            kept = self._kept.get(handle)
            if kept is None:
                return None
            message, busy = self._waiting.get(handle, ""), self._busy.get(handle, {})
            return RouteState(is_live=not message, message=message, in_flight={one.name: busy.get(one.name, 0) for one in kept.replicas})

    def handles(self) -> list[str]:
        return sorted(self._kept)

    def retire(self, handle: str) -> None:
        check_handle(handle)
        with self._lock:
            self.retired.append(handle)
            for known in (self._kept, self._waiting, self._busy):
                known.pop(handle, None)

    # What a test does to it.
    def settle(self, handle: str) -> None:
        """What was published is what new requests meet."""
        with self._lock:
            self._waiting.pop(handle, None)

    def refuse(self, handle: str, message: str) -> None:
        """What was published is not taken up, and this is why, until `settle`."""
        with self._lock:
            self._waiting[handle] = message

    def busy(self, handle: str, replica: str, requests: int) -> None:
        """`replica`: host:port."""
        with self._lock:
            self._busy.setdefault(handle, {})[replica] = requests


def _check_certificate(route: Route) -> None:
    for path in (route.tls.cert, route.tls.key) if route.tls else ():
        if not path.is_file():
            raise UsageError(f"The certificate {path} cannot be used: there is no such file.")
