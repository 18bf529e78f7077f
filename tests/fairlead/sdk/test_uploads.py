"""D6: folders travel over networks that cut and servers that die, and what arrives is what was sent."""

from __future__ import annotations

import io
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from fairlead.client import blobs
from fairlead.client.transport import Transport
from fairlead.errors import BlobDamaged, BlobNotFound, Conflict, InvalidTree, QuotaExceeded, Unavailable, UsageError
from fairlead.schemas.access import Workspace, WorkspaceChange
from fairlead.sdk import uploads
from fairlead.sdk.uploads import download_tree, upload_blob, upload_tree
from fairlead.server.blobs import receiving
from fairlead.stores import tree_of
from tests.control_plane import ControlPlane, ControlPlanes
from tests.cutting import CuttingProxy, cutting
from tests.fairlead.stores.contract import MEGABYTE, digest_of, megabytes
from tests.s3 import S3Server

MODEL = megabytes(12, seed=7)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A large file, the same bytes under two names, an empty file, a program."""
    top = tmp_path / "model"
    (top / "code").mkdir(parents=True)
    (top / "weights.bin").write_bytes(MODEL)
    for name in ("a.txt", "b.txt"):
        (top / name).write_text("the same")
    (top / "code" / "nothing").touch()
    (top / "code" / "run.sh").write_text("#!/bin/sh\n")
    (top / "code" / "run.sh").chmod(0o755)
    return top


@pytest.fixture
def proxy(local_plane: ControlPlane) -> Iterator[CuttingProxy]:
    with cutting(local_plane.url) as proxy:
        yield proxy


@pytest.fixture
def cut_off(local_plane: ControlPlane, proxy: CuttingProxy) -> Iterator[Transport]:
    """The local server's owner behind the network that cuts."""
    with Transport(proxy.url, local_plane.token) as transport:
        yield transport


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses that a test need not wait for."""
    monkeypatch.setattr(uploads, "_PAUSES", (0.01, 0.01, 0.05, 0.1))


def test_a_folder_travels_there_and_back(owner: Transport, folder: Path, tmp_path: Path) -> None:
    tree = tree_of(folder)
    up: list[int] = []
    down: list[int] = []
    digest = upload_tree(owner, tree, folder, up.append)
    assert (digest, sum(up)) == (tree.digest, tree.size)
    assert download_tree(owner, digest, tmp_path / "here", down.append) == tree_of(tmp_path / "here") == tree
    assert sum(down) == tree.size
    assert [path.name for path in tmp_path.iterdir()] == ["model", "here"]
    assert owner.get(Workspace, owner.path()).used_bytes == sum(tree.blobs.values()) + len(tree.to_bytes())


def test_what_is_there_does_not_travel(owner: Transport, folder: Path) -> None:
    tree = tree_of(folder)
    upload_tree(owner, tree, folder)
    told: list[int] = []
    (folder / "weights.bin").write_bytes(b"unread: nobody asks for it")
    assert upload_tree(owner, tree, folder, told.append) == tree.digest
    assert told == [tree.size]


def test_a_single_file_travels_under_its_name(owner: Transport, folder: Path, tmp_path: Path) -> None:
    tree = tree_of(folder / "weights.bin")
    download_tree(owner, upload_tree(owner, tree, folder / "weights.bin"), tmp_path / "here")
    assert (tmp_path / "here" / "weights.bin").read_bytes() == MODEL


@pytest.mark.usefixtures("hurried")
def test_a_connection_that_is_cut_at_every_megabyte_costs_little(cut_off: Transport, proxy: CuttingProxy, folder: Path, tmp_path: Path) -> None:
    """Each connection carries a megabyte and is reset; what had come by then stays."""
    tree = tree_of(folder)
    told: dict[str, list[int]] = {"up": [], "down": []}
    proxy.limits = {"up": MEGABYTE}
    digest = upload_tree(cut_off, tree, folder, told["up"].append)
    assert proxy.cuts >= 11
    proxy.limits, proxy.cuts = {"down": MEGABYTE}, 0
    assert download_tree(cut_off, digest, tmp_path / "here", told["down"].append) == tree_of(tmp_path / "here") == tree
    assert proxy.cuts >= 11
    assert (sum(told["up"]), sum(told["down"])) == (tree.size, tree.size)
    assert max(proxy.carried.values()) < 2 * tree.size


@pytest.mark.usefixtures("hurried")
def test_a_server_that_stays_away_is_unavailable_and_the_next_attempt_goes_on(cut_off: Transport, proxy: CuttingProxy, folder: Path, tmp_path: Path) -> None:
    tree = tree_of(folder)
    proxy.limits = {"up": 100}
    with pytest.raises(Unavailable):
        upload_tree(cut_off, tree, folder)
    proxy.limits = {}
    digest = upload_tree(cut_off, tree, folder)
    proxy.limits = {"down": 100}
    with pytest.raises(Unavailable):
        download_tree(cut_off, digest, tmp_path / "here")
    proxy.limits = {}
    assert download_tree(cut_off, digest, tmp_path / "here") == tree


def test_a_broken_download_is_continued_by_the_next(
    cut_off: Transport, proxy: CuttingProxy, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = tree_of(folder)
    digest = upload_tree(cut_off, tree, folder)
    monkeypatch.setattr(uploads, "_PAUSES", ())
    cut_off.http.close()
    proxy.carried["down"] = 0
    proxy.limits = {"down": 8 * MEGABYTE}
    for _ in range(2):
        with Transport(cut_off.url, cut_off.http.headers["authorization"].removeprefix("Bearer ")) as transport:
            try:
                download_tree(transport, digest, tmp_path / "here")
            except Unavailable:
                assert not (tmp_path / "here").exists()
    assert tree_of(tmp_path / "here") == tree
    assert (proxy.cuts, proxy.carried["down"] < 15 * MEGABYTE) == (1, True)


@pytest.mark.parametrize("point", [receiving.ARRIVED.name, receiving.PUBLISHED.name, receiving.RECORDED.name])
def test_a_server_killed_at_any_write_loses_and_invents_nothing(control_planes: ControlPlanes, tmp_path: Path, point: str) -> None:
    """D1, D6: it dies, comes back, and the same upload ends well; the bytes are counted once."""
    plane = control_planes(env={"FAIRLEAD_FAULT": point})
    content = megabytes(2, seed=8)
    with plane.transport() as transport:
        begun = blobs.begin_upload(transport, digest_of(content), len(content))
        with pytest.raises(Unavailable):
            blobs.continue_upload(transport, begun, [content])
    plane.process.wait(10)
    again = control_planes(home=plane.home)
    with again.transport() as transport:
        upload_blob(transport, digest_of(content), len(content), lambda offset: io.BytesIO(content[offset:]))
        with blobs.Blobs(transport).open(digest_of(content)) as stream:
            assert b"".join(iter(lambda: stream.read(MEGABYTE), b"")) == content
        assert transport.get(Workspace, transport.path()).used_bytes == len(content)
    assert not list((plane.state / "blobs" / "uploads").iterdir())


def test_a_server_killed_while_bytes_travel_keeps_what_came(control_planes: ControlPlanes) -> None:
    plane = control_planes()
    with plane.transport() as transport:
        begun = blobs.begin_upload(transport, digest_of(MODEL), len(MODEL))

        def half() -> Iterator[bytes]:
            yield MODEL[: 6 * MEGABYTE]
            while blobs.show_upload(transport, str(begun.id)).offset < 5 * MEGABYTE:
                pass
            plane.kill()
            yield from (MODEL[at : at + MEGABYTE] for at in range(6 * MEGABYTE, len(MODEL), MEGABYTE))

        with pytest.raises(Unavailable):
            blobs.continue_upload(transport, begun, half())
    plane.restart()
    with plane.transport() as transport:
        again = blobs.begin_upload(transport, digest_of(MODEL), len(MODEL))
        assert (again.id, again.offset >= 5 * MEGABYTE) == (begun.id, True)
        assert blobs.continue_upload(transport, again, [MODEL[again.offset :]]).complete


def test_two_people_uploading_the_same_help_each_other(owner: Transport, folder: Path) -> None:
    tree = tree_of(folder)
    both = threading.Barrier(2)
    failures: list[BaseException] = []

    def upload() -> None:
        both.wait()
        try:
            upload_tree(owner, tree, folder)
        except BaseException as fault:  # noqa: BLE001 - told below, in the test's own thread
            failures.append(fault)

    threads = [threading.Thread(target=upload) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert blobs.list_missing(owner, [*tree.blobs, tree.digest]) == set()


@pytest.mark.parametrize(
    "change",
    [lambda path: path.write_bytes(bytes(len(MODEL))), lambda path: path.write_bytes(MODEL[:-1]), lambda path: path.unlink()],
    ids=["other bytes", "shorter", "gone"],
)
def test_a_file_that_changes_on_the_way_is_not_registered(owner: Transport, folder: Path, change: Callable[[Path], object]) -> None:
    tree = tree_of(folder)
    change(folder / "weights.bin")
    with pytest.raises(UsageError, match=r"announced|has another size now|cannot be read any more"):
        upload_tree(owner, tree, folder)
    assert tree.digest in blobs.list_missing(owner, [tree.digest])


def test_what_exceeds_the_quota_is_refused_before_it_travels(owner: Transport, folder: Path) -> None:
    owner.send(Workspace, "PATCH", owner.path(), body=WorkspaceChange(quota_bytes=MEGABYTE))
    with pytest.raises(QuotaExceeded, match=f"{len(MODEL):,} more do not fit"):
        upload_tree(owner, tree_of(folder), folder)


def test_a_flipped_bit_on_the_server_is_found_and_another_upload_mends_it(control_planes: ControlPlanes, folder: Path, tmp_path: Path) -> None:
    plane = control_planes()
    tree = tree_of(folder)
    with plane.transport() as transport:
        upload_tree(transport, tree, folder)
        for digest in (digest_of(MODEL), tree.digest):
            place = plane.state / "blobs" / "blobs" / digest[:2] / digest
            content = bytearray(place.read_bytes())
            content[len(content) // 2] ^= 1
            place.chmod(0o600)
            place.write_bytes(content)
            with pytest.raises(BlobDamaged, match=f"Blob {digest} in the workspace 'default' of {plane.url} is damaged"):
                download_tree(transport, tree.digest, tmp_path / "here")
        upload_tree(transport, tree, folder, again=True)
        assert download_tree(transport, tree.digest, tmp_path / "here") == tree


def test_what_is_no_tree_or_not_ours_is_not_downloaded(owner: Transport, folder: Path, tmp_path: Path) -> None:
    upload_tree(owner, tree_of(folder), folder)
    for digest, fault in (("0" * 64, BlobNotFound), (digest_of(b"the same"), InvalidTree)):
        with pytest.raises(fault):
            download_tree(owner, digest, tmp_path / "here")
    with pytest.raises(Conflict, match="is there already"):
        download_tree(owner, upload_tree(owner, tree_of(folder / "a.txt"), folder / "a.txt"), folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]


@pytest.mark.parametrize("lie", [b"", b"other bytes", MODEL + b"x"])
def test_a_server_that_answers_other_bytes_is_found_out(owner: Transport, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lie: bytes) -> None:
    digest = upload_tree(owner, tree_of(folder), folder)
    honest = blobs.Blobs.open

    def lying(self: blobs.Blobs, asked: str, offset: int = 0) -> BinaryIO:
        return io.BytesIO(lie[offset:]) if asked == digest_of(MODEL) else honest(self, asked, offset)

    monkeypatch.setattr(blobs.Blobs, "open", lying)
    with pytest.raises(BlobDamaged, match=digest_of(MODEL)):
        download_tree(owner, digest, tmp_path / "here")
    assert not (tmp_path / "here").exists()


@pytest.mark.needs("s3fs", "moto")
def test_several_servers_share_one_object_store(control_planes: ControlPlanes, s3_server: S3Server, folder: Path, tmp_path: Path) -> None:
    """An upload is begun at one server and ends at the other: it lives in the store and the database, in no process."""
    url, env = f"s3://{s3_server.make_bucket()}/fairlead", s3_server.environment
    first = control_planes("--store-url", url, env=env)
    shared = ("--database-url", f"sqlite:///{first.state / 'fairlead.db'}", "--master-key-file", str(first.state / "master.key"))
    (tmp_path / "second" / "state").mkdir(parents=True)
    shutil.copy(first.state / "owner.token", tmp_path / "second" / "state")
    second = control_planes("--store-url", url, *shared, env=env, home=tmp_path / "second")
    with first.transport() as here, second.transport() as there:
        begun = blobs.begin_upload(here, digest_of(MODEL), len(MODEL))
        here.request("PATCH", here.path("uploads", str(begun.id)), headers={"upload-offset": "0"}, content=MODEL[: 5 * MEGABYTE])
        again = blobs.begin_upload(there, digest_of(MODEL), len(MODEL))
        assert (again.id, again.offset) == (begun.id, 5 * MEGABYTE)
        assert blobs.continue_upload(there, again, [MODEL[again.offset :]]).complete
        tree = tree_of(folder)
        assert download_tree(here, upload_tree(there, tree, folder), tmp_path / "here") == tree
    assert not (first.state / "blobs").exists()
