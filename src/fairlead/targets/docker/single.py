"""One container whose published port is the service's address: for an engine elsewhere, or one of this machine without a router.

What is lost against replicas behind a router: an update has a gap. A port can be published by one container at a time, so the new revision proves itself
on a second port while the old one serves; then the old one ends, and a container of the new revision starts at the address. In between, for the end of
what the old one has in hand and one more start, connections are refused. If that start fails, the old container is started again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from uuid import uuid4

from fairlead.errors import BootFailure
from fairlead.targets import ports
from fairlead.targets.docker import failing
from fairlead.targets.docker.faults import cause_of
from fairlead.targets.docker.looking import PROVES, SERVES, Replica
from fairlead.targets.docker.rounds import PRIVATE, PRIVATE_COUNT, Round
from fairlead.targets.types import Failure, Service

MOST_TRIES = 20  # of ports, where the service may have any


class SingleRound(Round):
    def _advance(self) -> None:
        kept = self.kept
        former = [each for each in self._replicas if each.id in kept.tenured and each.batch == kept.serving_batch and each.id not in kept.retired]
        if not former or kept.serving_batch == kept.batch:
            super()._advance()
            return
        ended = [each for each in (*self._proofs(), *self._active(kept.batch)) if each.is_over]
        if ended:
            self._fail(failing.of_container(self._means.engine, ended[0].id, kept.wanted))
        elif kept.is_switching:
            self._exchange(former)
        else:
            self._prove()

    def _prove(self) -> None:
        """On a port that nobody knows."""
        service, proofs = self.kept.wanted, self._proofs()
        if not proofs:
            self._add_at_any_port(service)
        elif proofs[0].is_new:
            self._start(proofs[0].id, service)
        elif proofs[0].is_ready:
            self.kept = replace(self.kept, is_switching=True, switched=self._now)  # acted on by the next look: by then it is written down

    def _exchange(self, former: list[Replica]) -> None:
        running = [each for each in former if not each.is_over]
        for each in running:
            self._means.chores.start(f"stop {each.id}", partial(self._stop, each.id, self._grace(each)))
        if not running:
            super()._advance()

    def _proofs(self) -> list[Replica]:
        return [each for each in self._replicas if each.is_proof and each.batch == self.kept.batch and each.id not in self.kept.retired]

    def _replace_lost(self) -> None:
        if not self.kept.is_switching:
            super()._replace_lost()

    def _switch(self, ready: list[Replica]) -> None:
        self._succeed(ready)

    def _fail(self, failure: Failure) -> None:
        """The old container serves again."""
        kept = self.kept
        if kept.is_switching:
            for each in self._active(kept.batch):
                self._means.engine.remove(each.id)  # it has the port
            for each in self._replicas:
                if each.id in kept.tenured and each.batch == kept.serving_batch and each.is_over:
                    self._means.engine.start(each.id)
        super()._fail(failure)

    def _add(self, service: Service, batch: int) -> None:
        host = {"localhost": "127.0.0.1"}.get(service.host, service.host)
        for _ in range(MOST_TRIES):
            try:
                self._create(service, batch, SERVES, (host, self.kept.port))
                return
            except BootFailure as error:
                if cause_of(error) != "port-taken" or service.port is not None or self.kept.is_published:
                    raise
            self.kept = replace(self.kept, port=self.kept.port + 1)

    def _add_at_any_port(self, service: Service) -> None:
        host = {"localhost": "127.0.0.1"}.get(service.host, service.host)
        port = ports.choose(Path(uuid4().hex), "127.0.0.1", set(), first=PRIVATE, count=PRIVATE_COUNT)
        try:
            self._create(service, self.kept.batch, PROVES, (host, port))
        except BootFailure as error:
            if cause_of(error) != "port-taken":
                raise

    def _stop(self, container: str, seconds: int, _say: Callable[[str], None]) -> None:
        self._means.engine.stop(container, seconds)
