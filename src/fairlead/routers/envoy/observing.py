"""Is what was published what new requests meet? Envoy's own words, compared with the files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fairlead.routers.envoy import table
from fairlead.routers.envoy.admin import Admin, Host, Listening, Silent
from fairlead.routers.envoy.clusters import cluster_name
from fairlead.routers.envoy.listeners import digest_of, listener_name
from fairlead.routers.envoy.place import Place
from fairlead.routers.envoy.process import is_running, last_words
from fairlead.routers.kept import Kept
from fairlead.routers.types import RouteState

TAKEN = "Address already in use"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """`hosts`: of each generation that Envoy has. `is_address_taken`: another attempt may find it free."""

    state: RouteState
    hosts: Mapping[str, Sequence[Host]] = field(default_factory=dict)
    is_address_taken: bool = False

    def at_rest(self, kept: Kept) -> list[str]:
        """Older generations that have nothing in hand."""
        return [name for name, hosts in self.hosts.items() if name != cluster_name(kept) and not any(one.in_flight for one in hosts)]


def look(place: Place, kept: Kept) -> Seen:
    admin = Admin(place.admin)
    try:
        hosts = admin.hosts(kept.handle)
        listening = admin.listener(listener_name(kept))
        version = admin.routes_version()
    except Silent:
        return Seen(state=RouteState(is_live=False, message=_why_silent(place)))
    finally:
        admin.close()
    wanted = digest_of(place.listeners.get(listener_name(kept)))
    message = _why_not_listening(kept, wanted, listening) or _why_not_current(kept, place, hosts, version)
    busy = Counter[tuple[str, int]]()
    for host in (host for each in hosts.values() for host in each):
        busy[host.place] += host.in_flight
    return Seen(
        state=RouteState(is_live=not message, message=message, in_flight={one.name: busy[one.place] for one in kept.replicas}),
        hosts=hosts,
        is_address_taken=listening.digest != wanted and listening.error_digest == wanted and TAKEN in listening.error,
    )


def knows(place: Place, kept: Kept) -> bool | None:
    """Whether Envoy has taken up the newest replicas; None when it does not answer, and will read everything when it starts."""
    admin = Admin(place.admin)
    try:
        return cluster_name(kept) in admin.hosts(kept.handle)
    except Silent:
        return None
    finally:
        admin.close()


def is_switched(place: Place, kept: Kept) -> bool:
    """Whether the table of routes says what is wanted."""
    return place.routes.get(kept.handle) == table.line(kept)


def _why_silent(place: Place) -> str:
    if is_running(place):
        return "The router starts."
    words = last_words(place)
    return f"The router's proxy does not run, and is started again{f'; it said: {words}' if words else ''}. Its log is {place.log / 'envoy.log'}."


def _why_not_listening(kept: Kept, wanted: str, listening: Listening) -> str:
    if wanted and listening.digest == wanted:
        return ""
    if not listening.error or listening.error_digest != wanted:
        return f"The router does not listen at {kept.host}:{kept.port} yet."
    if TAKEN in listening.error:
        return f"The router cannot listen at {kept.host}:{kept.port}: another process does; end that one, or choose another port."
    return f"The router refuses {kept.handle}: {listening.error}"


def _why_not_current(kept: Kept, place: Place, hosts: Mapping[str, Sequence[Host]], version: str) -> str:
    now = hosts.get(cluster_name(kept))
    if now is None or {one.place: one.weight for one in now} != {one.place: one.weight for one in kept.upstreams if one.weight}:
        return _not_taken_up(f"the replicas of {kept.handle}", place)
    if not is_switched(place, kept) or version != place.routes.version:
        return _not_taken_up(f"the route of {kept.handle}", place)
    return ""


def _not_taken_up(what: str, place: Place) -> str:
    words = last_words(place, since=max(file.path.stat().st_mtime for file in (place.clusters, place.routes)))
    return f"The router has not taken up {what} yet{f'; it said: {words}' if words else ''}."
