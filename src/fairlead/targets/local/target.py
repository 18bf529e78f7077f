"""`LocalTarget`: a service is a supervisor with its front and workers, in a session of its own, found again by its handle."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from fairlead.errors import BootFailure
from fairlead.targets import ports
from fairlead.targets.checking import check_address
from fairlead.targets.files import HANDLE, write_json
from fairlead.targets.lines import Filter
from fairlead.targets.local import log, observing, supervisor, wanted
from fairlead.targets.local.place import Kept, Place
from fairlead.targets.types import Follow, Observation, Service, State

BEGINS_WITHIN = 10.0  # from the start of a supervisor to its first answer
CHANGES_WITHIN = 1.0  # from one supervisor to the next
ENDS_WITHIN = 90.0  # a service that was told to stop: its deadline and grace


class LocalTarget:
    """State is what lies in the folder and what the control sockets answer, so any number of these may look after one folder."""

    def __init__(self, folder: Path) -> None:
        self._root = folder.absolute()
        self._reaper = supervisor.Reaper()

    def apply(self, workload: Service) -> None:
        """See Target.apply. Raises UsageError also for a change of address that a running service cannot make, BootFailure when the disk is full."""
        wanted.check(workload)
        self._reaper.reap()
        place = Place(self._root, workload.handle)
        with place.changing():
            kept = place.kept
            if kept is not None and kept.generation > workload.generation:
                return
            status = supervisor.ask(place, {"do": "status"}, patience=BEGINS_WITHIN)
            if status is not None and status["state"] == "stopping":
                self._await_end(place)
                status = None
            if kept is None or status is None or not _has_tried(status, kept, workload):
                self._bring(place, workload, kept, status)

    def observe(self, handle: str) -> Observation:
        self._reaper.reap()
        place = Place(self._root, handle)
        kept = place.kept
        if kept is None:
            return Observation(state=State.ABSENT)
        status = supervisor.ask(place, {"do": "status"}, patience=CHANGES_WITHIN)
        return observing.of_status(kept, status) if status is not None else observing.of_silence(kept, place)

    def logs(self, handle: str, *, tail: int = 200, revision: str | None = None, request_id: str | None = None, follow: Follow = False) -> Iterator[str]:
        place, fitting = Place(self._root, handle), Filter(revision, request_id)
        if follow:
            lines: Iterator[bytes] = log.follow(place.log, tail, fitting, lambda: not place.is_running or (callable(follow) and not follow()))
        else:
            lines = iter(log.last_lines(place.log, tail, fitting))
        return (line.decode("utf-8", "replace") for line in lines)

    def stop(self, handle: str) -> None:
        place = Place(self._root, handle)
        if place.kept is None:
            return
        with place.changing():
            kept = place.kept
            assert kept is not None
            place.keep(replace(kept, is_wanted=False))
            answer = supervisor.ask(place, {"do": "stop", "forget_secrets": True}, patience=BEGINS_WITHIN)
            if answer is None and not place.is_running:
                wanted.remove_inputs(place, {})
                place.keys.unlink(missing_ok=True)
        self._reaper.reap()

    def handles(self) -> list[str]:
        """Services that are wanted here or still run, whoever started them."""
        return [place.handle for place in self._places() if (kept := place.kept) is not None and (kept.is_wanted or place.is_running)]

    def resume(self) -> list[str]:
        """Start again what should run and does not, after a reboot. Their handles."""
        return [handle for handle in self.handles() if self._resume(Place(self._root, handle))]

    def forget(self, handle: str) -> None:
        """Stop it, wait for its end, and remove everything of it, log and port included."""
        self.stop(handle)
        place = Place(self._root, handle)
        self._await_end(place)
        shutil.rmtree(place.folder, ignore_errors=True)
        for leftover in (place.socket, place.socket.with_name(f"{place.socket.name}.lock")):
            leftover.unlink(missing_ok=True)

    def _resume(self, place: Place) -> bool:
        with place.changing():
            kept = place.kept
            if kept is None or not kept.is_wanted or place.is_running:
                return False
            self._start(place, _published(kept, place))
            return True

    def _bring(self, place: Place, workload: Service, kept: Kept | None, status: dict[str, Any] | None) -> None:
        """Write what is wanted, then have it read: by the supervisor that runs, or by a new one."""
        if status is not None:
            assert kept is not None
            check_address(workload, kept.host, kept.port, tls=kept.tls)
        before = kept.inputs.get(str(kept.generation)) if kept else None
        inputs = wanted.write_inputs(workload, place, before)
        has_new_keys = wanted.write_keys(workload, place)
        with ports.choosing(self._root):
            new = self._kept(place, workload, kept)
            new = replace(new, inputs={**_inputs_in_use(kept, status), str(workload.generation): inputs})
            write_json(place.options, wanted.options_here(workload, place, new.port, place.inputs / inputs))
            place.keep(new)
        wanted.remove_inputs(place, new.inputs)
        if status is None or not (supervisor.ask(place, {"do": "reload", "fresh": not has_new_keys}, patience=CHANGES_WITHIN) or {}).get("ok"):
            self._start(place, new)

    def _kept(self, place: Place, workload: Service, kept: Kept | None) -> Kept:
        """A port that somebody may have noted down stays; another one is chosen as long as it may be."""
        before = _published(kept, place) if kept else None
        port = workload.port or (before.port if before else None)
        if port is None or (workload.port is None and before and not before.is_published and not place.is_running and not ports.is_free(workload.host, port)):
            port = ports.choose(place.folder, workload.host, self._taken_ports(place))
        return Kept(
            handle=workload.handle,
            workspace=workload.workspace,
            name=workload.name,
            revision=workload.revision,
            generation=workload.generation,
            host=workload.host,
            port=port,
            tls=workload.tls is not None,
            workers=workload.workers * workload.replicas,
            is_published=before is not None and before.is_published and before.port == port,
        )

    def _taken_ports(self, but: Place) -> set[int]:
        return {kept.port for place in self._places() if place.handle != but.handle and (kept := place.kept) is not None}

    def _places(self) -> list[Place]:
        """What else lies there, such as lost+found or .DS_Store, is nobody's."""
        services = self._root / "services"
        return [Place(self._root, folder.name) for folder in sorted(services.iterdir()) if HANDLE.fullmatch(folder.name)] if services.is_dir() else []

    def _start(self, place: Place, kept: Kept) -> None:
        lock_fd = supervisor.lock(place, ENDS_WITHIN)
        if lock_fd is None:
            raise _still_runs(place)
        try:
            place.keep(kept)
            shutil.rmtree(place.work, ignore_errors=True)
            place.report.unlink(missing_ok=True)
            self._reaper.add(supervisor.start(place, lock_fd))
        finally:
            os.close(lock_fd)  # the supervisor has it, or nobody

    def _await_end(self, place: Place) -> None:
        if not supervisor.wait_until_gone(place, ENDS_WITHIN):
            raise _still_runs(place)


def _still_runs(place: Place) -> BootFailure:
    return BootFailure(f"{place.handle} should have ended {ENDS_WITHIN:.0f} s ago and still runs; its log says why: {place.log}")


def _has_tried(status: dict[str, Any], kept: Kept, workload: Service) -> bool:
    return kept.is_wanted and kept.generation == workload.generation == status["last"]["generation"]


def _published(kept: Kept, place: Place) -> Kept:
    """As kept, and whether it has served by now."""
    report = place.last_report
    return replace(kept, is_published=kept.is_published or report.get("outcome") == "ok" or report.get("serial", 0) > 1)


def _inputs_in_use(kept: Kept | None, status: dict[str, Any] | None) -> Mapping[str, str]:
    """Of the generation that serves: a worker of it that dies is replaced, and reads them again."""
    serving = str(status["generation"]) if status else ""
    return {serving: kept.inputs[serving]} if kept and serving in kept.inputs else {}
