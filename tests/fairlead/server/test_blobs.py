"""`…/blobs` and `…/uploads` as plain HTTP sees them."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from fairlead.client import blobs
from fairlead.client.transport import Transport
from fairlead.errors import (
    BlobNotFound,
    Conflict,
    DigestMismatch,
    NotFound,
    NotSatisfiable,
    QuotaExceeded,
    TooLarge,
    UploadNotFound,
    UsageError,
    WrongOffset,
)
from fairlead.schemas.access import NewWorkspace, Workspace, WorkspaceChange
from fairlead.schemas.blobs import Upload
from fairlead.server.blobs import service
from fairlead.server.blobs.ranges import read_range
from fairlead.server.db import Database
from fairlead.server.registry import facts, uses
from fairlead.server.tables import Record
from tests.control_plane import ControlPlane


def test_more_contents_than_one_statement_takes_are_asked_for(database_url: str) -> None:
    """A tree may have some 400,000 files; PostgreSQL takes 65,535 parameters, SQLite 32,766."""
    database, digests = Database(database_url), [f"{number:064x}" for number in range(70_000)]
    Record.metadata.create_all(database.engine)
    with database.reading() as session:
        assert service.list_missing(session, "w", digests) == digests
        assert uses.names_of(session, digests) == []
    with database.writing() as session:
        facts.forget(session, digests)
    database.close()


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def upload(transport: Transport, content: bytes) -> str:
    begun = blobs.begin_upload(transport, digest_of(content), len(content))
    if not begun.complete:
        assert blobs.continue_upload(transport, begun, [content]).complete
    return digest_of(content)


def read(transport: Transport, digest: str, offset: int = 0) -> bytes:
    with blobs.Blobs(transport).open(digest, offset) as stream:
        return b"".join(iter(lambda: stream.read(1 << 20), b""))


def used(transport: Transport) -> int | None:
    return transport.get(Workspace, transport.path()).used_bytes


@pytest.fixture
def neighbour(shared_plane: ControlPlane) -> Iterator[Transport]:
    """The same server as the owner of another workspace."""
    name = f"next-{uuid.uuid4().hex[:12]}"
    with shared_plane.transport(workspace=name) as transport:
        transport.create(Workspace, "/v1/workspaces", NewWorkspace(name=name))
        yield transport


def test_content_comes_in_pieces_and_is_read_back(owner: Transport) -> None:
    content = os.urandom(3_000_000)
    digest = digest_of(content)
    assert blobs.list_missing(owner, [digest, digest]) == {digest}
    begun = blobs.begin_upload(owner, digest, len(content))
    assert (begun.offset, begun.complete, begun.size) == (0, False, len(content))
    reply = owner.request("PATCH", owner.path("uploads", str(begun.id)), headers={"upload-offset": "0"}, content=content[:1_000_001])
    assert Upload.model_validate_json(reply.content) == blobs.show_upload(owner, str(begun.id)) == begun.model_copy(update={"offset": 1_000_001})
    again = blobs.begin_upload(owner, digest, len(content))
    assert (again.id, again.offset) == (begun.id, 1_000_001)
    done = blobs.continue_upload(owner, again, [content[1_000_001:]])
    assert (done.id, done.offset, done.complete) == (None, len(content), True)
    assert blobs.list_missing(owner, [digest]) == set()
    assert read(owner, digest) == content
    assert read(owner, digest, 2_999_990) == content[-10:]
    assert read(owner, digest, len(content)) == b""
    assert used(owner) == len(content)
    with pytest.raises(UploadNotFound):
        blobs.show_upload(owner, str(begun.id))


def test_what_is_there_is_not_uploaded_again_and_nothing_is_content_too(owner: Transport) -> None:
    for content in (b"", b"something"):
        digest = upload(owner, content)
        begun = blobs.begin_upload(owner, digest, len(content))
        assert (begun.complete, begun.offset) == (True, len(content))
        assert read(owner, digest) == content
    assert used(owner) == 9


def test_only_who_uploaded_may_read(owner: Transport, neighbour: Transport) -> None:
    """The store keeps the bytes once; whether somebody else has them is not told."""
    content = os.urandom(1000)
    digest = upload(owner, content)
    assert blobs.list_missing(neighbour, [digest]) == {digest}
    with pytest.raises(BlobNotFound):
        read(neighbour, digest)
    begun = blobs.begin_upload(neighbour, digest, len(content))
    assert not begun.complete
    for act in (lambda: blobs.show_upload(owner, str(begun.id)), lambda: blobs.abandon_upload(owner, str(begun.id))):
        with pytest.raises(UploadNotFound):
            act()
    with pytest.raises(DigestMismatch):
        blobs.continue_upload(neighbour, begun, [bytes(1000)])
    with pytest.raises(BlobNotFound):
        read(neighbour, digest)
    upload(neighbour, content)
    assert read(neighbour, digest) == read(owner, digest) == content
    assert (used(owner), used(neighbour)) == (1000, 1000)


def test_an_upload_of_nothing_takes_no_content_of_others(owner: Transport, neighbour: Transport) -> None:
    digest = upload(owner, b"ours")
    begun = blobs.begin_upload(neighbour, digest, 0)
    with pytest.raises((DigestMismatch, NotFound)):
        blobs.continue_upload(neighbour, begun, [])
    assert blobs.list_missing(neighbour, [digest]) == {digest}


def test_a_wrong_offset_names_the_right_one(owner: Transport) -> None:
    begun = blobs.begin_upload(owner, digest_of(b"abcdef"), 6)
    path = owner.path("uploads", str(begun.id))
    owner.request("PATCH", path, headers={"upload-offset": "0"}, content=b"abc")
    for offset in (0, 2, 4):
        with pytest.raises(WrongOffset, match=f"at byte 3, not at {offset}") as refused:
            owner.request("PATCH", path, headers={"upload-offset": str(offset)}, content=b"x")
        assert isinstance(refused.value, Conflict)
        assert refused.value.facts["offset"] == 3


@pytest.mark.parametrize("offset", ["", "-1", "x", "1.5", str(2**63)])
def test_an_offset_that_is_none_is_refused(owner: Transport, offset: str) -> None:
    begun = blobs.begin_upload(owner, digest_of(b"abcdef"), 6)
    with pytest.raises(UsageError, match="upload-offset"):
        owner.request("PATCH", owner.path("uploads", str(begun.id)), headers={"upload-offset": offset} if offset else {}, content=b"x")


def test_more_than_was_announced_is_refused(owner: Transport) -> None:
    begun = blobs.begin_upload(owner, digest_of(b"abcdef"), 6)
    with pytest.raises(TooLarge, match="announced with 6 bytes, and more came"):
        owner.request("PATCH", owner.path("uploads", str(begun.id)), headers={"upload-offset": "0"}, content=b"abcdefg")


def test_other_bytes_end_the_upload(owner: Transport) -> None:
    begun = blobs.begin_upload(owner, digest_of(b"abcdef"), 6)
    with pytest.raises(DigestMismatch, match=f"{digest_of(b'ABCDEF')} arrived where {digest_of(b'abcdef')} was announced"):
        blobs.continue_upload(owner, begun, [b"ABCDEF"])
    with pytest.raises(UploadNotFound):
        blobs.show_upload(owner, str(begun.id))
    assert (upload(owner, b"abcdef"), used(owner)) == (digest_of(b"abcdef"), 6)


def test_an_abandoned_upload_is_over(owner: Transport) -> None:
    begun = blobs.begin_upload(owner, digest_of(b"abcdef"), 6)
    owner.request("PATCH", owner.path("uploads", str(begun.id)), headers={"upload-offset": "0"}, content=b"abc")
    blobs.abandon_upload(owner, str(begun.id))
    with pytest.raises(UploadNotFound):
        blobs.continue_upload(owner, begun, [b"abcdef"])
    assert blobs.begin_upload(owner, begun.digest, 6).offset == 0


def test_a_quota_counts_what_is_there_and_what_is_coming(owner: Transport) -> None:
    owner.send(Workspace, "PATCH", owner.path(), body=WorkspaceChange(quota_bytes=1000))
    upload(owner, bytes(600))
    with pytest.raises(QuotaExceeded, match=r"may hold 1,000 bytes; it holds 600, 0 are on their way, and 401 more do not fit\. Delete") as refused:
        blobs.begin_upload(owner, digest_of(bytes(401)), 401)
    assert (refused.value.status, refused.value.facts["used_bytes"]) == (413, 600)
    begun = blobs.begin_upload(owner, digest_of(bytes(300)), 300)
    with pytest.raises(QuotaExceeded, match="300 are on their way"):
        blobs.begin_upload(owner, digest_of(bytes(200)), 200)
    assert blobs.begin_upload(owner, digest_of(bytes(300)), 300).id == begun.id
    upload(owner, bytes(600))
    blobs.abandon_upload(owner, str(begun.id))
    upload(owner, bytes(400))
    assert used(owner) == 1000


def test_content_that_was_damaged_in_the_store_is_mended_by_another_upload(control_planes: Any) -> None:
    plane: ControlPlane = control_planes()
    with plane.transport() as transport:
        content = os.urandom(5000)
        digest = upload(transport, content)
        place = plane.state / "blobs" / "blobs" / digest[:2] / digest
        place.chmod(0o600)
        place.write_bytes(b"damaged")
        begun = blobs.begin_upload(transport, digest, len(content), again=True)
        assert blobs.continue_upload(transport, begun, [content]).complete
        assert (read(transport, digest), used(transport)) == (content, 5000)
        place.unlink()
        with pytest.raises(BlobNotFound, match="upload it again"):
            read(transport, digest)


@pytest.mark.parametrize(
    ("header", "status", "part"),
    [
        (None, 200, b"0123456789"),
        ("bytes=0-", 206, b"0123456789"),
        ("bytes=3-5", 206, b"345"),
        ("bytes=3-500", 206, b"3456789"),
        ("bytes=-3", 206, b"789"),
        ("bytes=-300", 206, b"0123456789"),
        ("BYTES= 9-9", 206, b"9"),
        ("bytes=0-1,3-4", 200, b"0123456789"),
        ("bytes=5-3", 200, b"0123456789"),
        ("bytes=-", 200, b"0123456789"),
        ("bytes=x", 200, b"0123456789"),
        ("lines=1-2", 200, b"0123456789"),
        ("bytes=10-", 416, None),
        ("bytes=-0", 416, None),
    ],
)
def test_a_part_is_answered_as_the_rfc_says(header: str | None, status: int, part: bytes | None) -> None:
    if part is None:
        with pytest.raises(NotSatisfiable, match="outside of the 10 bytes"):
            read_range(header, 10)
        return
    found = read_range(header, 10)
    assert (b"0123456789"[found.start : found.end], found.is_part) == (part, status == 206)


def test_a_part_comes_with_its_headers(owner: Transport) -> None:
    digest = upload(owner, b"0123456789")

    def ask(**headers: str) -> httpx2.Response:
        return owner.http.get(owner.path("blobs", digest), headers={name.replace("_", "-"): value for name, value in headers.items()})

    whole, part, beyond, known = ask(), ask(range="bytes=3-5"), ask(range="bytes=10-"), ask(if_none_match=f'"{digest}"')
    assert (whole.status_code, whole.content, whole.headers["etag"], whole.headers["content-length"]) == (200, b"0123456789", f'"{digest}"', "10")
    assert (part.status_code, part.content, part.headers["content-range"]) == (206, b"345", "bytes 3-5/10")
    assert (beyond.status_code, beyond.json()["type"], beyond.json()["size"]) == (416, "urn:fairlead:error:not-satisfiable", 10)
    assert (known.status_code, known.content, known.headers["etag"]) == (304, b"", f'"{digest}"')
    assert {each.headers["content-type"] for each in (whole, part)} == {"application/octet-stream"}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "blobs/abc", None),
        ("GET", "blobs/" + "A" * 64, None),
        ("GET", "blobs/..%2f..%2fetc", None),
        ("GET", "uploads/" + "a" * 65, None),
        ("POST", "uploads", {"digest": "x", "size": 1}),
        ("POST", "uploads", {"digest": "0" * 64, "size": -1}),
        ("POST", "uploads", {"digest": "0" * 64, "size": 2**62}),
        ("POST", "uploads", {"digest": "0" * 64, "size": True}),
        ("POST", "uploads", {"digest": "0" * 64, "size": 1, "more": 1}),
        ("POST", "blobs/missing", {"digests": ["x"]}),
        ("POST", "blobs/missing", {"digests": ["0" * 64] * 10_001}),
    ],
)
def test_what_makes_no_sense_is_refused(owner: Transport, method: str, path: str, body: object) -> None:
    answer = owner.http.request(method, f"{owner.path()}/{path}", json=body)
    assert answer.status_code in {400, 404}
    assert answer.json()["type"].startswith("urn:fairlead:error:")


def test_many_digests_are_asked_in_one_statement(owner: Transport) -> None:
    there = upload(owner, b"there")
    asked = [digest_of(str(number).encode()) for number in range(10_000)]
    assert blobs.list_missing(owner, [*asked, there]) == set(asked)


def test_the_state_folder_holds_no_leftovers(local_plane: ControlPlane, tmp_path: Path) -> None:
    with local_plane.transport() as transport:
        upload(transport, bytes(100_000))
    assert not list((local_plane.state / "blobs" / "uploads").iterdir())
    assert not [path for path in tmp_path.rglob("*") if path.suffix == ".part"]
