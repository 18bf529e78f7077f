"""What may be asked for: names, places, lists, and what a job keeps from being deleted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fairlead.client import models
from fairlead.client.transport import Transport
from fairlead.errors import Forbidden, InUse, UsageError
from fairlead.schemas.access import AuditEvent
from fairlead.schemas.jobs import Job, JobState
from fairlead.schemas.services import Code
from fairlead.schemas.wire import Page
from fairlead.server.jobs.places import check_database, check_place
from fairlead.server.settings import Settings
from tests.fairlead.server.jobs.given import asked, new_job, over, running, shown
from tests.fairlead.server.registry.given import registered
from tests.fairlead.server.services.desk import refused


def test_the_same_name_with_the_same_words_is_the_same_job(owner: Transport, code: Code) -> None:
    body = new_job(code, "same").model_dump(mode="json", exclude_none=True)
    first, second = (owner.http.post(owner.path("jobs"), json=body) for _ in range(2))
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json()["id"] == second.json()["id"]
    assert first.headers["location"] == owner.path("jobs", first.json()["id"])
    assert owner.http.get(first.headers["location"]).json()["name"] == "same"
    status, said = refused(owner, "POST", owner.path("jobs"), body | {"arguments": ["--other"]})
    assert (status, said) == (409, "There is a job 'same' already, which was asked for in other words; choose another name, or delete that one.")


def test_a_job_without_a_name_is_called_after_the_time(owner: Transport, code: Code) -> None:
    names = [asked(owner, new_job(code)).name for _ in range(3)]
    assert len(set(names)) == 3
    assert all(len(each) >= len("2026-01-31_235959") and each[10] == "_" for each in names)


def test_an_idempotency_key_makes_one_job(owner: Transport, code: Code) -> None:
    body = new_job(code).model_dump(mode="json", exclude_none=True)
    first, second = (owner.http.post(owner.path("jobs"), json=body, headers={"idempotency-key": "one job"}) for _ in range(2))
    assert first.json() == second.json()
    assert second.headers["idempotency-replayed"] == "true"
    assert second.headers["location"] == first.headers["location"]


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"inputs": []}, "inputs must not be empty"),
        ({"inputs": [{"urls": ["/a"], "dataset": "x"}]}, "an input is one of"),
        ({"inputs": [{"urls": ["relative.csv"]}]}, "no absolute path"),
        ({"inputs": [{"urls": ["/a/../b"]}]}, "no absolute path"),
        ({"inputs": [{"urls": ["ftp://host/a"]}]}, "no place that jobs know"),
        ({"inputs": [{"urls": ["https://user:secret@host/a"]}]}, "holds a password"),
        ({"inputs": [{"urls": ["https://a.blob.core.windows.net/c/f?sig=abc"]}]}, "holds a password"),
        ({"inputs": [{"urls": ["https://h/c/f?x-amz-security-token=abc"]}]}, "holds a password"),
        ({"output": {"url": "https://h/out?Signature=abc"}}, "holds a password"),
        ({"inputs": [{"database": "mysql://host/x", "query": "select 1"}]}, "no database that jobs know"),
        ({"inputs": [{"dataset": "absent"}]}, "no data set 'absent'"),
        ({"inputs": [{"datastore": "absent", "path": "x"}]}, "no datastore 'absent'"),
        ({"engine": {"pool": "absent"}}, "no compute pool 'absent'"),
        ({"output": {"url": "https://host/out"}}, "can be read and not written"),
        ({"mini_batch": {"rows": 1, "files": 2}}, "give one of them"),
        ({"side_inputs": {"../x": {"urls": ["/a"]}}}, "side_inputs"),
        ({"script": "batch.py", "code": None, "models": ["absent"]}, "absent"),
        ({"name": "-leading"}, "name"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(owner: Transport, code: Code, said: dict[str, Any], sentence: str) -> None:
    body = new_job(code).model_dump(mode="json", exclude_none=True) | said
    status, detail = refused(owner, "POST", owner.path("jobs"), body)
    assert status in (400, 404)
    assert sentence in detail


def test_a_servers_disk_is_for_those_whom_its_owner_let_in(tmp_path: Path) -> None:
    team = Settings(state_dir=tmp_path, cache_dir=tmp_path, batch_roots=f"{tmp_path}/data:{tmp_path}/more")
    inside, outside = tmp_path / "data", tmp_path / "state"
    inside.mkdir()
    outside.mkdir()
    (inside / "way-out").symlink_to(outside)
    for url in (f"{inside}/a.csv", f"file://{inside}/*.parquet", f"{tmp_path}/more/x", "s3://bucket/x"):
        assert check_place(team, url) == url
    for url in (f"{outside}/master.key", f"{inside}/way-out/master.key", f"{tmp_path}/dat*/x", "/etc/passwd", f"file://{outside}/x"):
        with pytest.raises(Forbidden, match="where jobs may read only below"):
            check_place(team, url)
    with pytest.raises(Forbidden, match="leave the output out and download"):
        check_place(Settings(state_dir=tmp_path, cache_dir=tmp_path), "/anywhere", writes=True)
    with pytest.raises(Forbidden):
        check_database(team, f"sqlite:///{outside}/fairlead.db")
    assert check_place(Settings(state_dir=tmp_path, cache_dir=tmp_path, local=True), "/anywhere") == "/anywhere"
    with pytest.raises(UsageError, match="of another machine"):
        check_place(team, "file://elsewhere/x")


def test_lists_are_narrowed(owner: Transport, code: Code) -> None:
    version = registered(owner, "listed")
    made = [asked(owner, new_job(code, f"listed-{number}", models=[f"listed:{version.version}"], experiment="exp-l")) for number in range(3)]
    ended = [over(owner, each.id) for each in made]

    def found(**filters: Any) -> list[str]:
        return [each.name for each in owner.each(Job, owner.path("jobs"), {"limit": 2} | filters)]

    assert found(model="listed") == found(model=f"listed:{version.version}") == ["listed-2", "listed-1", "listed-0"]
    assert (found(model="listed:99"), found(model="other-model"), found(experiment="exp-l", state="Failed")) == ([], [], [])
    assert found(experiment="exp-l", state="Succeeded", kind="score") == ["listed-2", "listed-1", "listed-0"]
    assert found(experiment="exp-l", kind="program") == []
    assert found(experiment="exp-l", created_after=ended[1].created_at.isoformat()) == ["listed-2", "listed-1"]
    assert found(experiment="exp-l", created_before=ended[1].created_at.isoformat()) == ["listed-0"]


def test_a_version_that_a_running_job_needs_is_not_deleted(owner: Transport, code: Code) -> None:
    registered(owner, "needed")
    asked(owner, new_job(code, "needing", models=["needed:1"], variables={"SHARDS": "400", "PAUSE": "0.05"}))
    job = running(owner, "needing")
    assert job.models == ["needed:1"]
    assert [(each.kind, each.name, each.current) for each in models.each_use(owner, "needed:1")] == [("job", "needing", True)]
    with pytest.raises(InUse, match="job needing"):
        models.delete_version(owner, "needed:1")
    owner.send(Job, "POST", owner.path("jobs", "needing", "cancel"))
    assert over(owner, "needing").state is JobState.CANCELLED
    assert [(each.name, each.current) for each in models.each_use(owner, "needed:1")] == [("needing", False)]
    models.delete_version(owner, "needed:1")
    assert shown(owner, "needing").models == ["needed:1"]


def test_who_asked_cancelled_and_deleted_is_in_the_audit(owner: Transport, code: Code) -> None:
    job = asked(owner, new_job(code, "audited"))
    over(owner, job.id)
    owner.request("DELETE", owner.path("jobs", job.id))
    said = owner.get(Page[AuditEvent], owner.path("audit"), {"limit": 500}).items
    assert [each.action for each in said if each.object_id == job.id][::-1] == ["create", "delete"]
