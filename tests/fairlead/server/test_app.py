"""What stands around every route: problems, request ids, pages, tags, idempotency."""

from __future__ import annotations

import uuid

import pytest

from fairlead.client.transport import Transport
from fairlead.errors import Changed, Conflict, FairleadError, NotFound, Unauthenticated, UsageError, error_class
from fairlead.schemas.access import NewWorkspace, Workspace, WorkspaceChange
from fairlead.schemas.wire import Page
from tests.control_plane import ControlPlane


def test_a_problem_is_raised_again_as_the_class_that_it_names(shared_plane: ControlPlane, owner: Transport) -> None:
    with pytest.raises(Conflict, match=f"'{owner.workspace}' already"):
        owner.create(Workspace, "/v1/workspaces", NewWorkspace(name=owner.workspace))
    with shared_plane.transport(workspace="nowhere") as lost, pytest.raises(NotFound, match="no workspace 'nowhere'"):
        lost.get(Workspace, lost.path())
    with shared_plane.transport(token="fl_wrong") as stranger, pytest.raises(Unauthenticated, match="not known here"):
        stranger.get(Workspace, stranger.path())


def test_each_error_class_has_a_type_of_its_own() -> None:
    assert error_class("urn:fairlead:error:not-found") is NotFound
    assert error_class("urn:fairlead:error:usage-error") is UsageError
    assert error_class("urn:fairlead:error:of-a-newer-server") is FairleadError


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "says"),
    [
        ("GET", "/v1/nothing", None, 404, "There is no /v1/nothing here"),
        ("PUT", "/v1/workspaces", None, 405, "PUT is not a method"),
        ("POST", "/v1/workspaces", b"{", 400, "JSON"),
        ("POST", "/v1/workspaces", b'{"name": "UPPER"}', 400, "body.name"),
        ("POST", "/v1/workspaces", b'{"name": "team-b", "colour": "red"}', 400, "body.colour"),
        ("GET", "/v1/workspaces?limit=0", None, 400, "query.limit"),
        ("GET", "/v1/workspaces?after=%25%25", None, 400, "no cursor"),
    ],
)
def test_bad_requests_are_problems_in_one_sentence(lone_plane: ControlPlane, method: str, path: str, body: bytes | None, status: int, says: str) -> None:
    answer = lone_plane.request(method, path, content=body, headers={"x-request-id": "r-1", "content-type": "application/json"})
    told = answer.json()
    assert (answer.status_code, answer.headers["content-type"], answer.headers["x-request-id"]) == (status, "application/problem+json", "r-1")
    assert (told["status"], told["request_id"]) == (status, "r-1")
    assert says in told["detail"]


def test_a_body_that_curl_calls_a_form_is_told_its_content_type(lone_plane: ControlPlane) -> None:
    kind = {"content-type": "application/x-www-form-urlencoded"}
    answer = lone_plane.request("POST", "/v1/workspaces", content=b'{"name": "team-c"}', headers=kind)
    assert (answer.status_code, "Send `Content-Type: application/json`" in answer.json()["detail"]) == (400, True)
    assert "form-urlencoded" in answer.json()["detail"]
    broken = lone_plane.request("POST", "/v1/workspaces", content=b'{"name": "team-c",', headers={"content-type": "application/json"})
    assert broken.json()["detail"].startswith("The body is no JSON: ")


def test_pages_hold_every_item_once(control_plane: ControlPlane) -> None:
    with control_plane.transport() as owner:
        for number in range(7):
            owner.create(Workspace, "/v1/workspaces", NewWorkspace(name=f"team-{number}"))
        first = owner.get(Page[Workspace], "/v1/workspaces", {"limit": 3})
        second = owner.get(Page[Workspace], "/v1/workspaces", {"limit": 3, "after": first.next})
        third = owner.get(Page[Workspace], "/v1/workspaces", {"limit": 3, "after": second.next})
    names = [each.name for page in (first, second, third) for each in page.items]
    assert names == ["default", *(f"team-{number}" for number in range(7))]
    assert third.next is None


def test_a_change_of_what_has_changed_meanwhile_is_refused(owner: Transport) -> None:
    seen = owner.send(Workspace, "GET", owner.path())
    assert seen.etag is not None
    tag = {"if-match": seen.etag}
    changed = owner.send(Workspace, "PATCH", owner.path(), body=WorkspaceChange(description="ours"), headers=tag)
    assert (changed.value.description, changed.etag != seen.etag) == ("ours", True)
    with pytest.raises(Changed, match="has changed since you read it"):
        owner.send(Workspace, "PATCH", owner.path(), body=WorkspaceChange(description="theirs"), headers=tag)
    assert owner.get(Workspace, owner.path()).description == "ours"


def test_a_create_sent_twice_with_one_key_happens_once(shared_plane: ControlPlane) -> None:
    key = uuid.uuid4().hex

    def create(name: str) -> tuple[int, str, str | None]:
        answer = shared_plane.request("POST", "/v1/workspaces", json={"name": f"{name}-{key[:8]}"}, headers={"idempotency-key": key})
        return answer.status_code, answer.text, answer.headers.get("idempotency-replayed")

    first, again = create("once"), create("once")
    assert (first[0], first[2], again[0], again[2]) == (201, None, 201, "true")
    assert first[1] == again[1]
    assert create("other")[0] == 409


def test_a_killed_server_starts_again_with_what_was_acknowledged(control_plane: ControlPlane) -> None:
    with control_plane.transport() as owner:
        made = owner.create(Workspace, "/v1/workspaces", NewWorkspace(name="kept"))
    control_plane.kill()
    control_plane.restart()
    with control_plane.transport(workspace="kept") as owner:
        assert owner.get(Workspace, owner.path()).id == made.id
