"""`DockerTarget`: a service is one container or several, found again by their labels, with or without a router before them."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

from fairlead.errors import BootFailure, FairleadError, Unavailable, UsageError
from fairlead.routers.types import Router
from fairlead.targets import ports
from fairlead.targets.checking import check, check_address
from fairlead.targets.docker import looking, merging, observing
from fairlead.targets.docker.chores import Chores
from fairlead.targets.docker.engine import Engine, Found
from fairlead.targets.docker.loading import Archive
from fairlead.targets.docker.looking import HANDLE, INSTALLATION, Misses, Replica
from fairlead.targets.docker.place import FAILED, TRYING, Home, Kept, Place, shape, without_secrets
from fairlead.targets.docker.probing import ask_all
from fairlead.targets.docker.rounds import Means, Round
from fairlead.targets.docker.single import SingleRound
from fairlead.targets.lines import Filter
from fairlead.targets.types import Follow, Image, Observation, Service, State

ENDS_WITHIN = 120.0  # a service that was told to stop: its deadline and grace
PAUSE = 0.05


class DockerTarget:
    """State is what lies in the folder and what the engine lists, so any number of these may look after one folder, and two folders may share an engine.

    With a router, replicas answer behind one address and an update loses no request. Without one, there is one container, and an update has a short gap
    (`single`): the target for an engine of another machine, over SSH or TLS. `observe` also takes the next step, so somebody has to look.
    """

    def __init__(self, folder: Path, engine: Engine, router: Router | None, archive: Archive) -> None:
        self._home = Home(folder)
        self._engine = engine
        self._means = Means(engine=engine, router=router, archive=archive, home=self._home, chores=Chores(), misses=Misses())

    def lacks(self) -> str:
        """Why nothing can run here now, and what to do; "" when something can, as far as one can say without waiting."""
        try:
            self._engine.knock()
        except FairleadError as error:
            return str(error)
        return ""

    def apply(self, workload: Service) -> None:
        """See Target.apply. Raises UsageError also for a change of address that a running service cannot make, BootFailure when the disk is full."""
        self._check(workload)
        place = Place(self._home, workload.handle)
        with place.changing():
            kept = place.kept
            if kept is not None and (kept.wanted.generation > workload.generation or _is_tried(kept, workload)):
                return
            if kept is not None and kept.is_wanted:
                check_address(workload, kept.wanted.host, kept.port, tls=kept.wanted.tls is not None)
            with ports.choosing(self._home.root):
                place.keep(self._next(place, workload, kept))
            self._step(place)

    def observe(self, handle: str) -> Observation:
        """See Target.observe. One call of the engine, and one short request to each container, when nothing has to be done."""
        place = Place(self._home, handle)
        if place.kept is None:
            return Observation(state=State.ABSENT)
        with place.changing_at_once() as is_mine:
            return self._look(place, acts=is_mine)

    def logs(self, handle: str, *, tail: int = 200, revision: str | None = None, request_id: str | None = None, follow: Follow = False) -> Iterator[str]:
        place, wanted = Place(self._home, handle), Filter(revision, request_id)
        if place.kept is None:
            return iter(())
        count = merging.needed(max(1, tail), wanted)
        sources = [merging.of_file(place.read_log()), *(merging.of_container(self._engine, each, tail=count) for each in self._containers(handle))]
        newest, lines = merging.last_of(sources, tail, wanted)
        shown = (text.decode("utf-8", "replace") for _, text in lines)
        return self._followed(place, shown, newest, wanted, follow) if follow else shown

    def stop(self, handle: str) -> None:
        place = Place(self._home, handle)
        if place.kept is None:
            return
        with place.changing():
            kept = place.kept
            assert kept is not None
            if kept.is_wanted:
                place.keep(without_secrets(replace(kept, is_wanted=False)))
            self._step(place)

    def handles(self) -> list[str]:
        """Services that are wanted here, or of which containers or a route are left. Raises Unavailable."""
        left = {each.labels.get(HANDLE, "") for each in self._listed()} | set(self._means.router.handles() if self._means.router else ())
        return sorted({kept.wanted.handle for kept in self._wanted()} | (left - {""}))

    def resume(self) -> list[str]:
        """After a reboot: look at what should run, and end containers that nobody knows. The handles of those that should run.

        The engine starts containers again by itself; what it did not, the next looks do.
        """
        wanted = []
        for handle in self.handles():
            kept = Place(self._home, handle).kept
            if kept is None:
                self._remove_all(handle)
            else:
                self.observe(handle)
                wanted += [handle] if kept.is_wanted else []
        return wanted

    def tidy(self, needed: Collection[str], older_than: float, *, dry_run: bool) -> list[Image]:
        """Removes volumes that have lost their containers, and images that it brought to the engine and that nobody has needed for so many seconds.

        `needed`: ids of images that services have anywhere, whatever is known of them here. Answers the images. Raises Unavailable, BootFailure.
        """
        if not self._home.root.is_dir():
            return []
        here = {image.id for kept in self._wanted() for image in (kept.wanted.image, kept.serving.image if kept.serving else None) if image is not None}
        unneeded = self._home.loaded.unneeded(self._engine, here | set(needed), older_than)
        if dry_run:
            return unneeded
        self._remove_lost_volumes()
        return [image for image in unneeded if self._home.loaded.remove(self._engine, image)]

    def forget(self, handle: str) -> None:
        """As `end`, and everything of it goes, log and port included."""
        self.end(handle)
        shutil.rmtree(Place(self._home, handle).folder, ignore_errors=True)

    def end(self, handle: str) -> None:
        """Stop it, wait for its end, and leave nothing of it in the engine, nor a route; also where nobody knows it."""
        place = Place(self._home, handle)
        give_up = time.monotonic() + ENDS_WITHIN
        self.stop(handle)
        while place.kept is not None and self._containers(handle):
            if time.monotonic() > give_up:
                raise BootFailure(f"{handle} should have ended {ENDS_WITHIN:.0f} s ago and still has containers; `docker ps` shows them.")
            threading.Event().wait(PAUSE)
            self.observe(handle)
        self._remove_all(handle)

    # What is wanted.
    def _check(self, workload: Service) -> None:
        check(workload)
        if workload.image is None:
            raise UsageError(f"{workload.name} has no image, and containers need one: package it first.")
        if self._means.router is None and workload.replicas != 1:
            raise UsageError(f"{workload.name} asks for {workload.replicas} replicas, and this target runs one container: use more workers, or another target.")

    def _next(self, place: Place, workload: Service, kept: Kept | None) -> Kept:
        """Containers that are there already serve on where only their number, keys or certificates change."""
        began = time.time()
        if kept is None or not kept.is_wanted:
            is_published = kept is not None and kept.is_published
            port = self._port(place, workload, kept)
            leftovers = kept.retired if kept else {}
            return Kept(wanted=workload, batch=workload.generation, port=port, began=began, is_published=is_published, retired=leftovers)
        batch = _batch_of(kept, workload)
        port = self._port(place, workload, kept) if kept.serving is None else kept.port
        return replace(kept, wanted=workload, batch=batch, port=port, began=began, outcome=TRYING, failure=None, is_switching=False)

    def _port(self, place: Place, workload: Service, kept: Kept | None) -> int:
        """One that somebody may have noted down stays."""
        if workload.port is not None:
            return workload.port
        is_here = self._engine.address.is_local
        if kept is not None and (kept.is_published or not is_here or ports.is_free(workload.host, kept.port)):
            return kept.port
        return ports.choose(place.folder, workload.host if is_here else "127.0.0.1", self._home.ports(place.handle))

    # Looking.
    def _step(self, place: Place) -> None:
        """Whoever looks next does what cannot be done now."""
        try:
            self._look(place, acts=True)
        except FairleadError:
            return

    def _look(self, place: Place, *, acts: bool) -> Observation:
        kept, address = place.kept, self._engine.address
        if kept is None:
            return Observation(state=State.ABSENT)
        try:
            replicas = looking.look(self._engine, self._labels(place.handle), kept, self._means.misses, ends_tls=self._means.router is None)
            if acts:
                return self._acted(place, kept, replicas)
            if not kept.is_wanted:
                return observing.of_end(kept, address, is_over=not replicas)
            return observing.of_replicas(kept, replicas, "", address)
        except Unavailable as error:
            return self._unseen(place, kept, error, acts=acts)

    def _acted(self, place: Place, kept: Kept, replicas: list[Replica]) -> Observation:
        kind = Round if self._means.router is not None else SingleRound
        round_ = kind(self._means, place, kept, replicas)
        round_.take()
        if not round_.kept.is_wanted:
            return observing.of_end(round_.kept, self._engine.address, is_over=round_.is_over)
        return observing.of_replicas(round_.kept, replicas, round_.note, self._engine.address)

    def _unseen(self, place: Place, kept: Kept, error: Unavailable, *, acts: bool) -> Observation:
        """The engine is away; containers may run on without it."""
        if acts and kept.outcome == TRYING and kept.is_wanted:
            round_ = Round(self._means, place, kept, [])
            round_.give_up_without_engine(error)
            kept = round_.kept
        doors = [door for port, weight in kept.routed if weight and (door := looking.door_of(self._engine, kept, port, ends_tls=False)) is not None]
        answers = any(probe.is_ready for probe in ask_all(doors))
        return observing.of_silence(kept, str(error), self._engine.address, answers=answers)

    # Its log, its end.
    def _followed(self, place: Place, shown: Iterator[str], newest: bytes, wanted: Filter, follow: Follow) -> Iterator[str]:
        def is_over() -> bool:
            kept = place.kept
            return (callable(follow) and not follow()) or kept is None or (not kept.is_wanted and not self._containers(place.handle))

        yield from shown
        for line in merging.follow(self._engine, lambda: self._containers(place.handle), newest, wanted, is_over):
            yield line.decode("utf-8", "replace")

    def _labels(self, handle: str) -> dict[str, str]:
        return {INSTALLATION: self._home.installation, HANDLE: handle}

    def _containers(self, handle: str) -> list[str]:
        return [each.id for each in self._engine.containers(self._labels(handle))]

    def _listed(self) -> list[Found]:
        return self._engine.containers({INSTALLATION: self._home.installation}) if self._home.root.is_dir() else []

    def _wanted(self) -> list[Kept]:
        return [kept for handle in self._home.handles() if (kept := Place(self._home, handle).kept) is not None and kept.is_wanted]

    def _remove_lost_volumes(self) -> None:
        """A volume has the name of its container, and is there before it; while its service is being changed it is left."""
        volumes = self._engine.volumes({INSTALLATION: self._home.installation})
        for handle in sorted({name.partition(".")[0] for name in volumes}):
            place = Place(self._home, handle)
            with place.changing_at_once() if place.folder.is_dir() else contextlib.nullcontext(True) as is_mine:
                there = {each.name for each in self._engine.containers(self._labels(handle))} if is_mine else set(volumes)
                for name in volumes:
                    if name.startswith(f"{handle}.") and name not in there:
                        self._engine.remove_volume(name)

    def _remove_all(self, handle: str) -> None:
        for container in self._containers(handle):
            self._engine.remove(container)
        for volume in self._engine.volumes(self._labels(handle)):
            self._engine.remove_volume(volume)
        if self._means.router is not None:
            self._means.router.retire(handle)


def _is_tried(kept: Kept, workload: Service) -> bool:
    """Whether this very generation is on its way, serves, or was refused while another serves."""
    is_over = kept.outcome == FAILED and kept.serving is None
    return kept.is_wanted and kept.wanted.generation == workload.generation and not is_over


def _batch_of(kept: Kept, workload: Service) -> int:
    service, batch = (kept.serving, kept.serving_batch) if kept.serving and kept.outcome != TRYING else (kept.wanted, kept.batch)
    is_alike = shape(service) == shape(workload)
    is_same = replace(service, generation=workload.generation) == workload
    if kept.outcome == FAILED and kept.serving is None:
        return workload.generation
    return batch if is_alike and not is_same else workload.generation
