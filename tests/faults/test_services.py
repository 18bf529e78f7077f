"""Services of a control plane under steady traffic: updates, new keys, failing updates, scaling, and the control plane's own death lose no request."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx2
import pytest

from fairlead.client import services
from fairlead.client.transport import Transport
from fairlead.schemas.services import KeyName, NewService, Service, ServiceChange, ServiceState, Settings
from tests.control_plane import ControlPlane
from tests.fairlead.server.services.desk import deployed, settled, upload_script
from tests.faults.scripts import same_tag, version_of, versioned
from tests.traffic import Ask, Plan, Reply, Traffic
from tests.waiting import until

KEYS: tuple[KeyName, ...] = ("primary", "secondary")


@pytest.fixture
def owner(local_plane: ControlPlane) -> Iterator[Transport]:
    with local_plane.transport() as transport:
        yield transport


def asking(key: str, tag: int) -> Ask:
    return Ask(tag=tag, body=b'{"tag": %d}' % tag, headers=(("content-type", "application/json"), ("authorization", f"Bearer {key}")))


def port_of(service: Service) -> int:
    assert service.port is not None, service.update_error
    return service.port


def test_updates_of_a_slow_model_under_steady_traffic_lose_nothing(owner: Transport, tmp_path: Path, long: bool) -> None:
    updates, load, rate = (50, 10.0, 200) if long else (5, 1.0, 100)
    service = deployed(owner, NewService(name="churn", code=upload_script(owner, tmp_path, versioned(0, load=load)), settings=Settings(workers=2)))
    key = services.show_keys(owner, "churn").primary
    order: list[int] = []

    def check(ask: Ask, reply: Reply) -> str:
        order.append(version_of(reply))
        return same_tag(ask, reply)

    plan = Plan(
        port=port_of(service),
        rate=rate,
        connections=16,
        ask=lambda tag: asking(key, tag),
        check=check,
        seconds=1750 if long else 110,
        requests=400_000,
    )
    with Traffic(plan) as traffic:
        for version in range(1, updates + 1):
            before = len(order)
            with traffic.marked("change"):
                services.change_service(owner, "churn", ServiceChange(code=upload_script(owner, tmp_path, versioned(version, load=load))))
                changed = settled(owner, "churn")
            assert (changed.revision, changed.update_error) == (version + 1, None)
            assert set(order[before:]) <= {version - 1, version}
        assert traffic.is_running, "the traffic ended before the updates did"
    record = traffic.record()
    assert not record.failed(), record.explain()
    assert set(order) == set(range(updates + 1))
    assert len(record.revisions()) == updates + 1


def test_failing_updates_scaling_and_rollback_lose_nothing(owner: Transport, tmp_path: Path) -> None:
    service = deployed(owner, NewService(name="churn", code=upload_script(owner, tmp_path / "0", versioned(0))))
    key = services.show_keys(owner, "churn").primary
    with Traffic(Plan(port=port_of(service), rate=50, connections=8, ask=lambda tag: asking(key, tag), check=same_tag)) as traffic:
        services.change_service(
            owner, "churn", ServiceChange(code=upload_script(owner, tmp_path / "1", "def init():\n    1 / 0\n\n\ndef run(data):\n    return 1\n"))
        )
        failed = settled(owner, "churn")
        assert (failed.state, failed.revision) == (ServiceState.HEALTHY, 1)
        assert failed.update_error is not None
        for revisions, replicas in ((2, 3), (3, 1)):
            services.change_service(owner, "churn", ServiceChange(settings=Settings(replicas=replicas)))
            assert settled(owner, "churn").workers_ready == replicas
            _until_seen(traffic, revisions)
        services.change_service(owner, "churn", ServiceChange(code=upload_script(owner, tmp_path / "2", versioned(2))))
        settled(owner, "churn")
        _until_seen(traffic, 4)
        services.roll_back_service(owner, "churn", 1)
        assert settled(owner, "churn").update_error is None
        _until_seen(traffic, 5)
    record = traffic.record()
    assert not record.failed(), record.explain()
    assert len(record.revisions()) == 5


def test_new_keys_under_traffic_fail_no_request_with_the_other_key(owner: Transport, tmp_path: Path) -> None:
    service = deployed(owner, NewService(name="churn", code=upload_script(owner, tmp_path, versioned(0))))
    keys = services.show_keys(owner, "churn")
    used = {"key": keys.secondary}

    def is_taken(key: str) -> bool:
        return httpx2.post(str(service.scoring_uri), content=b'{"tag": 1}', headers={"authorization": f"Bearer {key}"}, trust_env=False).status_code == 200

    with Traffic(Plan(port=port_of(service), rate=100, connections=8, ask=lambda tag: asking(used["key"], tag), check=same_tag)) as traffic:
        for _ in range(3):
            for name in KEYS:
                new = getattr(services.regenerate_key(owner, "churn", name), name)
                _until_taken(traffic)
                until(partial(is_taken, new), "the new key to be taken")
                used["key"] = new
    record = traffic.record()
    assert not record.failed(), record.explain()


def test_services_serve_on_without_the_control_plane_and_are_adopted(local_plane: ControlPlane, tmp_path: Path) -> None:
    with local_plane.transport() as owner:
        service = deployed(owner, NewService(name="churn", code=upload_script(owner, tmp_path / "0", versioned(0))))
        key = services.show_keys(owner, "churn").primary
    with Traffic(Plan(port=port_of(service), rate=50, connections=8, ask=lambda tag: asking(key, tag), check=same_tag)) as traffic:
        local_plane.kill()
        _until_taken(traffic)
        local_plane.restart()
        with local_plane.transport() as owner:
            adopted = settled(owner, "churn")
            assert (adopted.state, adopted.revision, adopted.port) == (ServiceState.HEALTHY, 1, service.port)
            assert "restarted" not in [each.event for each in services.list_events(owner, "churn")]
            services.change_service(owner, "churn", ServiceChange(code=upload_script(owner, tmp_path / "1", versioned(1))))
            assert settled(owner, "churn", timeout=20).revision == 2, "the lease of the killed server kept the new one waiting"
    record = traffic.record()
    assert not record.failed(), record.explain()
    assert len(record.revisions()) == 2


def test_a_server_killed_while_it_deploys_goes_on_when_it_is_back(local_plane: ControlPlane, tmp_path: Path) -> None:
    with local_plane.transport() as owner:
        services.deploy_service(owner, NewService(name="churn", code=upload_script(owner, tmp_path, versioned(0, load=2.0))))
        until(lambda: services.show_service(owner, "churn").stage not in (None, "packaging"), "the deploy to be half way")
    local_plane.kill()
    local_plane.restart()
    with local_plane.transport() as owner:
        assert settled(owner, "churn").state is ServiceState.HEALTHY


def _until_taken(traffic: Traffic, more: int = 30) -> None:
    before = traffic.answered()
    until(lambda: traffic.answered() > before + more, "more requests to be answered")


def _until_seen(traffic: Traffic, revisions: int) -> None:
    """A revision counts once it has answered: two changes can follow each other faster than requests come."""
    until(lambda: len(traffic.record().revisions()) == revisions, f"{revisions} revisions to have answered")
