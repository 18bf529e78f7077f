"""Several servers on one database: they share the work, see each other's changes, and take over from one that died."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fairlead.client import services
from fairlead.errors import Unavailable
from fairlead.schemas.services import NewService, ServiceChange, ServiceState, Settings
from fairlead.server.opening import yard_of
from fairlead.server.services.preparation import Preparation
from fairlead.testing.targets import FakeTarget
from tests.fairlead.server.services.desk import Desk, settled, upload_script
from tests.waiting import until

Open = Callable[..., Desk]


@pytest.fixture
def open_desk(database_url: str, tmp_path: Path, shared_cache: Path) -> Iterator[Open]:
    """Servers with a state folder each, and one database, store and master key."""
    key = tmp_path / "master.key"
    key.write_bytes(base64.b64encode(secrets.token_bytes(32)))
    key.chmod(0o600)
    opened: list[Desk] = []

    def open_one(name: str, *, works: bool = True) -> Desk:
        desk = Desk(tmp_path / name, database_url, FakeTarget(), cache=shared_cache, store=tmp_path / "blobs", master_key_file=str(key), lease_seconds=1.0)
        token = opened[0].token if opened else None
        opened.append(desk.start(token, works=works))
        return desk

    yield open_one
    for desk in opened:
        desk.stop()


def test_one_server_does_what_another_was_asked_for(open_desk: Open, tmp_path: Path) -> None:
    asked, working = open_desk("asked", works=False), open_desk("working")
    services.deploy_service(asked.owner, NewService(name="churn", code=upload_script(asked.owner, tmp_path / "code")))
    service = settled(asked.owner, "churn")
    assert service.state is ServiceState.HEALTHY
    assert working.target.observe(service.handle).revision is not None
    services.change_service(asked.owner, "churn", ServiceChange(settings=Settings(workers=2)))
    assert settled(asked.owner, "churn").workers_ready == 2
    with pytest.raises(Unavailable, match="runs on the machine of another server"):
        services.read_logs(asked.owner, "churn")


def test_both_keep_what_they_started(open_desk: Open, tmp_path: Path) -> None:
    first, second = open_desk("first"), open_desk("second")
    code = upload_script(first.owner, tmp_path / "code")
    for number in range(6):
        desk = (first, second)[number % 2]
        services.deploy_service(desk.owner, NewService(name=f"churn-{number}", code=code))
    states = [settled(first.owner, f"churn-{number}") for number in range(6)]
    assert {each.state for each in states} == {ServiceState.HEALTHY}
    run = [{each.handle for each in desk.target.applied} for desk in (first, second)]
    assert run[0] | run[1] == {each.handle for each in states}
    assert not run[0] & run[1], "two servers ran one service"


def test_a_deploy_whose_server_died_half_way_is_taken_over(open_desk: Open, tmp_path: Path) -> None:
    """The dead one claimed the revision and never came back."""
    asked = open_desk("asked", works=False)
    services.deploy_service(asked.owner, NewService(name="churn", code=upload_script(asked.owner, tmp_path / "code")))
    dead = _preparation(asked)
    assert len(dead.leases.claim(1)) == 1
    heir = open_desk("heir")
    service = settled(asked.owner, "churn")
    assert service.state is ServiceState.HEALTHY
    until(lambda: heir.target.observe(service.handle).revision is not None, "the heir to run it")


def _preparation(desk: Desk) -> Preparation:
    return Preparation(desk.means, yard_of(desk.context), lease_seconds=0.5, threads=1)
