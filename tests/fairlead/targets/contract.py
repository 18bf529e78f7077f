"""What every target does: subclass it, and give the fixtures `target` and `service`."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from fairlead.errors import UsageError
from fairlead.targets.types import CAUSES, LAST_LINES, Auth, Observation, Service, State, Target
from tests.waiting import until

ON_THE_WAY = (State.STARTING, State.UPDATING)


def settled(target: Target, handle: str, timeout: float = 120.0) -> Observation:
    """What is true when nothing is on its way any more."""

    def of_rest() -> list[Observation]:
        seen = target.observe(handle)
        return [] if seen.state in ON_THE_WAY else [seen]

    return until(of_rest, f"{handle} to settle", timeout=timeout)[0]


def next_of(service: Service, **changes: object) -> Service:
    generation = service.generation + 1
    return replace(service, generation=generation, **{"revision": f"r{generation}", **changes})  # type: ignore[arg-type]


@dataclass(frozen=True)
class Broken:
    """What makes an update that cannot start anywhere, because its bundle is not there: changes of a service, and a word of the failure."""

    changes: Mapping[str, object]
    word: str


NO_BUNDLE = Broken({"bundle": Path("/no/such/bundle")}, "/no/such/bundle")


class TargetContract:
    @pytest.fixture
    def target(self) -> Target:
        raise NotImplementedError

    @pytest.fixture
    def service(self) -> Service:
        raise NotImplementedError

    @pytest.fixture
    def broken(self) -> Broken:
        return NO_BUNDLE

    def test_what_was_never_applied_is_absent_and_has_no_log(self, target: Target) -> None:
        assert target.observe("fl-00000000") == Observation(state=State.ABSENT)
        assert list(target.logs("fl-00000000")) == []
        target.stop("fl-00000000")

    def test_an_applied_service_runs_and_says_where_and_what(self, target: Target, service: Service) -> None:
        target.apply(service)
        seen = settled(target, service.handle)
        assert (seen.state, seen.revision, seen.generation, seen.failure) == (State.RUNNING, service.revision, service.generation, None)
        assert seen.endpoint is not None
        assert seen.endpoint.startswith("http://127.0.0.1:")
        assert (seen.workers_ready, seen.workers_wanted) == (1, 1)

    def test_the_same_applied_twice_is_one_workload(self, target: Target, service: Service) -> None:
        target.apply(service)
        target.apply(service)
        seen = settled(target, service.handle)
        target.apply(service)
        assert target.observe(service.handle) == seen

    def test_an_update_keeps_the_address(self, target: Target, service: Service) -> None:
        target.apply(service)
        before = settled(target, service.handle)
        target.apply(next_of(service))
        after = settled(target, service.handle)
        assert (after.state, after.revision, after.generation) == (State.RUNNING, "r2", service.generation + 1)
        assert after.endpoint == before.endpoint

    def test_an_update_while_the_first_start_is_on_its_way_wins(self, target: Target, service: Service) -> None:
        target.apply(service)
        target.apply(next_of(service))
        seen = settled(target, service.handle)
        assert (seen.state, seen.revision, seen.generation) == (State.RUNNING, "r2", service.generation + 1)

    def test_an_older_generation_changes_nothing(self, target: Target, service: Service) -> None:
        target.apply(next_of(service))
        seen = settled(target, service.handle)
        target.apply(service)
        assert settled(target, service.handle) == seen

    def test_an_update_that_fails_leaves_the_old_serving_and_says_why(self, target: Target, service: Service, broken: Broken) -> None:
        target.apply(service)
        before = settled(target, service.handle)
        target.apply(next_of(service, **broken.changes))
        after = settled(target, service.handle)
        assert (after.state, after.revision, after.endpoint) == (State.RUNNING, service.revision, before.endpoint)
        assert after.generation == service.generation + 1, "it was tried to its end"
        assert after.failure is not None
        assert (after.failure.stage, after.failure.cause) == ("starting", "bundle-damaged")
        assert broken.word in after.failure.message
        assert after.failure.message in after.message
        target.apply(replace(next_of(service), generation=service.generation + 2))
        mended = settled(target, service.handle)
        assert (mended.state, mended.revision, mended.failure) == (State.RUNNING, "r2", None)

    def test_a_first_start_that_fails_is_a_state(self, target: Target, service: Service, broken: Broken) -> None:
        target.apply(next_of(service, **broken.changes))
        seen = settled(target, service.handle)
        assert (seen.state, seen.revision, seen.workers_ready) == (State.FAILED, None, 0)
        assert seen.failure is not None
        assert seen.failure.cause in CAUSES
        assert len(seen.failure.log_lines) <= LAST_LINES
        target.apply(replace(service, generation=service.generation + 2))
        assert settled(target, service.handle).state is State.RUNNING

    def test_stop_is_silent_when_it_is_gone_and_the_address_is_kept(self, target: Target, service: Service) -> None:
        target.apply(service)
        before = settled(target, service.handle)
        target.stop(service.handle)
        seen = settled(target, service.handle)
        assert (seen.state, seen.revision, seen.workers_ready) == (State.STOPPED, None, 0)
        target.stop(service.handle)
        target.apply(next_of(service))
        again = settled(target, service.handle)
        assert (again.state, again.revision, again.endpoint) == (State.RUNNING, "r2", before.endpoint)

    def test_a_stopped_service_starts_again_with_the_same_generation(self, target: Target, service: Service) -> None:
        target.apply(service)
        settled(target, service.handle)
        target.stop(service.handle)
        settled(target, service.handle)
        target.apply(service)
        assert settled(target, service.handle).state is State.RUNNING

    def test_workers_and_replicas_multiply(self, target: Target, service: Service) -> None:
        target.apply(replace(service, workers=2, replicas=2))
        seen = settled(target, service.handle)
        assert (seen.workers_ready, seen.workers_wanted) == (4, 4)

    def test_an_address_open_to_others_needs_keys(self, target: Target, service: Service) -> None:
        with pytest.raises(UsageError, match="open to everyone"):
            target.apply(replace(service, host="0.0.0.0", auth=Auth()))  # noqa: S104 - that is the point
        assert target.observe(service.handle).state is State.ABSENT

    def test_two_services_do_not_touch_each_other(self, target: Target, service: Service) -> None:
        other = replace(service, handle="fl-0000000b", name="other", revision="b1")
        target.apply(service)
        target.apply(other)
        one, two = (settled(target, handle) for handle in (service.handle, other.handle))
        assert one.endpoint != two.endpoint
        target.stop(service.handle)
        settled(target, service.handle)
        assert target.observe(other.handle) == two

    def test_applies_that_race_end_in_the_newest(self, target: Target, service: Service) -> None:
        wanted = [replace(service, generation=number, revision=f"r{number}") for number in range(1, 7)]
        threads = [threading.Thread(target=target.apply, args=(one,)) for one in wanted for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        until(lambda: settled(target, service.handle).generation == 6, "the newest to have been tried")
        seen = settled(target, service.handle)
        assert (seen.state, seen.revision) == (State.RUNNING, "r6")

    def test_the_log_is_tailed_and_filtered(self, target: Target, service: Service) -> None:
        target.apply(service)
        settled(target, service.handle)
        target.apply(next_of(service))
        settled(target, service.handle)
        everything = list(target.logs(service.handle))
        assert list(target.logs(service.handle, tail=1)) == everything[-1:]
        assert list(target.logs(service.handle, tail=0)) == []
        of_second = [json.loads(line) for line in target.logs(service.handle, revision="r2")]
        assert of_second
        assert all(said["revision"] == "r2" for said in of_second)
        assert list(target.logs(service.handle, request_id="nobody")) == []
