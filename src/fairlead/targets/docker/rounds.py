"""One look at a service of several containers behind a router, and the next step towards what is wanted.

Nothing waits here and nothing is remembered but `Kept` and labels, so whoever looks next, in this process or another, goes on where the last one was:
containers of a new batch are made one by one, filled, started; ready and proved, they get all requests; the former get none, answer what they have, and go.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from uuid import uuid4

from fairlead.errors import BootFailure, FairleadError, Unavailable, UsageError
from fairlead.routers.types import Certificate, Route, Router, Upstream
from fairlead.targets import ports
from fairlead.targets.docker import failing, inputs, loading, merging
from fairlead.targets.docker.blueprint import MOUNT, Blueprint
from fairlead.targets.docker.chores import Chores
from fairlead.targets.docker.engine import Engine
from fairlead.targets.docker.faults import NameTaken, cause_of
from fairlead.targets.docker.loading import Archive
from fairlead.targets.docker.looking import GENERATION, HANDLE, INSTALLATION, LABEL, PORT_LABEL, REPLICA, REVISION, ROLE, SERVES, Misses, Replica
from fairlead.targets.docker.place import FAILED, OK, TRYING, Home, Kept, Place
from fairlead.targets.types import Failure, Service

GRACE = f"{LABEL}.grace"
DEADLINE = 60.0  # seconds that run() may take unless the service says so; as the runtime has it
DRAIN = 5.0  # that the runtime keeps idle connections, and some more
ENGINE_WITHIN = 60.0  # an engine that is away for longer fails what is on its way
LIVE_WITHIN = 30.0  # from a route's publication to its effect
BLIND = 2.0  # seconds without requests, where the router cannot count them
HARVEST = 2000  # last lines that are kept of a container that goes
FORGIVEN_AFTER = 600.0
LONGEST_PAUSE = 60.0
PRIVATE, PRIVATE_COUNT = 30_000, 2_700  # ports of containers behind a router


@dataclass(frozen=True, kw_only=True)
class Means:
    """What every round needs. Without a router, a container's own port is the service's."""

    engine: Engine
    router: Router | None
    archive: Archive
    home: Home
    chores: Chores
    misses: Misses


class Round:
    """`take` takes the step. `kept`: as it is then. `note`: what is going on, for people. `is_over`: nothing is left of what nobody wants."""

    def __init__(self, means: Means, place: Place, kept: Kept, replicas: list[Replica]) -> None:
        self.kept = kept
        self.note = ""
        self.is_over = False
        self._means = means
        self._place = place
        self._replicas = replicas
        self._now = time.time()

    def take(self) -> None:
        """Raises Unavailable, BootFailure when the folder cannot be written to."""
        before = self.kept
        self._forget_gone()
        if self.kept.is_wanted:
            self._replace_lost()
            self._bring_about()
            self._route()
        else:
            self._wind_down()
        self._let_go()
        if self.kept != before:
            self._place.keep(self.kept)

    def give_up_without_engine(self, error: Unavailable) -> None:
        """What is on its way fails when the engine has been away for long."""
        if self._now - self.kept.began > ENGINE_WITHIN:
            self._fail(failing.of_error(error))
            self._place.keep(self.kept)

    # What is there.
    def _active(self, batch: int) -> list[Replica]:
        return [each for each in self._replicas if each.batch == batch and each.id not in self.kept.retired and not each.is_proof]

    def _forget_gone(self) -> None:
        """Containers that are no more; of those that served, somebody has removed them."""
        there = {each.id for each in self._replicas}
        lost = [each for each in self.kept.tenured if each not in there and each not in self.kept.retired]
        if self.kept.is_wanted and lost:
            self._note_trouble(f"The container {lost[0][:12]} was removed by somebody else; another takes its place.")
        self.kept = replace(
            self.kept,
            tenured=tuple(each for each in self.kept.tenured if each in there),
            retired={each: since for each, since in self.kept.retired.items() if each in there},
            live={each: digest for each, digest in self.kept.live.items() if each in there},
        )

    def _replace_lost(self) -> None:
        """Containers that have served and ended for good, or hang."""
        for each in self._replicas:
            if each.id in self.kept.tenured and each.id not in self.kept.retired and (each.is_over or each.is_hung):
                why = "did not answer twice" if each.is_hung else "ended and was not started again"
                self._note_trouble(f"The container {each.found.name} {why}; another takes its place.")
                self._retire(each)

    def _note_trouble(self, why: str) -> None:
        recent = tuple(at for at in self.kept.troubles if self._now - at < FORGIVEN_AFTER)
        self.kept = replace(self.kept, troubles=(*recent, self._now), trouble=why)
        self._say(Failure(stage="running", cause="killed", message=why))

    def _say(self, failure: Failure) -> None:
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(self._now)) + f"{self._now % 1:.9f}"[1:] + "Z"
        self._place.write_log(merging.as_file([(at.encode(), failing.sentence(failure).encode())]))

    @property
    def _is_throttled(self) -> bool:
        """The second loss within minutes waits, and each further one twice as long. As many as there are replicas count as one: they went together."""
        replicas = self.kept.serving.replicas if self.kept.serving else 1
        number = -(-len(self.kept.troubles) // replicas)
        return number > 1 and self._now - self.kept.troubles[-1] < min(LONGEST_PAUSE, 2.0 ** (number - 2))

    # Towards what is wanted.
    def _bring_about(self) -> None:
        try:
            if self.kept.outcome == TRYING:
                self._advance()
            elif self.kept.serving is not None:
                self._keep(self.kept.serving, self.kept.serving_batch)
        except Unavailable as error:
            self.note = str(error)
            if self.kept.outcome == TRYING:
                self.give_up_without_engine(error)
        except FairleadError as error:
            self._stumble(error)

    def _stumble(self, error: FairleadError) -> None:
        self.note = str(error)
        if self.kept.outcome == TRYING:
            self._fail(failing.of_error(error))
        else:
            self._note_trouble(str(error))

    def _advance(self) -> None:
        kept = self.kept
        ended = [each for each in self._active(kept.batch) if each.id not in kept.tenured and each.is_over]
        if ended:
            self._fail(failing.of_container(self._means.engine, ended[0].id, kept.wanted))
            return
        self._complete(kept.wanted, kept.batch)
        ready = [each for each in self._active(kept.batch) if each.is_complete(kept.wanted)]
        if len(ready) >= kept.wanted.replicas:
            self._switch(ready[: kept.wanted.replicas])

    def _keep(self, service: Service, batch: int) -> None:
        """As many as there should be; one that takes the place of another has served once it is ready."""
        for each in self._active(batch):
            if each.id not in self.kept.tenured and each.is_over:
                failure = failing.of_container(self._means.engine, each.id, service)
                self._note_trouble(f"A container that should take the place of another failed: {failure.message}")
                self._retire(each)
        if not self._is_throttled:
            self._complete(service, batch)
        self._tenure([each for each in self._active(batch) if each.is_ready])

    def _complete(self, service: Service, batch: int) -> None:
        """Too many, none-started ones, and one of those that are missing."""
        there = self._active(batch)
        surplus = sorted(there, key=lambda each: (not each.is_ready, each.number))[service.replicas :]
        for each in surplus if self.kept.outcome != TRYING else ():
            self._retire(each)
        for each in there:
            if each.is_new:
                self._start(each.id, service)
            else:
                self._renew(each, service)
        if len(there) < service.replicas:
            self._add(service, batch)

    def _add(self, service: Service, batch: int) -> None:
        """A container on a port of its own; when somebody else is quicker to take that port, the next look tries another."""
        port = ports.choose(Path(uuid4().hex), "127.0.0.1", set(), first=PRIVATE, count=PRIVATE_COUNT)
        try:
            self._create(service, batch, SERVES, ("127.0.0.1", port))
        except BootFailure as error:
            if cause_of(error) != "port-taken":
                raise

    def _create(self, service: Service, batch: int, role: str, published: tuple[str, int]) -> str | None:
        """Made, filled and started; None while its image is loaded. One that could not be started is removed again."""
        means = self._means
        assert service.image is not None
        image = loading.bring(means.engine, means.chores, means.archive, means.home.loaded, service.image)
        if image is None:
            self.note = loading.progress(means.chores, service.image)
            return None
        blueprint = self._blueprint(service, batch, role, published, image)
        means.engine.remove_volume(blueprint.volume)  # of a container of that name that somebody removed
        means.engine.create_volume(blueprint.volume, blueprint.labels)
        try:
            container = means.engine.create(blueprint)
            self._start(container, service)
        except NameTaken:
            return None  # the list was older than it; the next look sees it
        except BootFailure:
            means.engine.remove(blueprint.name)
            means.engine.remove_volume(blueprint.volume)
            raise
        return container

    def _start(self, container: str, service: Service) -> None:
        self._means.engine.put(container, MOUNT, inputs.all_files(service, ends_tls=self._means.router is None))
        self.kept = replace(self.kept, live={**self.kept.live, container: self._live(service)[0]})
        self._means.engine.start(container)

    def _renew(self, replica: Replica, service: Service) -> None:
        """New keys, and a new certificate, in the container that runs."""
        digest, files = self._live(service)
        if replica.runs and self.kept.live.get(replica.id) != digest:
            self._means.engine.put(replica.id, MOUNT, inputs.live_tar(files))
            self.kept = replace(self.kept, live={**self.kept.live, replica.id: digest})

    def _live(self, service: Service) -> tuple[str, dict[str, bytes]]:
        files = inputs.live_files(service, ends_tls=self._means.router is None)
        return inputs.live_digest(files), files

    def _blueprint(self, service: Service, batch: int, role: str, published: tuple[str, int], image: str) -> Blueprint:
        installation = self._means.home.installation
        number = max((each.number for each in self._replicas if each.batch == batch), default=0) + 1
        name = f"{service.handle}.{batch}.{number}.{installation[:6]}"
        grace = round(DRAIN + service.limits.get("deadline", DEADLINE))
        facts = {GENERATION: batch, REVISION: service.revision, REPLICA: number, ROLE: role, PORT_LABEL: published[1], GRACE: grace}
        who = {f"{LABEL}.workspace": service.workspace, f"{LABEL}.service": service.name}
        return Blueprint(
            name=name,
            image=image,
            labels={INSTALLATION: installation, HANDLE: service.handle, **who, **{label: str(fact) for label, fact in facts.items()}},
            volume=name,
            published=published,
            grace=grace,
            cpu=service.resources.cpu,
            memory=service.resources.memory,
            gpu=service.resources.gpu,
            log_bytes=service.max_log_bytes,
            checks_health=not self._means.engine.address.is_local,
        )

    # Success and failure.
    def _switch(self, ready: list[Replica]) -> None:
        """All requests to these. It has succeeded once the router says that they go there."""
        router = self._means.router
        assert router is not None
        if not self.kept.is_switching:
            self.kept = replace(self.kept, is_switching=True, switched=self._now)
        chosen = {each.id for each in ready}
        try:
            self._publish(self.kept.wanted, [(each.port, int(each.id in chosen)) for each in self._replicas if each.runs])
        except (UsageError, BootFailure) as error:
            self._fail(Failure(stage="starting", cause=str(error.facts.get("cause", "port-taken")), message=str(error)))
            return
        state = router.observe(self._place.handle)
        if state is not None and state.is_live:
            self._succeed(ready)
        elif self._now - self.kept.switched > LIVE_WITHIN:
            why = state.message if state is not None and state.message else "it does not say why"
            self._fail(Failure(stage="starting", cause="front-failed", message=f"The router does not take the new replicas: {why}."))

    def _succeed(self, ready: list[Replica]) -> None:
        kept = self.kept
        self.kept = replace(
            kept, outcome=OK, failure=None, serving=kept.wanted, serving_batch=kept.batch, is_published=True, is_switching=False, troubles=(), trouble=""
        )
        self._tenure(ready)

    def _tenure(self, ready: list[Replica]) -> None:
        """From now on the engine starts them again by itself."""
        new = [each.id for each in ready if each.id not in self.kept.tenured]
        for each in new:
            self._means.engine.keep_running(each)
        self.kept = replace(self.kept, tenured=(*self.kept.tenured, *new)) if new else self.kept

    def _fail(self, failure: Failure) -> None:
        kept = self.kept
        self.kept = replace(kept, outcome=FAILED, failure=failure, is_switching=False)
        self._say(failure)
        if kept.batch == kept.serving_batch:  # more of the same: those that were there go on
            for each in self._active(kept.batch):
                if each.id not in kept.tenured:
                    self._retire(each)

    # The address.
    def _route(self) -> None:
        """Ready replicas get requests; when none is, those that at least say so; those that are to go finish what they have."""
        router, kept = self._means.router, self.kept
        if router is None or kept.serving is None or kept.is_switching:
            return
        serving = [each for each in self._active(kept.serving_batch) if each.id in kept.tenured]
        ready = [each for each in serving if each.is_ready] or [each for each in serving if each.is_alive]
        chosen = {each.id for each in ready}
        upstreams = [(each.port, int(each.id in chosen)) for each in self._replicas if each.runs and (each.id in chosen or each.id in kept.tenured)]
        try:
            self._publish(kept.serving, upstreams)
        except FairleadError as error:
            self.note = str(error)

    def _publish(self, service: Service, upstreams: list[tuple[int, int]]) -> None:
        router = self._means.router
        assert router is not None
        routed = tuple(sorted(upstreams))
        if routed == self.kept.routed and router.observe(self._place.handle) is not None:
            return
        tls, body = service.tls, service.limits.get("body")
        route = Route(
            handle=service.handle,
            host=service.host,
            port=self.kept.port,
            upstreams=tuple(Upstream(host="127.0.0.1", port=port, weight=weight) for port, weight in routed),
            tls=Certificate(cert=tls.cert, key=tls.key) if tls else None,
            max_body=int(body) if body else None,
        )
        router.publish(route)
        self.kept = replace(self.kept, routed=routed)

    # The end.
    def _wind_down(self) -> None:
        router = self._means.router
        if router is not None and router.observe(self._place.handle) is not None:
            router.retire(self._place.handle)
        self.kept = replace(self.kept, routed=(), is_switching=False)
        left = [] if self._replicas else self._means.engine.volumes({INSTALLATION: self._means.home.installation, HANDLE: self._place.handle})
        for volume in left:
            self._means.engine.remove_volume(volume)
        self.is_over = not self._replicas and not left

    def _let_go(self) -> None:
        for each in self._replicas:
            if self._is_needed(each):
                continue
            if each.id not in self.kept.retired:
                self._retire(each)
            if each.is_new or each.is_over or self._may_stop(each):
                self._means.chores.start(f"end {each.id}", partial(self._end, each, self._seconds(each)))

    def _is_needed(self, replica: Replica) -> bool:
        kept = self.kept
        batches = {kept.batch} if kept.outcome == TRYING else set()
        if kept.serving is not None and not replica.is_proof:
            batches.add(kept.serving_batch)
        return kept.is_wanted and replica.id not in kept.retired and replica.batch in batches

    def _retire(self, replica: Replica) -> None:
        self.kept = replace(self.kept, retired={**self.kept.retired, replica.id: self._now})

    def _may_stop(self, replica: Replica) -> bool:
        """Once nothing of it is on its way to anybody."""
        router, age = self._means.router, self._now - self.kept.retired[replica.id]
        if router is None or replica.id not in self.kept.tenured or replica.is_hung or not replica.runs or age > self._grace(replica):
            return True
        state = router.observe(self._place.handle)
        if state is None:
            return True
        if not state.is_live or state.in_flight is None:
            return state.is_live and age > BLIND
        return state.in_flight.get(f"127.0.0.1:{replica.port}", 0) == 0

    def _grace(self, replica: Replica) -> int:
        said = replica.found.labels.get(GRACE, "")
        return int(said) if said.isdigit() else round(DRAIN + DEADLINE)

    def _seconds(self, replica: Replica) -> int:
        """From SIGTERM to SIGKILL: one that never served has nothing to finish."""
        return 1 if replica.is_hung else self._grace(replica) if replica.id in self.kept.tenured else 5

    def _end(self, replica: Replica, seconds: int, _say: Callable[[str], None]) -> None:
        engine = self._means.engine
        if not (replica.is_new or replica.is_over):
            engine.stop(replica.id, seconds)
        self._place.write_log(merging.as_file(merging.of_container(engine, replica.id, tail=HARVEST)))
        engine.remove(replica.id)
        engine.remove_volume(replica.found.name)
