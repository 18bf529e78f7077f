"""`EnvoyRouter`: what is published lies in files, which Envoy reads whenever one is renamed into place."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from fairlead.errors import UsageError
from fairlead.routers.envoy import addresses, binary, certificates, clusters, listeners, observing, process, table
from fairlead.routers.envoy.bootstrap import DRAIN_SECONDS
from fairlead.routers.envoy.files import write_json
from fairlead.routers.envoy.place import Place
from fairlead.routers.kept import Kept, follow, to_json
from fairlead.routers.types import Route, RouteState

RESTS_FOR = 5.0  # seconds that replicas without requests stay known to Envoy
TAKEN_UP_WITHIN = 3.0
TRIES_EVERY = 1.0


class EnvoyRouter:
    """One Envoy per folder. Any number of these, in any processes, may look after it; it runs on when all of them have gone."""

    def __init__(self, folder: Path, *, program: Path | None = None, concurrency: int = 1) -> None:
        """`concurrency`: threads of Envoy; one forwards some ten thousand requests per second. Raises BootFailure when there is no Envoy."""
        self.folder = folder.absolute()
        self._place = Place(self.folder)
        self._program = binary.find(program)
        self._concurrency = concurrency

    def publish(self, route: Route) -> None:
        pem = certificates.read(route.tls) if route.tls else None
        place = self._place
        path = place.route(route.handle)
        with place.changing():
            now = place.kept(route.handle)
            new = follow(place.kept_until_now(route.handle), route)
            if now is None or (now.host, now.port) != (new.host, new.port):
                self._claim(new)
            process.prepare(place, self._program, self._concurrency)
            write_json(path, to_json(new))
            place.retired(route.handle).unlink(missing_ok=True)
            place.clusters.put(clusters.cluster_name(new), clusters.cluster(new))
            self._switch(new)
            self._listen(new, pem)
            self._forget_retired()
            place.idle.unlink(missing_ok=True)
        process.ensure(place)

    def observe(self, handle: str) -> RouteState | None:
        found = self._place.kept(handle)
        if found is None:
            return None
        process.ensure(self._place)
        seen = observing.look(self._place, found)
        is_old = time.time() - found.changed > RESTS_FOR
        if seen.is_address_taken or not observing.is_switched(self._place, found) or (is_old and seen.at_rest(found)):
            self._go_on(found, seen)
        return seen.state

    def retire(self, handle: str) -> None:
        place = self._place
        path = place.route(handle)
        if not path.exists():
            return
        with place.changing():
            if not path.exists():
                return
            path.replace(place.retired(handle))  # its replicas stay until its requests are answered
            place.retired(handle).touch()
            place.listeners.remove(handle)
            self._forget_retired()
            if not self.handles():
                place.idle.touch()
        if process.is_running(place):  # somebody has to end it when it is not needed any more
            process.ensure(place)

    def handles(self) -> list[str]:
        """What is published."""
        return sorted(path.stem for path in (self._place.folder / "routes").glob("*.json"))

    def address(self, handle: str) -> str:
        """host:port, as it was published; "" when it is not."""
        kept = self._place.kept(handle)
        return f"{kept.host}:{kept.port}" if kept is not None else ""

    @property
    def is_running(self) -> bool:
        return process.is_running(self._place)

    def end(self) -> None:
        """The proxy, whatever it has in hand. What is published stays so: the next `publish` or `observe` starts it again."""
        process.end(self._place)

    def _switch(self, new: Kept) -> None:
        """To the newest replicas, once Envoy has taken them up: a route must never lead to replicas that it does not know. Else `observe` does it."""
        give_up = time.monotonic() + TAKEN_UP_WITHIN
        while (knows := observing.knows(self._place, new)) is False and time.monotonic() < give_up:
            process.pause(0.005)
        if knows is not False:
            self._place.routes.put(new.handle, table.line(new))

    def _listen(self, new: Kept, pem: certificates.Pem | None) -> None:
        """Last, so that an address never stands before nobody."""
        wanted = listeners.listener(new, self._place, pem)
        if not listeners.is_same(self._place.listeners.get(wanted["name"]), wanted):
            self._place.listeners.put(new.handle, wanted)

    def _claim(self, new: Kept) -> None:
        for handle in self.handles():
            other = self._place.kept(handle)
            if other is not None and handle != new.handle and (other.host, other.port) == (new.host, new.port):
                raise UsageError(f"It cannot be served at {new.host}:{new.port}: that is the address of {handle}; choose another port.")
        addresses.claim(new.host, new.port)

    def _go_on(self, found: Kept, seen: observing.Seen) -> None:
        """Switch, if that is still to do; forget replicas at rest; ask again for an address that was taken. Unless something else was published meanwhile."""
        place = self._place
        with place.changing():
            if place.kept(found.handle) != found:
                return
            if clusters.cluster_name(found) in seen.hosts:
                place.routes.put(found.handle, table.line(found))
            if time.time() - found.changed > RESTS_FOR:
                self._forget_replicas(found, seen)
            if seen.is_address_taken and time.time() - place.listeners.path.stat().st_mtime > TRIES_EVERY:
                place.listeners.put(found.handle, listeners.another_attempt(place.listeners.get(listeners.listener_name(found))))

    def _forget_replicas(self, found: Kept, seen: observing.Seen) -> None:
        gone = seen.at_rest(found)
        staying = {host.place for name, hosts in seen.hosts.items() if name not in gone for host in hosts}
        write_json(self._place.route(found.handle), to_json(replace(found, leaving=tuple(one for one in found.leaving if one.place in staying))))
        if gone:
            self._place.clusters.remove(*gone)

    def _forget_retired(self) -> None:
        place = self._place
        late = time.time() - DRAIN_SECONDS
        gone = [path for path in (place.folder / "retired").glob("*.json") if path.stat().st_mtime < late]
        if gone:
            place.routes.remove(*(path.stem for path in gone))
            place.clusters.remove(*(path.stem for path in gone))
        for path in gone:
            path.unlink()
