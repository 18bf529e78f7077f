"""Backups: the same rows on both databases, one moment, contents with digests; restored whole or not at all, from a file that may be anybody's."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, text

from fairlead.errors import BlobNotFound, BootFailure, Conflict, DigestMismatch, FairleadError, UsageError
from fairlead.server import schema, sealing
from fairlead.server.access import hash_of
from fairlead.server.clock import now
from fairlead.server.db import Database
from fairlead.server.ids import new_id
from fairlead.server.maintenance.archive import Manifest, Reader, Writer
from fairlead.server.maintenance.backup import Made, Source, make
from fairlead.server.maintenance.restoring import Goal, Restored, restore
from fairlead.server.settings import Settings
from fairlead.server.tables.access import TokenRow, WorkspaceRow
from fairlead.server.tables.blobs import WorkspaceBlobRow
from fairlead.stores import FolderStore
from fairlead.stores.walking import plain_files
from tests.fairlead.server.schema_facts import fill, rows
from tests.postgresql import PostgreSQL

CONTENT = b"a model"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Place:
    """A server's parts without the server."""

    def __init__(self, folder: Path, url: str) -> None:
        folder.mkdir(exist_ok=True)
        self.settings = Settings(state_dir=folder / "state", cache_dir=folder / "cache", database_url=url)
        self.database = Database(url, called="fairlead test")
        self.store = FolderStore(folder / "blobs")

    def filled(self) -> Place:
        schema.ensure(self.database)
        with self.database.engine.begin() as connection:
            fill(connection)
        with self.database.writing() as session:
            workspace = WorkspaceRow(id=new_id(), name="team", used_bytes=0, created_at=now(), updated_at=now())
            session.add(workspace)
            session.flush()
            session.execute(delete(WorkspaceBlobRow))
            session.execute(text("UPDATE revisions SET bundle_tree = NULL, lock_blob = NULL"))
            session.execute(text("UPDATE model_versions SET deleted_at = created_at"))
            session.add(WorkspaceBlobRow(workspace_id=workspace.id, digest=DIGEST, size=len(CONTENT), created_at=now()))
        self.store.put(io.BytesIO(CONTENT))
        return self

    def back_up(self, path: Path, *, blobs: bool = True, passphrase: Path | None = None, force: bool = False) -> Made:
        source = Source(database=self.database, store=self.store if blobs else None, key=(self.settings, passphrase) if passphrase else None)
        return make(source, path, force=force, say=lambda _: None)

    def restore(self, path: Path, *, passphrase: Path | None = None, force: bool = False) -> Restored:
        goal = Goal(settings=self.settings, database=self.database, store=self.store, node="here", force=force)
        return restore(goal, path, passphrase_file=passphrase, say=lambda _: None)

    def rows(self) -> dict[str, Any]:
        """As of the backup: less what a restore changes on purpose."""
        with self.database.engine.connect() as connection:
            found = rows(connection)
        token = hash_of((self.settings.state_dir / "owner.token").read_text().strip()) if self.settings.state_dir.exists() else ""
        found["tokens"] = [each for each in found["tokens"] if each["hash"] != token]
        for each in (*found["services"], *found["revisions"]):
            for name in ("generation", "applied_generation", "place", "lease_owner", "lease_until", "due_at"):
                each.pop(name, None)
        return {name: sorted((_plain(each) for each in kept), key=repr) for name, kept in found.items() if name != "idempotency_keys"}


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """SQLite forgets the zone."""
    return {name: value.replace(tzinfo=None) if hasattr(value, "tzinfo") else value for name, value in row.items()}


@pytest.fixture
def source(tmp_path: Path, database_url: str) -> Iterator[Place]:
    place = Place(tmp_path / "source", database_url)
    yield place.filled()
    place.database.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def goal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """On either database, whichever the source is on."""
    url = f"sqlite:///{tmp_path}/goal/fairlead.db" if request.param == "sqlite" else request.getfixturevalue("postgresql").database()
    place = Place(tmp_path / "goal", url)
    yield place
    place.database.close()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[tuple[Place, Place, Path]]:
    """A source and a goal on SQLite, and a backup of the one."""
    one, other = (Place(tmp_path / name, f"sqlite:///{tmp_path}/{name}/fairlead.db") for name in ("one", "other"))
    one.filled().back_up(tmp_path / "backup.tar")
    yield one, other, tmp_path / "backup.tar"
    one.database.close()
    other.database.close()


def test_what_was_backed_up_is_restored_on_either_database(source: Place, goal: Place, tmp_path: Path) -> None:
    path = tmp_path / "backup.tar"
    made = source.back_up(path)
    assert (made.blobs, made.with_key, path.stat().st_mode & 0o777) == (1, False, 0o600)
    done = goal.restore(path)
    assert (done.rows, done.blobs, done.key) == (made.rows, 1, "missing")
    assert goal.rows() == source.rows()
    with goal.store.open(DIGEST) as content:
        assert content.read() == CONTENT
    with goal.database.reading() as session:
        token = (goal.settings.state_dir / "owner.token").read_text().strip()
        assert session.query(TokenRow).filter_by(hash=hash_of(token)).count() == (1 if session.execute(text("SELECT is_admin FROM principals")).scalar() else 0)


def test_a_backup_is_of_one_moment(source: Place, tmp_path: Path) -> None:
    """Rows that come while it is written are not in it, in no table."""
    before = source.rows()
    late = tmp_path / "late.tar"

    def write(_sentence: str) -> None:
        with source.database.writing() as session:
            session.add(WorkspaceRow(id=new_id(), name=f"late-{new_id()[-8:]}", used_bytes=0, created_at=now(), updated_at=now()))

    made = make(Source(database=source.database, store=source.store), late, force=False, say=write)
    assert made.rows in (sum(len(each) for each in before.values()), sum(len(each) for each in before.values()) + 1)
    with late.open("rb") as stream:
        manifest = Reader(stream, "late").check()
    assert manifest.rows["workspaces"] <= len(source.rows()["workspaces"]) - 1


def test_the_master_key_travels_under_a_passphrase(small: tuple[Place, Place, Path], tmp_path: Path) -> None:
    one, other, _ = small
    sealing.load(one.settings)
    passphrase, wrong, short = (tmp_path / name for name in ("passphrase", "wrong", "short"))
    passphrase.write_text("correct horse battery\n")
    wrong.write_text("another passphrase\n")
    short.write_text("short")
    with pytest.raises(UsageError, match="use 12 or more"):
        one.back_up(tmp_path / "keyed.tar", passphrase=short)
    assert one.back_up(tmp_path / "keyed.tar", passphrase=passphrase).with_key
    key = sealing.key_of(one.settings)
    assert key is not None
    assert key not in (tmp_path / "keyed.tar").read_bytes()
    with pytest.raises(UsageError, match="does not open with the passphrase"):
        other.restore(tmp_path / "keyed.tar", passphrase=wrong)
    assert other.restore(tmp_path / "keyed.tar", passphrase=passphrase).key == "restored"
    assert sealing.key_of(other.settings) == key


def test_a_master_key_is_made_whatever_a_killed_process_of_the_same_number_left(tmp_path: Path) -> None:
    path = tmp_path / "state" / "master.key"
    path.parent.mkdir(mode=0o700)
    path.with_name(f".{path.name}.{os.getpid()}").touch()
    sealing.keep(path, bytes(32))
    assert base64.b64decode(path.read_text()) == bytes(32)
    sealing.keep(path, bytes(31) + b"x")
    assert base64.b64decode(path.read_text()) == bytes(32), "one that is there stays"


def test_files_of_datastores_are_in_it_when_asked(small: tuple[Place, Place, Path], tmp_path: Path) -> None:
    one, other, _ = small
    data = one.settings.data
    for name, content in {"ws/rows/a.csv": b"x\n1\n", "ws/b": b"", "ws/.on-its-way": b"half", "other/_fairlead/plan.json": b"{}"}.items():
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_bytes(content)
    (data / "ws/link").symlink_to("/etc/passwd")
    source = Source(database=one.database, store=one.store, data=data)
    assert make(source, tmp_path / "without.tar", force=False, say=print).data_left_out == str(data)
    made = make(replace(source, with_data=True), tmp_path / "with.tar", force=False, say=print)
    assert (made.data_files, made.data_left_out) == (3, None)
    hostile = _rewritten(tmp_path / "with.tar", tmp_path / "hostile.tar", texts={"data.json": json.dumps(["ws/a", "ws/../../../b", "c/d"]).encode()})
    with pytest.raises(UsageError, match="list of data files makes no sense"):
        other.restore(hostile)
    assert other.restore(tmp_path / "with.tar").data_files == 3
    found = {each.relative_to(other.settings.data).as_posix(): each.read_bytes() for each in other.settings.data.rglob("*") if each.is_file()}
    assert found == {"ws/rows/a.csv": b"x\n1\n", "ws/b": b"", "other/_fairlead/plan.json": b"{}"}


def test_a_file_that_goes_while_a_backup_is_made_is_in_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        (tmp_path / name).touch()
    lstat = Path.lstat

    def late(path: Path) -> Any:
        if path.name == "b":
            path.unlink()
        return lstat(path)

    monkeypatch.setattr(Path, "lstat", late)
    assert [path.name for path, _ in plain_files(tmp_path)] == ["a"]


def test_a_backup_of_ever_so_many_contents_can_be_restored() -> None:
    """Some hundred bytes of manifest for each: a hundred thousand of them make one that is longer than here."""
    stream = io.BytesIO()
    writer = Writer(stream)
    writer.add_text("data.json", json.dumps(["ws/" + "x" * (17 << 20)]))
    writer.finish(Manifest(fairlead="0" * (17 << 20), schema="0001", created_at="", database="sqlite", with_blobs=False, members=dict(writer.members)))
    assert len(Reader(stream, "it").check().fairlead) == 17 << 20


def test_a_backup_below_a_file_is_refused_in_a_sentence(small: tuple[Place, Place, Path]) -> None:
    one, _, path = small
    with pytest.raises(UsageError, match="cannot be written"):
        one.back_up(path / "new.tar")


def test_a_database_that_holds_something_is_replaced_only_by_force(small: tuple[Place, Place, Path]) -> None:
    one, other, path = small
    other.filled()
    before = other.rows()
    with pytest.raises(Conflict, match=r"holds data already .*--force"):
        other.restore(path)
    assert other.rows() == before
    other.restore(path, force=True)
    assert other.rows() == one.rows()


def test_a_file_that_exists_is_kept(small: tuple[Place, Place, Path]) -> None:
    one, _, path = small
    before = path.read_bytes()
    with pytest.raises(Conflict, match="exists"):
        one.back_up(path)
    assert path.read_bytes() == before
    one.back_up(path, force=True)
    assert sorted(each.name for each in path.parent.iterdir() if "backup" in each.name) == ["backup.tar"]


@pytest.mark.parametrize("harm", ["missing", "damaged"])
def test_a_store_that_lost_something_makes_no_backup(small: tuple[Place, Place, Path], tmp_path: Path, harm: str) -> None:
    one = small[0]
    place = one.store.place(DIGEST)
    place.chmod(0o600)
    place.unlink() if harm == "missing" else place.write_bytes(b"a mudel")
    with pytest.raises((BlobNotFound, DigestMismatch), match="fairlead server fsck"):
        one.back_up(tmp_path / "new.tar")
    assert not (tmp_path / "new.tar").exists()
    assert one.back_up(tmp_path / "new.tar", blobs=False).blobs == 0


def _member(name: str, content: bytes = b"", **facts: Any) -> tuple[tarfile.TarInfo, bytes]:
    told = tarfile.TarInfo(name)
    told.size = len(content)
    for each, value in facts.items():
        setattr(told, each, value)
    return told, content


HOSTILE = {
    "a path that leads out": _member("../../etc/passwd", b"x"),
    "an absolute path": _member("/etc/passwd", b"x"),
    "a link": _member("blobs/" + DIGEST, type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    "a hard link": _member("blobs/" + "0" * 64, type=tarfile.LNKTYPE, linkname="/etc/passwd"),
    "a device": _member("blobs/" + "0" * 64, type=tarfile.CHRTYPE),
    "a folder": _member("tables", type=tarfile.DIRTYPE),
    "bytes of another name": _member("blobs/" + "0" * 64, b"x"),
    "what the manifest does not know": _member("tables/extra.jsonl", b"{}\n"),
    "a name twice": _member("tables/workspaces.jsonl", b"{}\n"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_archive_changes_nothing(small: tuple[Place, Place, Path], tmp_path: Path, what: str) -> None:
    _, other, path = small
    hostile = _rewritten(path, tmp_path / "hostile.tar", extra=HOSTILE[what])
    with pytest.raises(UsageError, match="is no backup that can be restored"):
        other.restore(hostile)
    _is_untouched(other)


def test_an_archive_that_was_cut_or_flipped_anywhere_is_refused(small: tuple[Place, Place, Path], tmp_path: Path) -> None:
    _, other, path = small
    whole = path.read_bytes()
    harmed = tmp_path / "harmed.tar"
    for cut in (0, 511, 512, 5000, len(whole) // 2, whole.rindex(b"manifest.json")):
        harmed.write_bytes(whole[:cut])
        with pytest.raises(UsageError, match="no backup"):
            other.restore(harmed)
    for at in [whole.index(CONTENT), whole.index(b'"team"'), whole.rindex(b'"sha256"') + 12]:
        harmed.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(UsageError, match="no backup"):
            other.restore(harmed)
    _is_untouched(other)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"{", "no row of this table"),
        (b"[]", "no row of this table"),
        (b'{"surprise": 1}', "no row of this table"),
        (b'{"id": ["x"]}', "no row of this table"),
        (b'{"id": "x", "created_at": "yesterday"}', "no row of this table"),
        (b'{"id": "x"}', "do not go into|NOT NULL"),
    ],
)
def test_rows_that_make_no_sense_leave_the_database_as_it_was(small: tuple[Place, Place, Path], tmp_path: Path, line: bytes, says: str) -> None:
    _, other, path = small
    before = other.filled().rows()
    with pytest.raises((UsageError, BootFailure), match=says):
        other.restore(_rewritten(path, tmp_path / "odd.tar", tables={"workspaces": line + b"\n"}), force=True)
    assert other.rows() == before


def test_a_row_that_refers_to_nothing_is_refused(small: tuple[Place, Place, Path], tmp_path: Path) -> None:
    _, other, path = small
    before = other.filled().rows()
    other.settings.state_dir.mkdir()
    (other.settings.state_dir / "owner.token").write_text("as it was")
    with pytest.raises(FairleadError, match="refer"):
        other.restore(_rewritten(path, tmp_path / "odd.tar", tables={"principals": b""}), force=True)
    assert (other.settings.state_dir / "owner.token").read_text() == "as it was"
    assert other.rows() == before


def test_a_backup_of_a_newer_version_is_refused(small: tuple[Place, Place, Path], tmp_path: Path) -> None:
    _, other, path = small
    with pytest.raises(UsageError, match="newer than this one knows"):
        other.restore(_rewritten(path, tmp_path / "newer.tar", manifest={"schema": "9999"}))


def test_a_database_that_a_server_works_with_is_not_replaced(small: tuple[Place, Place, Path], postgresql: PostgreSQL, tmp_path: Path) -> None:
    shared = Place(tmp_path / "shared", postgresql.database())
    server = Database(shared.settings.database_url)
    with server.engine.connect() as working:
        working.execute(text("SELECT 1"))
        with pytest.raises(Conflict, match="stop them all"):
            shared.restore(small[2], force=True)
    server.close()
    shared.restore(small[2])
    assert shared.rows() == small[0].rows()
    shared.database.close()


def test_leases_and_generations_of_then_do_not_count(small: tuple[Place, Place, Path]) -> None:
    one, other, path = small
    other.restore(path)
    with one.database.engine.connect() as before, other.database.engine.connect() as after:
        was, now_is = (connection.execute(text("SELECT * FROM services")).mappings().one() for connection in (before, after))
    assert now_is["deleted_at"] == was["deleted_at"]
    if was["deleted_at"] is None:
        assert (now_is["place"], now_is["applied_generation"], now_is["lease_owner"]) == ("here", 0, None)
        assert now_is["generation"] > was["generation"]


def _rewritten(
    path: Path,
    to: Path,
    *,
    extra: Any = None,
    tables: dict[str, bytes] | None = None,
    manifest: dict[str, Any] | None = None,
    texts: dict[str, bytes] | None = None,
) -> Path:
    """The same archive with something else in it, and a manifest that fits."""
    with tarfile.open(path) as old, tarfile.open(to, "w") as new:
        told = json.loads(old.extractfile("manifest.json").read())  # type: ignore[union-attr]
        told.update(manifest or {})
        for name in [name for name in old.getnames() if name != "manifest.json"]:
            content = old.extractfile(name).read()  # type: ignore[union-attr]
            if name in (texts or {}):
                content = (texts or {})[name]
                told["members"][name] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            table = name.removeprefix("tables/").removesuffix(".jsonl")
            if table in (tables or {}):
                content = (tables or {})[table]
                told["members"][name] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
                told["rows"][table] = content.count(b"\n")
            new.addfile(_member(name, content)[0], io.BytesIO(content))
        if extra is not None:
            new.addfile(extra[0], io.BytesIO(extra[1]))
        text_of_it = json.dumps(told).encode()
        new.addfile(_member("manifest.json", text_of_it)[0], io.BytesIO(text_of_it))
    return to


def _is_untouched(place: Place) -> None:
    with place.database.engine.connect() as connection:
        assert schema.revision_of(connection) is None
    assert list(place.store.list()) == []
    assert not (place.settings.state_dir / "owner.token").exists()
