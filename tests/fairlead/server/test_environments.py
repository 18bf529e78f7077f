"""Registered environments over HTTP, on both databases."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from fairlead.client import environments
from fairlead.client.transport import Transport
from fairlead.environments.spec import EnvironmentSpec
from fairlead.errors import Changed, Conflict, EnvironmentFailure, InUse, NotFound, UsageError
from fairlead.schemas.environments import EnvironmentChange, EnvironmentVersion, NewEnvironmentVersion
from fairlead.server.db import Database
from fairlead.server.environments import service, uses
from fairlead.server.ids import new_id
from tests.control_plane import ControlPlane, ControlPlanes
from tests.fairlead.conftest import Wheel
from tests.waiting import until


def locked(*pins: str, python: str = "3.11", **more: Any) -> dict[str, Any]:
    """A specification that brings its lock, so that no index is asked."""
    hashes = {pin: hashlib.sha256(pin.encode()).hexdigest() for pin in pins}
    text = "".join(f"{pin} \\\n    --hash=sha256:{digest}\n" for pin, digest in hashes.items())
    return EnvironmentSpec.from_lock(text, python=python).to_json() | more


@pytest.fixture
def index_env(index: Path, tmp_path: Path) -> dict[str, str]:
    """For a server whose uv takes packages from the folder of the test alone."""
    return {"UV_DEFAULT_INDEX": (tmp_path / "no-index").as_uri(), "UV_FIND_LINKS": str(index), "UV_CACHE_DIR": str(tmp_path / "cache")}


@pytest.fixture
def database(shared_plane: ControlPlane) -> Iterator[Database]:
    """The shared server's own, for what only other parts of the server do."""
    opened = Database(shared_plane.database_url)
    yield opened
    opened.close()


def test_versions_count_up_and_show_what_was_locked(owner: Transport) -> None:
    first = environments.create(owner, "scoring", locked("six==1.16.0", "idna==3.4", variables={"A": "b"}), description="ours", tags={"team": "x"})
    second = environments.create(owner, "scoring", locked("six==1.17.0"))
    assert (first.reference, second.reference) == ("scoring:1", "scoring:2")
    assert (first.packages, first.variables, first.tags) == ({"idna": "3.4", "six": "1.16.0"}, {"A": "b"}, {"team": "x"})
    shown = environments.show(owner, "scoring", "1")
    assert shown == first
    assert shown.lock is not None
    assert shown.lock_digest == hashlib.sha256(shown.lock.encode()).hexdigest()
    assert owner.request("GET", owner.path("environments", "scoring", "versions", "1", "lock")).text == shown.lock
    assert environments.show(owner, "SCORING").version == 2
    assert [each.version for each in environments.versions(owner, "scoring")] == [2, 1]
    listed = list(environments.list_all(owner, name="COR"))
    assert [(each.name, each.latest_version, each.versions) for each in listed] == [("scoring", 2, 2)]
    assert list(environments.list_all(owner, name="%")) == []


def test_the_same_again_is_the_version_there_is(owner: Transport) -> None:
    first = environments.create(owner, "scoring", locked("six==1.16.0"))
    assert environments.create(owner, "scoring", locked("six==1.16.0")) == first
    assert environments.create(owner, "scoring", locked("six==1.17.0")).version == 2
    assert environments.create(owner, "scoring", locked("six==1.16.0")).version == 3
    assert environments.create(owner, "scoring", locked("six==1.16.0", variables={"A": "b"})).version == 4


def test_many_at_once_lose_no_number(owner: Transport) -> None:
    def create(number: int) -> int:
        return environments.create(owner, "crowded", locked(f"six==1.{number}")).version

    with ThreadPoolExecutor(16) as pool:
        assert sorted(pool.map(create, range(32))) == list(range(1, 33))


def test_names_that_differ_in_case_are_one(owner: Transport) -> None:
    environments.create(owner, "Scoring", locked("six==1.16.0"))
    with pytest.raises(Conflict, match=r"There is an environment 'Scoring', and names that differ only in case are one"):
        environments.create(owner, "scoring", locked("six==1.16.0"))
    assert environments.show(owner, "Scoring").version == 1


def test_differences_by_package(owner: Transport) -> None:
    environments.create(owner, "scoring", locked("six==1.16.0", "idna==3.4", python="3.9"))
    environments.create(owner, "scoring", locked("six==1.17.0", "attrs==25.1", python="3.11", variables={"A": "b"}))
    found = environments.compare(owner, "scoring", "1")
    assert (found.first, found.second, found.python) == ("scoring:1", "scoring:2", ["3.9", "3.11"])
    assert found.packages == {"attrs": [None, "25.1"], "idna": ["3.4", None], "six": ["1.16.0", "1.17.0"]}
    assert found.variables == {"A": [None, "b"]}


def test_an_archived_version_is_not_the_latest_and_stays_usable(owner: Transport) -> None:
    for number in (16, 17):
        environments.create(owner, "scoring", locked(f"six==1.{number}.0"))
    changed = environments.change(owner, "scoring", "2", EnvironmentChange(archived=True, tags={"why": "broken"}))
    assert (changed.archived, changed.tags) == (True, {"why": "broken"})
    assert environments.show(owner, "scoring").version == 1
    assert environments.show(owner, "scoring", "2").archived
    environments.change(owner, "scoring", "1", EnvironmentChange(archived=True))
    with pytest.raises(NotFound, match="has no latest version: all are archived or deleted"):
        environments.show(owner, "scoring")
    assert environments.change(owner, "scoring", "2", EnvironmentChange(archived=False, tags={"why": None})).tags == {}
    assert environments.show(owner, "scoring").version == 2


def test_a_change_of_what_has_changed_is_refused(owner: Transport) -> None:
    environments.create(owner, "scoring", locked("six==1.16.0"))
    path = owner.path("environments", "scoring", "versions", "1")
    seen = owner.send(EnvironmentVersion, "GET", path)
    environments.change(owner, "scoring", "1", EnvironmentChange(description="theirs"))
    for method, body in (("PATCH", EnvironmentChange(description="ours")), ("DELETE", None)):
        with pytest.raises(Changed, match="scoring:1 has changed since you read it"):
            owner.send(EnvironmentVersion, method, path, body=body, headers={"if-match": seen.etag or ""})


def test_what_is_used_is_not_deleted(owner: Transport, database: Database) -> None:
    for number in (16, 17):
        environments.create(owner, "scoring", locked(f"six==1.{number}.0"))
    row_id, service_id = environments.show(owner, "scoring", "1").id, new_id()
    with database.writing() as session:
        for _ in range(2):
            uses.begin(session, row_id, object_id=service_id, name="churn-api", revision=1)
    for version in ("1", None):
        with pytest.raises(InUse, match=r"is used by service churn-api; delete or update it first") as caught:
            environments.delete(owner, "scoring", version)
        assert caught.value.facts["used_by"] == ["service churn-api"]
    assert [(each.name, each.current) for each in environments.uses(owner, "scoring", "1")] == [("churn-api", True)]
    with database.writing() as session:
        uses.end(session, service_id)
    environments.delete(owner, "scoring", "1")
    with database.writing() as session, pytest.raises(NotFound, match="scoring:1 was deleted meanwhile"):
        uses.begin(session, row_id, object_id=service_id, name="churn-api", revision=2)
    assert environments.create(owner, "scoring", locked("six==1.18.0")).version == 3, "a number is not given again"
    environments.delete(owner, "scoring")
    with pytest.raises(NotFound, match="There is no environment 'scoring'"):
        environments.show(owner, "scoring")
    assert environments.create(owner, "scoring", locked("six==1.16.0")).version == 1


def test_a_deploy_takes_the_lock_along(owner: Transport, database: Database) -> None:
    made = environments.create(owner, "scoring", locked("six==1.16.0", variables={"A": "b"}))
    workspace_id = owner.http.get(owner.path()).json()["id"]
    with database.reading() as session:
        spec = service.spec_of(service.resolve(session, workspace_id, "scoring:1"))
        with pytest.raises(UsageError, match="names no environment"):
            service.resolve(session, workspace_id, "scoring:x")
    assert (spec.lock, spec.python, spec.variables) == (made.lock, "3.11", {"A": "b"})


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "says"),
    [
        ("POST", "", {"name": "a b", "spec": {}}, 400, "body.name"),
        ("POST", "", {"name": "a", "spec": {"pyhton": "3.11"}}, 400, "'pyhton'"),
        ("POST", "", {"name": "a", "spec": {"requirements": ["-e ."]}}, 400, "is no requirement"),
        ("POST", "", {"name": "a", "spec": {"requirements": ["x @ file:///etc/passwd"]}}, 400, "comes from an address or a folder"),
        ("POST", "", {"name": "a", "spec": {"lock": "six==1\n", "python": "3.11"}}, 400, "has no hashes"),
        ("POST", "", {"name": "a", "spec": {"lock": "-r /etc/passwd\n", "python": "3.11"}}, 400, "did not come along"),
        ("POST", "", {"name": "a", "spec": {"conda_packages": ["mkl"]}}, 422, "Only conda has mkl"),
        ("GET", "/none", None, 404, "There is no environment 'none'"),
        ("GET", "/none/versions/0", None, 400, "path.version"),
        ("GET", "/none/versions/1/build?offset=-1", None, 400, "query.offset"),
        ("GET", "/none/diff", None, 400, "query.first"),
        ("DELETE", "/none", None, 404, "There is no environment 'none'"),
    ],
)
def test_bad_requests_write_nothing(owner: Transport, method: str, path: str, body: Any, status: int, says: str) -> None:
    answer = owner.http.request(method, owner.path("environments") + path, json=body)
    assert (answer.status_code, says in answer.text) == (status, True), answer.text
    assert list(environments.list_all(owner)) == []


def test_a_create_sent_twice_with_one_key_happens_once(owner: Transport) -> None:
    body = NewEnvironmentVersion(name="scoring", spec=locked("six==1.16.0"))
    answers = [owner.send(EnvironmentVersion, "POST", owner.path("environments"), body=body, headers={"idempotency-key": "k"}) for _ in range(2)]
    assert answers[0].value == answers[1].value
    assert answers[1].headers["idempotency-replayed"] == "true"


def test_locked_built_and_told(control_planes: ControlPlanes, database_url: str, wheel: Wheel, index_env: dict[str, str]) -> None:
    wheel("alpha", "1.0", requires=("beta",))
    wheel("beta", "2.0")
    wheel("windows", "1.0", tag="py3-none-win_amd64")
    plane = control_planes(database_url=database_url, env=index_env)
    with plane.transport() as owner:
        made = environments.create(owner, "scoring", {"requirements": ["alpha"]})
        assert made.packages == {"alpha": "1.0", "beta": "2.0"}
        with pytest.raises(EnvironmentFailure, match="There is no package 'nowhere'") as caught:
            environments.create(owner, "scoring", {"requirements": ["nowhere"]})
        assert caught.value.cause == "no-such-package"
        assert environments.build_state(owner, "scoring").state == "absent"
        assert environments.build(owner, "scoring").state == "building"
        said: list[str] = []
        told = environments.follow_build(owner, "scoring", "1", said.append, lambda: None)
        assert (told.state, (told.size or 0) > 0) == ("built", True)
        assert "Installing 2 packages" in said
        assert environments.build(owner, "scoring").state == "built"
        with pytest.raises(EnvironmentFailure, match=r"windows==1\.0 has no wheel"):
            environments.create(owner, "foreign", {"requirements": ["windows"]})
        environments.create(owner, "foreign", locked("windows==1.0"))
        environments.build(owner, "foreign")
        until(lambda: environments.build_state(owner, "foreign").state == "failed", "the build to fail")
        failed = environments.build_state(owner, "foreign")
        assert (failed.cause, "windows==1.0 has no wheel" in failed.message) == ("no-wheel", True)
        wheel("alpha", "1.1")
        assert environments.create(owner, "scoring", {"requirements": ["alpha"]}).packages["alpha"] == "1.1"
