"""What is there of one service: its containers in one call of the engine, and what each says of itself."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fairlead.targets.checking import is_loopback
from fairlead.targets.docker import inputs
from fairlead.targets.docker.blueprint import REPORT
from fairlead.targets.docker.engine import Engine, Found
from fairlead.targets.docker.place import Kept
from fairlead.targets.docker.probing import Door, Probe, ask_all
from fairlead.targets.types import Service

LABEL = "ai.fairlead"
INSTALLATION, HANDLE = f"{LABEL}.installation", f"{LABEL}.handle"
GENERATION, REVISION, REPLICA, ROLE, PORT_LABEL = (f"{LABEL}.{name}" for name in ("generation", "revision", "replica", "role", "port"))
SERVES, PROVES = "serves", "proves"
BETWEEN_MISSES = 1.0
MOST_MISSES = 2
DEAF_FOR = 90.0  # seconds: longer than the runtime takes to end or to start another front


@dataclass(frozen=True, kw_only=True)
class Replica:
    """A container. `probe`: None where it does not run, or cannot be asked."""

    found: Found
    probe: Probe | None = None
    is_hung: bool = False

    @property
    def id(self) -> str:
        return self.found.id

    @property
    def batch(self) -> int:
        return _number(self.found, GENERATION)

    @property
    def number(self) -> int:
        return _number(self.found, REPLICA)

    @property
    def port(self) -> int:
        return _number(self.found, PORT_LABEL)

    @property
    def is_proof(self) -> bool:
        return self.found.labels.get(ROLE) == PROVES

    @property
    def is_new(self) -> bool:
        return self.found.state in ("created", "initialized", "configured")  # Docker's word, and Podman's

    @property
    def is_over(self) -> bool:
        return self.found.state in ("exited", "dead", "stopped")

    @property
    def runs(self) -> bool:
        return self.found.state in ("running", "paused")

    @property
    def is_ready(self) -> bool:
        return self.probe is not None and self.probe.is_ready

    def is_complete(self, service: Service) -> bool:
        """Ready with all of its workers."""
        return self.probe is not None and self.probe.is_ready and self.probe.workers in (None, service.workers)

    @property
    def is_alive(self) -> bool:
        return self.probe is not None and self.probe.is_alive


class Misses:
    """Since when, and how often in a row, each container did not answer. In memory: another process counts anew."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[float, float, int]] = {}

    def is_hung(self, container: str, probe: Probe | None) -> bool:
        """Silent at two looks, or frozen; or nobody listens for long: one that ends by itself, or starts again, is not looked after from outside."""
        if probe is not None and probe.is_alive:
            self._seen.pop(container, None)
            return False
        now = time.monotonic()
        since, last, number = self._seen.get(container, (now, float("-inf"), 0))
        if (probe is None or probe.is_silent) and now - last >= BETWEEN_MISSES:
            last, number = now, number + 1
        self._seen[container] = (since, last, number)
        return number >= MOST_MISSES or now - since > DEAF_FOR


def look(engine: Engine, labels: Mapping[str, str], kept: Kept, misses: Misses, *, ends_tls: bool) -> list[Replica]:
    """ends_tls: containers do, where there is no router. Raises FairleadError when the engine does not answer."""
    found = engine.containers(labels)
    asked = [each for each in found if each.state == "running"]
    probes = dict(zip((each.id for each in asked), _ask(engine, kept, asked, ends_tls=ends_tls), strict=True))
    return [_replica(each, probes.get(each.id), kept, misses) for each in found]


def door_of(engine: Engine, kept: Kept, port: int, *, ends_tls: bool) -> Door | None:
    """None where a container publishes at an address that only the engine's machine has."""
    host, tls = kept.wanted.host, ends_tls and kept.wanted.tls is not None
    if engine.address.is_local:
        return Door(host="127.0.0.1" if host in ("0.0.0.0", "localhost") or ":" not in host else "::1", port=port, tls=tls)  # noqa: S104
    return None if is_loopback(host) else Door(host=engine.address.hostname, port=port, tls=tls)


def _ask(engine: Engine, kept: Kept, running: Sequence[Found], *, ends_tls: bool) -> list[Probe]:
    doors = [door_of(engine, kept, _number(each, PORT_LABEL), ends_tls=ends_tls) for each in running]
    answers = iter(ask_all([door for door in doors if door is not None]))
    return [_as_reported(engine, each) if door is None else next(answers) for each, door in zip(running, doors, strict=True)]


def _as_reported(engine: Engine, container: Found) -> Probe:
    """Without a way to ask it: what it wrote when it had started, and what the engine's own checks of its health say."""
    started = inputs.report_in(engine.get(container.id, REPORT)).get("outcome") == "ok"
    return Probe(is_alive=True, is_ready=started and "(unhealthy)" not in container.status, message=container.status)


def _replica(found: Found, probe: Probe | None, kept: Kept, misses: Misses) -> Replica:
    """One that has served and is silent hangs; one that starts may not listen yet."""
    if found.id not in kept.tenured or found.state not in ("running", "paused"):
        return Replica(found=found, probe=probe)
    return Replica(found=found, probe=probe, is_hung=misses.is_hung(found.id, probe))


def _number(found: Found, label: str) -> int:
    said = found.labels.get(label, "")
    return int(said) if said.isdigit() else 0
