"""Services that really run: deployed over HTTP, called with what the server handed out, found again in logs and traces."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import jwt
import pytest

from fairlead.client import services
from fairlead.client.transport import Transport
from fairlead.errors import InUse, NotFound, Unavailable, UsageError
from fairlead.schemas.models import ModelVersion
from fairlead.schemas.services import NewService, Service, ServiceChange, ServiceState, Settings
from fairlead.sdk.registering import Registration, register
from tests.control_plane import ControlPlane, ControlPlanes
from tests.fairlead.server.services.desk import answering, deployed, settled, upload_script
from tests.waiting import until

READS_ITS_MODEL = """
import json, os
from pathlib import Path

def init():
    global factor
    folder = Path(os.environ["AZUREML_MODEL_DIR"])
    factor = json.loads((folder / "factor.json").read_text())["factor"]

def run(raw):
    return [factor * each for each in json.loads(raw)["data"]]
"""


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    planes = ControlPlanes(tmp_path_factory.mktemp("plane"))
    try:
        yield planes()
    finally:
        planes.end()


@pytest.fixture
def owner(plane: ControlPlane) -> Iterator[Transport]:
    with plane.transport() as transport:
        yield transport
        for service in list(services.list_services(transport)):
            services.wait_gone(transport, services.delete_service(transport, service.name))


def factor(owner: Transport, folder: Path, value: int) -> ModelVersion:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "factor.json").write_text(json.dumps({"factor": value}))
    return register(owner, Registration(path=folder / "factor.json", name="factor"))


def call(owner: Transport, service: Service, body: Any, *, key: str | None = None, **headers: str) -> httpx2.Response:
    if key is None and service.auth == "key":
        key = services.show_keys(owner, service.name).primary
    sent = {"authorization": f"Bearer {key}"} if key else {}
    assert service.scoring_uri is not None
    return httpx2.post(service.scoring_uri, json=body, headers=sent | headers, timeout=30, trust_env=False)


def test_models_are_deployed_updated_and_traced_back(owner: Transport, tmp_path: Path) -> None:
    first = factor(owner, tmp_path, 2)
    code = upload_script(owner, tmp_path / "code", READS_ITS_MODEL)
    new = NewService(name="times", models=["factor"], code=code, sample_input='{"data": [1]}', sample_output="[2]", git_commit="abc123", git_dirty=True)
    service = deployed(owner, new)
    assert (service.state, service.models) == (ServiceState.HEALTHY, ["factor:1"]), service.update_error
    answer = call(owner, service, {"data": [1, 2]}, **{"x-request-id": "traced-1"})
    assert answer.json() == [2, 4]
    with pytest.raises(InUse, match="service times"):
        owner.request("DELETE", owner.path("models", "factor", "versions", "1"))
    factor(owner, tmp_path, 3)
    services.change_service(owner, "times", ServiceChange(models=["factor:2"], sample_input='{"data": [1]}', sample_output="[3]"))
    updated = settled(owner, "times")
    assert (updated.revision, updated.models, updated.scoring_uri) == (2, ["factor:2"], service.scoring_uri), updated.update_error
    assert call(owner, updated, {"data": [1, 2]}).json() == [3, 6]

    of_revision = services.trace(owner, answer.headers["x-fairlead-revision"])
    of_request = until(lambda: _traced(owner, "traced-1"), "the request to be in the log")
    assert of_request.model_copy(update={"request": None}) == of_revision
    assert (of_revision.service, of_revision.revision.number, of_revision.revision.git_commit, of_revision.revision.git_dirty) == ("times", 1, "abc123", True)
    assert [(each["name"], each["version"], each["tree"]) for each in of_revision.models] == [("factor", 1, first.tree)]
    assert of_revision.bundle_digest
    assert of_revision.environment_lock
    assert of_revision.deployed_by == of_revision.models[0]["registered_by"]
    with pytest.raises(NotFound, match="neither a revision"):
        services.trace(owner, "nonsense")


def test_what_no_revision_needs_any_more_can_be_deleted(owner: Transport, tmp_path: Path) -> None:
    for value in (2, 3):
        factor(owner, tmp_path, value)
    first, second = ("factor:latest", "factor:1")
    code = upload_script(owner, tmp_path / "code", READS_ITS_MODEL)
    service = deployed(owner, NewService(name="times", models=[first], code=code))
    latest = service.models[0].rpartition(":")[2]
    services.change_service(owner, "times", ServiceChange(models=[second]))
    settled(owner, "times")
    owner.request("DELETE", owner.path("models", "factor", "versions", latest))
    services.roll_back_service(owner, "times", 1)
    back = settled(owner, "times")
    assert (back.revision, back.models, back.state) == (3, [f"factor:{latest}"], ServiceState.HEALTHY)
    assert call(owner, back, {"data": [1]}).json() == [3]


def test_a_key_that_is_regenerated_replaces_the_old_one_within_a_second(owner: Transport, tmp_path: Path) -> None:
    service = deployed(owner, NewService(name="keys", code=upload_script(owner, tmp_path)))
    before = services.show_keys(owner, "keys")
    assert [call(owner, service, {}, key=key).status_code for key in (before.primary, before.secondary, "wrong")] == [200, 200, 401]
    after = services.regenerate_key(owner, "keys", "primary")
    until(lambda: call(owner, service, {}, key=before.primary).status_code == 401, "the old key to be of no use")
    assert [call(owner, service, {}, key=key).status_code for key in (after.primary, after.secondary)] == [200, 200]
    assert after.secondary == before.secondary
    own = services.regenerate_key(owner, "keys", "secondary", "a-key-of-ones-own-that-is-long")
    until(lambda: call(owner, service, {}, key=own.secondary).status_code == 200, "the given key to be taken")
    assert next(services.list_revisions(owner, "keys")).number == 1
    with pytest.raises(UsageError, match="other key"):
        services.regenerate_key(owner, "keys", "primary", own.secondary)


def test_tokens_are_read_by_others_and_expire(owner: Transport, tmp_path: Path) -> None:
    service = deployed(owner, NewService(name="tokens", code=upload_script(owner, tmp_path), auth="token"))
    token = services.make_access_token(owner, "tokens", expires_in_seconds=600)
    claims = jwt.decode(token.access_token, options={"verify_signature": False}, audience=service.handle)
    assert (jwt.get_unverified_header(token.access_token)["alg"], claims["aud"], claims["exp"] - claims["iat"]) == ("HS256", service.handle, 600)
    assert int(token.expiry_on.timestamp()) == claims["exp"]
    forged = jwt.encode({"aud": service.handle, "iss": claims["iss"], "exp": claims["exp"]}, "x" * 32, algorithm="HS256")
    answers = [call(owner, service, {}, key=key).status_code for key in (token.access_token, forged, "")]
    assert answers == [200, 401, 401]
    with pytest.raises(UsageError, match="has no keys: its auth is token"):
        services.show_keys(owner, "tokens")
    services.change_service(owner, "tokens", ServiceChange(auth="key"))
    with pytest.raises(UsageError, match="takes no tokens: its auth is key"):
        services.make_access_token(owner, "tokens")
    until(lambda: call(owner, service, {}, key=services.show_keys(owner, "tokens").primary).status_code == 200, "keys to be asked for")
    assert call(owner, service, {}, key=token.access_token).status_code == 401


def test_an_open_service_needs_no_key_and_has_none(owner: Transport, tmp_path: Path) -> None:
    service = deployed(owner, NewService(name="open", code=upload_script(owner, tmp_path), auth="none"))
    assert call(owner, service, {}, key="").status_code == 200
    with pytest.raises(UsageError, match="has no keys: its auth is none"):
        services.regenerate_key(owner, "open", "primary")


def test_logs_are_filtered_and_followed(owner: Transport, tmp_path: Path) -> None:
    talking = "def init():\n    print('loaded')\n\n\ndef run(data):\n    print('called with', data)\n    return 1\n"
    service = deployed(owner, NewService(name="talks", code=upload_script(owner, tmp_path, talking)))
    for number in range(3):
        call(owner, service, number, **{"x-request-id": f"r-{number}"})
    until(lambda: len(list(services.read_logs(owner, "talks", request_id="r-2"))) >= 2, "the last request's lines")
    lines = [json.loads(line) for line in services.read_logs(owner, "talks", tail=1000)]
    assert {"loaded", "called with 0", "called with 2"} <= {line.get("message") for line in lines}
    assert len(list(services.read_logs(owner, "talks", tail=2))) == 2
    assert all("r-1" in line for line in services.read_logs(owner, "talks", request_id="r-1"))
    assert list(services.read_logs(owner, "talks", revision=1))
    with pytest.raises(NotFound, match="no revision 7"):
        services.read_logs(owner, "talks", revision=7)
    with ThreadPoolExecutor(1) as pool:
        followed = pool.submit(next, services.read_logs(owner, "talks", tail=0, follow=True, request_id="later"))
        until(lambda: call(owner, service, 9, **{"x-request-id": "later"}).is_success and followed.done(), "a line that came later")
        assert "later" in followed.result()


def test_callers_who_follow_logs_and_go_keep_nobody_waiting(owner: Transport, tmp_path: Path) -> None:
    """Two rounds are more than may follow at once: the second finds room because the first has gone."""
    deployed(owner, NewService(name="quiet", code=upload_script(owner, tmp_path)))
    for _ in range(2):
        following = [until(lambda: _follow(owner, "quiet"), "room to follow")[0] for _ in range(60)]
        assert all(next(lines) for lines in following)
        assert services.show_service(owner, "quiet").state is ServiceState.HEALTHY
        for lines in following:
            lines.close()  # type: ignore[attr-defined]


def test_secrets_and_variables_reach_the_script(owner: Transport, tmp_path: Path) -> None:
    reads = (
        "import os\nfrom pathlib import Path\n\n\ndef init():\n    pass\n\n\n"
        "def run(data):\n    return [Path(os.environ['FAIRLEAD_SECRETS_DIR'], 'pass').read_text(), os.environ['COLOUR']]\n"
    )
    owner.request("PUT", owner.path("secrets", "pass"), json={"value": "s3cret"})
    wish = Settings(variables={"COLOUR": "red"}, secrets=["pass"])
    service = deployed(owner, NewService(name="reads", code=upload_script(owner, tmp_path, reads), settings=wish))
    assert call(owner, service, {}).json() == ["s3cret", "red"], service.update_error
    with pytest.raises(NotFound, match="no secret 'nobody'"):
        services.change_service(owner, "reads", ServiceChange(settings=Settings(secrets=["nobody"])))


def test_scaling_is_live(owner: Transport, tmp_path: Path) -> None:
    says_who = "import os\n\n\ndef init():\n    pass\n\n\ndef run(data):\n    return os.getpid()\n"
    service = deployed(owner, NewService(name="many", code=upload_script(owner, tmp_path, says_who)))
    services.change_service(owner, "many", ServiceChange(settings=Settings(workers=2)))
    scaled = settled(owner, "many")
    assert (scaled.workers_ready, scaled.workers_wanted, scaled.scoring_uri) == (2, 2, service.scoring_uri)
    assert len({call(owner, scaled, {}).json() for _ in range(20)}) == 2


@pytest.mark.parametrize(
    ("script", "cause", "says"),
    [
        ("def init():\n    raise ValueError('no luck')\n\n\ndef run(data):\n    return 1\n", "init-raised", "no luck"),
        ("import not_a_package_anywhere\n\n\ndef init():\n    pass\n\n\ndef run(data):\n    return 1\n", "package-missing", "not_a_package_anywhere"),
        (answering([1, 9, 3]), "answer-differs", "1"),
    ],
)
def test_an_update_that_cannot_run_leaves_the_old_one_and_says_why(owner: Transport, tmp_path: Path, script: str, cause: str, says: str) -> None:
    good = upload_script(owner, tmp_path / "good", answering([1, 2, 3]))
    service = deployed(owner, NewService(name="stays", code=good, sample_input="{}", sample_output="[1, 2, 3]"))
    bad = upload_script(owner, tmp_path / "bad", script)
    services.change_service(owner, "stays", ServiceChange(code=bad))
    after = settled(owner, "stays")
    assert (after.state, after.revision, after.wanted_revision) == (ServiceState.HEALTHY, 1, 2)
    assert after.update_error is not None
    assert (after.update_error.cause, says in after.update_error.message) == (cause, True), after.update_error
    assert len(after.update_error.log_lines) <= 50
    assert call(owner, service, {}).json() == [1, 2, 3]


def test_a_port_that_is_taken_fails_the_deploy(owner: Transport, tmp_path: Path) -> None:
    code = upload_script(owner, tmp_path)
    first = deployed(owner, NewService(name="first", code=code))
    second = deployed(owner, NewService(name="second", code=code, port=first.port))
    assert second.state is ServiceState.FAILED
    assert second.update_error is not None
    assert (second.update_error.cause, str(first.port) in second.update_error.message) == ("port-taken", True)


def _traced(owner: Transport, identity: str) -> Any:
    try:
        return services.trace(owner, identity)
    except NotFound:
        return None


def _follow(owner: Transport, name: str) -> list[Iterator[str]]:
    """Empty while too many follow."""
    try:
        return [services.read_logs(owner, name, tail=1, follow=True)]
    except Unavailable:
        return []
