"""What is wanted and what becomes of it: deploys, updates, failures, rollbacks, deletion. On a target without processes."""

from __future__ import annotations

import errno
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
from sqlalchemy import update

from fairlead.client import services
from fairlead.errors import Changed, Conflict, NotFound, UsageError
from fairlead.schemas.services import Code, NewService, Reload, ServiceChange, ServiceState, Settings, Stage
from fairlead.server.making.packaging import Packed
from fairlead.server.services import preparation
from fairlead.server.tables.services import ServiceRow
from fairlead.targets.types import Failure, State
from fairlead.testing.targets import FakeTarget
from tests.control_plane import ControlPlane
from tests.fairlead.server.services.desk import Desk, answering, deployed, events_of, refused, settled, upload_script
from tests.waiting import until

INIT_RAISED = Failure(stage="proving", cause="init-raised", message="init() raised ValueError: no", log_lines=("a", "b"))


def test_a_deploy_goes_through_its_stages_and_each_is_seen(desk: Desk, code: Code) -> None:
    accepted = services.deploy_service(desk.owner, NewService(name="churn", code=code))
    assert (accepted.state, accepted.stage, accepted.revision, accepted.wanted_revision) == (ServiceState.TRANSITIONING, Stage.PACKAGING, None, 1)
    service = settled(desk.owner, "churn")
    assert (service.state, service.revision, service.stage, service.message) == (ServiceState.HEALTHY, 1, Stage.RUNNING, "")
    assert (service.auth, service.handle, service.workers_ready) == ("key", f"fl-{service.id[-8:]}", 1)
    assert service.scoring_uri == f"http://127.0.0.1:{service.port}/score"
    stages = [each for each in events_of(desk.owner, "churn") if each != "environment"]
    assert stages == ["deploy", "packaging", "starting", "proving", "running"]


def test_the_target_is_told_everything_that_was_asked_for(desk: Desk, target: FakeTarget, code: Code) -> None:
    wish = Settings(workers=2, replicas=3, scoring_timeout_ms=1500, max_queue_wait_ms=250, max_waiting=7, max_body=999, variables={"A": "b"}, tolerance=0.1)
    deployed(desk.owner, NewService(name="churn", code=code, settings=wish, sample_input="[1]", sample_output="1", port=23456))
    told = target.applied[-1]
    assert (told.workspace, told.name, told.workers, told.replicas, told.port) == ("default", "churn", 2, 3, 23456)
    assert told.limits == {"deadline": 1.5, "wait": 0.25, "waiting": 7.0, "body": 999.0}
    assert (told.environment, told.sample, told.expected, told.tolerance, told.unsafe_formats) == ({"A": "b"}, b"[1]", b"1", 0.1, "deny")
    assert told.bundle is not None
    assert told.python is not None
    assert (told.bundle / "bundle.json").is_file()
    assert told.python.exists()
    assert told.auth.mode == "key"


def test_a_full_disk_fails_a_deploy_with_a_sentence(desk: Desk, code: Code, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(*_: object) -> Packed:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(preparation, "pack", no_room)
    services.deploy_service(desk.owner, NewService(name="churn", code=code))
    service = settled(desk.owner, "churn")
    assert service.update_error is not None
    assert (service.state, service.update_error.stage) == (ServiceState.FAILED, Stage.PACKAGING)
    assert "no space left" in service.update_error.message
    assert "fairlead server gc" in service.update_error.message


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("Churn Model", "churn-model"), ("a", "a-service"), ("9lives", "lives"), ("under_score", "under-score"), ("x" * 40, "x" * 32), ("-", "service")],
)
def test_a_name_that_is_none_is_refused_with_the_nearest_that_is_one(desk: Desk, code: Code, name: str, nearest: str) -> None:
    with pytest.raises(UsageError, match=f"Try '{nearest}'"):
        services.deploy_service(desk.owner, NewService(name=name, code=code))


def test_a_name_that_is_taken_is_refused_unless_it_is_to_be_overwritten(desk: Desk, code: Code, tmp_path: Path) -> None:
    first = deployed(desk.owner, NewService(name="churn", code=code, tags={"team": "a"}))
    with pytest.raises(Conflict, match="service 'churn' already"):
        services.deploy_service(desk.owner, NewService(name="churn", code=code))
    other = upload_script(desk.owner, tmp_path / "other", answering(2))
    second = deployed(desk.owner, NewService(name="churn", code=other, overwrite=True, tags={"team": "b"}))
    assert (second.id, second.revision, second.port, second.tags) == (first.id, 2, first.port, {"team": "b"})
    with pytest.raises(UsageError, match="keeps its address"):
        services.deploy_service(desk.owner, NewService(name="churn", code=other, overwrite=True, port=9999))


def test_a_failing_first_deploy_is_failed_and_an_update_mends_it(desk: Desk, target: FakeTarget, code: Code) -> None:
    accepted = services.deploy_service(desk.owner, NewService(name="churn", code=code))
    target.fail(accepted.handle, INIT_RAISED)
    service = settled(desk.owner, "churn")
    assert (service.state, service.revision, service.message) == (ServiceState.FAILED, None, INIT_RAISED.message)
    assert service.update_error is not None
    assert (service.update_error.stage, service.update_error.cause, service.update_error.log_lines) == ("proving", "init-raised", ["a", "b"])
    services.change_service(desk.owner, "churn", ServiceChange(settings=Settings(log_level="debug")))
    mended = settled(desk.owner, "churn")
    assert (mended.state, mended.revision, mended.update_error) == (ServiceState.HEALTHY, 2, None)


def test_a_failing_update_leaves_the_old_revision_and_says_why(desk: Desk, target: FakeTarget, code: Code) -> None:
    first = deployed(desk.owner, NewService(name="churn", code=code, settings=Settings(workers=2)))
    target.fail(first.handle, INIT_RAISED)
    services.change_service(desk.owner, "churn", ServiceChange(settings=Settings(log_level="debug")))
    service = settled(desk.owner, "churn")
    assert (service.state, service.revision, service.wanted_revision) == (ServiceState.HEALTHY, 1, 2)
    assert service.update_error is not None
    assert service.update_error.cause == "init-raised"
    assert service.settings == first.settings
    services.change_service(desk.owner, "churn", ServiceChange(settings=Settings(workers=3)))
    third = settled(desk.owner, "churn")
    assert (third.revision, third.update_error, third.settings) == (3, None, Settings(workers=3))


def test_a_script_that_is_no_python_fails_while_it_is_packaged(desk: Desk, tmp_path: Path) -> None:
    broken = upload_script(desk.owner, tmp_path / "broken", "def init(:\n")
    service = deployed(desk.owner, NewService(name="churn", code=broken))
    assert service.state is ServiceState.FAILED
    assert service.update_error is not None
    assert (service.update_error.stage, service.update_error.cause) == ("packaging", "usage-error")
    assert "line 1" in service.update_error.message


def test_a_package_that_nobody_has_fails_while_the_environment_is_made(desk: Desk, code: Code) -> None:
    wish = {"spec": {"requirements": ["there-is-no-such-package-of-this-name==1.0"]}}
    body = {"name": "churn", "code": code.model_dump(), "environment": wish}
    assert desk.owner.http.post(desk.owner.path("services"), json=body).status_code == 202
    service = settled(desk.owner, "churn")
    assert service.update_error is not None
    assert service.update_error.stage == "environment"
    assert "there-is-no-such-package-of-this-name" in service.update_error.message


def test_an_update_while_one_is_on_its_way_is_refused_but_a_rollback_is_not(desk: Desk, target: FakeTarget, code: Code) -> None:
    deployed(desk.owner, NewService(name="churn", code=code))
    target.is_patient = True
    services.change_service(desk.owner, "churn", ServiceChange(settings=Settings(workers=2)))
    with pytest.raises(Conflict, match="Revision 2 of the service 'churn' is on its way"):
        services.change_service(desk.owner, "churn", ServiceChange(settings=Settings(workers=3)))
    assert services.change_service(desk.owner, "churn", ServiceChange(description="ours")).description == "ours"
    until(lambda: services.show_service(desk.owner, "churn").stage is Stage.PROVING, "the update to be proved")
    services.roll_back_service(desk.owner, "churn", 1)
    target.is_patient = False
    service = settled(desk.owner, "churn")
    assert (service.state, service.revision, service.update_error) == (ServiceState.HEALTHY, 3, None)
    told = {each.number: each for each in services.list_revisions(desk.owner, "churn")}
    assert (told[2].state, told[2].failure and told[2].failure.cause) == ("failed", "superseded")
    assert (told[3].reason, told[3].rollback_of, told[3].bundle_digest) == ("rollback", 1, told[1].bundle_digest)
    assert [told[1].state, told[3].state] == ["replaced", "running"]


def test_scaling_makes_nothing_anew(desk: Desk, target: FakeTarget, code: Code) -> None:
    deployed(desk.owner, NewService(name="churn", code=code))
    services.change_service(desk.owner, "churn", ServiceChange(settings=Settings(replicas=4)))
    service = settled(desk.owner, "churn")
    revision = next(services.list_revisions(desk.owner, "churn"))
    assert (service.workers_ready, revision.reason, target.applied[-1].bundle) == (4, "scale", target.applied[0].bundle)


def test_a_reload_starts_the_same_once_more_or_with_another_script(desk: Desk, target: FakeTarget, code: Code, tmp_path: Path) -> None:
    deployed(desk.owner, NewService(name="churn", code=code))
    services.reload_service(desk.owner, "churn")
    assert settled(desk.owner, "churn").revision == 2
    assert target.applied[-1].bundle == target.applied[0].bundle
    services.reload_service(desk.owner, "churn", Reload(code=upload_script(desk.owner, tmp_path / "other", answering(2))))
    assert settled(desk.owner, "churn").revision == 3
    assert target.applied[-1].bundle != target.applied[0].bundle


def test_a_deleted_service_ends_and_its_name_is_free(desk: Desk, target: FakeTarget, code: Code) -> None:
    first = deployed(desk.owner, NewService(name="churn", code=code))
    assert services.wait_gone(desk.owner, services.delete_service(desk.owner, "churn"))
    assert target.observe(first.handle).state is State.STOPPED
    with pytest.raises(NotFound, match="no service 'churn'"):
        services.show_service(desk.owner, "churn")
    again = deployed(desk.owner, NewService(name="churn", code=code))
    assert (again.id == first.id, again.revision) == (False, 1)


def test_a_service_that_ended_by_itself_is_started_again(desk: Desk, target: FakeTarget, code: Code) -> None:
    service = deployed(desk.owner, NewService(name="churn", code=code))
    target.kill(service.handle)
    until(lambda: "restarted" in events_of(desk.owner, "churn"), "the end to be noticed")
    until(lambda: target.observe(service.handle).state is State.RUNNING, "the service to run again")
    until(lambda: services.show_service(desk.owner, "churn").state is ServiceState.HEALTHY, "its state to say so")
    assert services.show_service(desk.owner, "churn").revision == 1


def test_a_service_that_has_ended_a_thousand_times_is_started_again_all_the_same(desk: Desk, target: FakeTarget, code: Code) -> None:
    service = deployed(desk.owner, NewService(name="churn", code=code))
    with desk.context.database.writing() as session:
        session.execute(update(ServiceRow).values(tries=5000))
    target.kill(service.handle)
    until(lambda: "restarted" in events_of(desk.owner, "churn"), "the end to be noticed")
    assert "It is started again in 60 s." in services.show_service(desk.owner, "churn").message


def test_a_failure_in_words_that_no_database_takes_is_told_all_the_same(desk: Desk, target: FakeTarget, code: Code) -> None:
    service = deployed(desk.owner, NewService(name="churn", code=code))
    target.fail(service.handle, replace(INIT_RAISED, message="no column 'a\0b'", log_lines=("caf\udce9",)))
    services.change_service(desk.owner, "churn", ServiceChange(code=code))
    after = settled(desk.owner, "churn", timeout=60)
    assert (after.state, after.revision) == (ServiceState.HEALTHY, 1)
    assert after.update_error is not None
    assert (after.update_error.message, after.update_error.log_lines) == ("no column 'a\ufffdb'", ["caf\ufffd"])


def test_a_line_whose_time_has_no_zone_is_shown(desk: Desk, target: FakeTarget, code: Code) -> None:
    service = deployed(desk.owner, NewService(name="churn", code=code))
    for moment in ("2020-01-01T00:00:00", "2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"):
        target.say(service.handle, "said", time=moment)
    lines = [json.loads(line) for line in services.read_logs(desk.owner, "churn", since=datetime(2021, 1, 1, tzinfo=UTC))]
    assert [line["time"] for line in lines if line["message"] == "said"] == ["2020-01-01T00:00:00", "2999-01-01T00:00:00Z"]


def test_a_secret_that_is_gone_fails_the_deploy_that_needs_it(desk: Desk, target: FakeTarget, code: Code) -> None:
    wish = Settings(secrets=["pass"])
    refused(desk.owner, "POST", desk.owner.path("services"), {"name": "churn", "code": code.model_dump(), "settings": {"secrets": ["pass"]}})
    desk.owner.request("PUT", desk.owner.path("secrets", "pass"), json={"value": "s3cret"})
    service = deployed(desk.owner, NewService(name="churn", code=code, settings=wish))
    assert target.applied[-1].secrets == {"pass": b"s3cret"}
    desk.owner.request("DELETE", desk.owner.path("secrets", "pass"))
    services.regenerate_key(desk.owner, "churn", "primary")
    until(lambda: "failed" in events_of(desk.owner, "churn"), "the target to be told in vain")
    after = services.show_service(desk.owner, "churn")
    assert (after.state, after.revision) == (ServiceState.HEALTHY, service.revision)
    assert "no secret 'pass'" in after.message


def test_tags_change_and_properties_stay(desk: Desk, code: Code) -> None:
    deployed(desk.owner, NewService(name="churn", code=code, tags={"a": "1", "b": "2"}, properties={"run": "7"}))
    changed = services.change_service(desk.owner, "churn", ServiceChange(tags={"a": None, "c": "3"}, properties={"more": "x"}))
    assert (changed.tags, changed.properties, changed.wanted_revision) == ({"b": "2", "c": "3"}, {"run": "7", "more": "x"}, 1)
    with pytest.raises(Conflict, match="property 'run' of the service 'churn' is '7' for good"):
        services.change_service(desk.owner, "churn", ServiceChange(properties={"run": "8"}))


def test_a_list_is_filtered_and_comes_in_pages(desk: Desk, code: Code) -> None:
    for name, team in (("churn-a", "x"), ("churn-b", "y"), ("fraud", "x")):
        services.deploy_service(desk.owner, NewService(name=name, code=code, tags={"team": team}))
    for name in ("churn-a", "churn-b", "fraud"):
        settled(desk.owner, name)

    def names(**filters: str) -> list[str]:
        return [each.name for each in services.list_services(desk.owner, **filters)]

    assert names() == ["churn-a", "churn-b", "fraud"]
    assert (names(prefix="churn-"), names(tag="team=x"), names(tag="team"), names(tag="nobody")) == (
        ["churn-a", "churn-b"],
        ["churn-a", "fraud"],
        ["churn-a", "churn-b", "fraud"],
        [],
    )
    assert (names(state="Healthy", prefix="f"), names(state="Failed"), names(model="churn:1")) == (["fraud"], [], [])
    first = desk.owner.http.get(desk.owner.path("services"), params={"limit": 2}).json()
    second = desk.owner.http.get(desk.owner.path("services"), params={"limit": 2, "after": first["next"]}).json()
    assert ([each["name"] for each in first["items"] + second["items"]], second["next"]) == (names(), None)


def test_what_changed_meanwhile_is_not_changed(desk: Desk, code: Code) -> None:
    deployed(desk.owner, NewService(name="churn", code=code))
    seen = services.read_service(desk.owner, "churn")
    services.change_service(desk.owner, "churn", ServiceChange(description="mine"), etag=seen.etag)
    with pytest.raises(Changed, match="has changed since"):
        services.change_service(desk.owner, "churn", ServiceChange(description="yours"), etag=seen.etag)


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"name": "churn"}, 400, "nothing to serve with neither"),
        ({"name": "churn", "code": {"tree": "0" * 64, "entry_script": "score.py"}}, 400, "is not in this workspace"),
        ({"name": "churn", "bundle": "0" * 64}, 400, "is not in this workspace"),
        ({"name": "churn", "models": ["nobody:1"]}, 404, "nobody"),
        ({"name": "churn", "environment": {"name": "nobody:1"}}, 404, "nobody"),
        ({"name": "churn", "environment": {"spec": {"colour": 1}}}, 400, "colour"),
        ({"name": "churn", "settings": {"workers": 0}}, 400, "workers"),
        ({"name": "churn", "inference_config": {"a": ["b\0"]}}, 400, "NUL"),
        ({"name": "churn", "auth": "none", "host": "0.0.0.0"}, 400, "may listen on this machine alone"),  # noqa: S104 - refused
        ({"name": "churn", "auth": "none", "primary_key": "k" * 20}, 400, "leave them out"),
        ({"name": "churn", "tls_cert": "nonsense", "tls_key": "nonsense"}, 400, "cannot be used"),
        ({"name": "churn", "tls_cert": "nonsense"}, 400, "needs both"),
    ],
)
def test_a_deploy_that_makes_no_sense_is_refused_and_leaves_nothing(desk: Desk, body: dict[str, object], status: int, says: str) -> None:
    said = refused(desk.owner, "POST", desk.owner.path("services"), body)
    assert (said[0], says in said[1]) == (status, True), said
    assert list(services.list_services(desk.owner)) == []


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"rollback_to": 7}, 404, "no earlier revision 7"),
        ({"rollback_to": 1}, 404, "no earlier revision 1"),
        ({"rollback_to": 1, "models": ["a:1"]}, 400, "give nothing else"),
        ({"sample_output": "1"}, 400, "give both"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused_and_changes_nothing(desk: Desk, code: Code, body: dict[str, object], status: int, says: str) -> None:
    before = deployed(desk.owner, NewService(name="churn", code=code))
    said = refused(desk.owner, "PATCH", desk.owner.path("services", "churn"), body)
    assert (said[0], says in said[1]) == (status, True), said
    assert services.show_service(desk.owner, "churn") == before


def test_a_request_that_waits_ends_with_the_server(local_plane: ControlPlane) -> None:
    with local_plane.transport() as owner, ThreadPoolExecutor(1) as pool:
        seen = deployed(owner, NewService(name="churn", code=upload_script(owner, local_plane.home / "code"))).serial
        waiting = pool.submit(owner.http.get, owner.path("services", "churn"), params={"wait": 60, "seen": seen + 1000})
        until(lambda: _connections(local_plane) > 0, "the request to wait")
        began = time.monotonic()
        local_plane.stop()
        assert waiting.result(30).status_code == 200
        assert time.monotonic() - began < 30, "half of what it would have waited"


def _connections(plane: ControlPlane) -> int:
    return len([each for each in psutil.Process(plane.process.pid).net_connections("tcp") if each.status == psutil.CONN_ESTABLISHED])
