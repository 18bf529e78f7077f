"""fsck and gc: what does not fit together is found with its cure, what nobody needs goes, what somebody needs stays."""

from __future__ import annotations

import hashlib
import io
import os
import re
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import String, text

from fairlead.client import access, models
from fairlead.client.transport import Transport
from fairlead.errors import BlobNotFound, FairleadError
from fairlead.schemas.access import NewWorkspace
from fairlead.server import sealing
from fairlead.server.clock import now
from fairlead.server.db import Database
from fairlead.server.locks import held
from fairlead.server.maintenance import caches_of_machine, contents, references
from fairlead.server.maintenance.checking import CHECKS, check
from fairlead.server.maintenance.findings import Finding, Ground
from fairlead.server.maintenance.sweeping import Parts, Summary, Sweeper, sweep_all
from fairlead.server.settings import Settings
from fairlead.server.tables import Record
from fairlead.server.tables.blobs import WorkspaceBlobRow
from fairlead.stores import FolderStore
from tests.control_plane import ControlPlane
from tests.fairlead.server.registry.given import registered, uploaded
from tests.local_home import LocalHome
from tests.waiting import until

SOON = timedelta(0)


class Keeper:
    """Looks after the data of a server that runs."""

    def __init__(self, plane: ControlPlane, database_url: str) -> None:
        state, cache = plane.state, plane.home / "cache"
        self.settings = Settings(state_dir=state, cache_dir=cache, database_url=database_url, keep_contents_days=0, keep_uploads_days=0, keep_caches_days=0)
        self.database = Database(database_url, called="fairlead test")
        self.store = FolderStore(state / "blobs")

    def check(self, *, deep: bool = False, repair: bool = False) -> list[Finding]:
        key = sealing.key_of(self.settings)
        assert key is not None
        with self.database.engine.connect() as connection:
            parts = {"settings": self.settings, "database": self.database, "store": self.store, "seal": sealing.Seal(key), "connection": connection}
            return check(Ground(**parts, deep=deep), lambda _: None, repair=repair).findings  # type: ignore[arg-type]

    def words(self, *, deep: bool = False) -> list[str]:
        return sorted({each.what for each in self.check(deep=deep)})

    def sweep(self, *, dry_run: bool = False) -> Summary:
        summary = sweep_all(Parts(self.settings, self.database, self.store), dry_run=dry_run)
        assert summary is not None
        return summary

    def run(self, statement: str, **values: object) -> None:
        with self.database.engine.connect().execution_options(fairlead_writes=True) as connection, connection.begin():
            connection.execute(text(statement), values)


@pytest.fixture
def keeper(control_plane: ControlPlane, database_url: str) -> Iterator[Keeper]:
    made = Keeper(control_plane, database_url)
    yield made
    made.database.close()


@pytest.fixture
def team(control_plane: ControlPlane) -> Iterator[Transport]:
    with control_plane.transport() as owner:
        access.create_workspace(owner, NewWorkspace(name="team"))
    with control_plane.transport(workspace="team") as owner:
        yield owner


def age(store: FolderStore, digest: str) -> None:
    """As if it had been put yesterday: nothing is younger than what is swept at once."""
    yesterday = time.time() - 86_400
    os.utime(store.place(digest), (yesterday, yesterday))


def tree_files(store: FolderStore, tree: str) -> set[str]:
    need = references.Need("", "", tree, "tree")
    return set(references.contents_of(store, need))


def test_every_column_with_a_digest_says_whether_it_needs_a_content() -> None:
    known = {(root.table, root.column) for root in references.ROOTS} | references.NO_CONTENT.keys()
    digests = {
        (table.name, column.name)
        for table in Record.metadata.tables.values()
        for column in table.columns
        if (isinstance(column.type, String) and column.type.length == 64 and re.search("digest|hash|tree|blob|sha", column.name))
    }
    assert digests - known == set(), "Name them in server/maintenance/references.py: a sweep must know what is needed."
    there = {(table.name, column.name) for table in Record.metadata.tables.values() for column in table.columns}
    assert known - there == set()


def test_a_server_that_works_is_clean_and_each_harm_is_found(keeper: Keeper, team: Transport) -> None:
    """One server for all of it: starting one is what takes long."""
    version = registered(team, "churn", tree=uploaded(team, model="a", labels="b"))
    registered(team, "churn", tree=uploaded(team, model="c"))
    models.move_alias(team, "churn:1", "champion")
    access.set_secret(team, "password", "hidden")
    assert keeper.check(deep=True) == []

    _counts_wrong(keeper)
    _contents_wrong(keeper, version.tree)
    _rows_wrong(keeper)


def _counts_wrong(keeper: Keeper) -> None:
    """Mended by --repair."""
    keeper.run("UPDATE workspaces SET used_bytes = used_bytes + 7 WHERE name = 'team'")
    keeper.run("UPDATE models SET latest_version = 1")
    found = keeper.check()
    assert [(each.what, each.repaired) for each in found] == [("latest-wrong", False), ("bytes-miscounted", False)]
    assert all("fsck --repair" in each.cure for each in found)
    assert [each.repaired for each in keeper.check(repair=True)] == [True, True]
    assert keeper.check() == []


def _contents_wrong(keeper: Keeper, tree: str) -> None:
    digest = hashlib.sha256(b"a").hexdigest()
    place = keeper.store.place(digest)
    place.chmod(0o600)
    place.write_bytes(b"b")
    assert keeper.words() == []
    assert keeper.words(deep=True) == ["content-damaged", "content-lost"]
    place.write_bytes(b"longer")
    assert keeper.words() == ["content-lost"]
    place.unlink()
    assert keeper.words() == ["content-lost"]
    keeper.store.put(io.BytesIO(b"a"))
    keeper.store.place(tree).rename(keeper.store.place(tree).with_suffix(".away"))
    assert keeper.words() == ["content-lost"]
    with pytest.raises(BlobNotFound):
        keeper.sweep()
    keeper.store.place(tree).with_suffix(".away").rename(keeper.store.place(tree))
    assert keeper.check(deep=True) == []


def _rows_wrong(keeper: Keeper) -> None:
    keeper.run("UPDATE model_versions SET deleted_at = created_at WHERE version = 1")
    assert keeper.words() == ["alias-points-nowhere"]
    keeper.run("UPDATE model_versions SET deleted_at = NULL")
    keeper.run("UPDATE models SET last_version = 5")
    assert keeper.words() == ["versions-miscounted"]
    keeper.run("UPDATE models SET last_version = 2")
    keeper.run("UPDATE secrets SET id = 'moved'")
    assert keeper.words() == ["secret-sealed"]
    keeper.run("DELETE FROM secrets")
    keeper.run("UPDATE principals SET is_admin = :no", no=False)
    assert keeper.words() == ["no-administrator"]
    keeper.run("UPDATE principals SET is_admin = :yes", yes=True)
    keeper.run("DROP TRIGGER " + ("audit_events_no_update" if keeper.database.is_sqlite else "audit_events_append_only ON audit_events"))
    assert keeper.words() == ["audit-unguarded"]
    assert [each.repaired for each in keeper.check(repair=True)] == [True]
    with pytest.raises(Exception, match="only ever added"):
        keeper.run("UPDATE audit_events SET principal = 'somebody else'")
    assert keeper.check(deep=True) == []


def test_what_nobody_needs_goes_and_what_somebody_needs_stays(keeper: Keeper, team: Transport) -> None:
    kept = registered(team, "kept", tree=uploaded(team, model="kept", shared="shared"))
    gone = registered(team, "gone", tree=uploaded(team, model="gone", shared="shared"))
    for digest in tree_files(keeper.store, gone.tree) | tree_files(keeper.store, kept.tree):
        age(keeper.store, digest)
    needed, unneeded = tree_files(keeper.store, kept.tree), tree_files(keeper.store, gone.tree) - tree_files(keeper.store, kept.tree)
    before = access.show_workspace(team, "team").used_bytes
    assert keeper.sweep().released_contents == 0
    models.delete_model(team, "gone")
    planned = keeper.sweep(dry_run=True)
    assert (planned.released_contents, planned.swept_contents, access.show_workspace(team, "team").used_bytes) == (2, 2, before)
    assert keeper.sweep().released_contents == 2
    assert all(keeper.store.size(digest) is not None for digest in unneeded), "the bytes stay for a day, for whoever had just checked"
    keeper.run("UPDATE released_blobs SET released_at = :then", then=now() - timedelta(days=2))
    assert keeper.sweep().swept_contents == 2
    assert [keeper.store.size(digest) for digest in unneeded] == [None, None]
    assert all(keeper.store.size(digest) is not None for digest in needed)
    assert keeper.check(deep=True) == []
    assert before is not None
    assert (access.show_workspace(team, "team").used_bytes or 0) < before
    assert len(list(access.list_audit(team, action="delete"))) == 1


def test_a_registration_that_raced_with_a_release_gets_its_content_back(keeper: Keeper, team: Transport) -> None:
    """It had checked that the workspace holds its files; then they were let go; then it was written down."""
    version = registered(team, "late", tree=uploaded(team, model="late"))
    keeper.run("UPDATE model_versions SET deleted_at = created_at")
    for digest in tree_files(keeper.store, version.tree):
        age(keeper.store, digest)
    assert keeper.sweep().released_contents == 2
    keeper.run("UPDATE model_versions SET deleted_at = NULL")
    keeper.sweep()
    with keeper.database.reading() as session:
        assert session.query(WorkspaceBlobRow).count() == 2
    assert keeper.check(deep=True) == []
    assert [each.path for each in models.each_file(team, "late:1")] == ["model"]


def test_nothing_is_swept_while_a_backup_is_made(keeper: Keeper) -> None:
    with held(keeper.database, "maintenance"):
        assert sweep_all(Parts(keeper.settings, keeper.database, keeper.store)) is None


def test_a_server_sweeps_by_itself_and_not_again_the_same_day(keeper: Keeper, team: Transport) -> None:
    version = registered(team, "gone", tree=uploaded(team, model="gone"))
    models.delete_model(team, "gone")
    parts, mark = Parts(keeper.settings, keeper.database, keeper.store), keeper.settings.state_dir / "swept"
    first = Sweeper(parts, first_after=0.0)
    first.start()
    until(mark.exists, "the first sweep")
    first.stop()
    with keeper.database.reading() as session:
        assert session.query(WorkspaceBlobRow).count() == 0
    assert keeper.store.size(version.tree) is not None
    assert Sweeper(parts, first_after=0.0).pause() > 80_000


def test_a_sweep_that_cannot_be_noted_is_told_and_tried_again(keeper: Keeper, caplog: pytest.LogCaptureFixture) -> None:
    mark = keeper.settings.state_dir / "swept"
    mark.symlink_to(keeper.settings.state_dir / "nowhere" / "swept")
    sweeper = Sweeper(Parts(keeper.settings, keeper.database, keeper.store), first_after=0.0)
    sweeper.start()
    until(lambda: len([each for each in caplog.records if "cannot be noted" in each.message]) > 1, "it to be tried again")
    mark.unlink()
    until(mark.exists, "a sweep")
    sweeper.stop()


def test_old_caches_go(keeper: Keeper) -> None:
    bundle = keeper.settings.cache_dir / "bundles" / ("0" * 64)
    (bundle / "inner").mkdir(parents=True)
    (bundle / "inner" / "file").write_text("x" * 100)
    (bundle / "inner").chmod(0o500)
    planned = caches_of_machine.clear(keeper.settings, keeper.database, SOON, dry_run=True)
    assert (planned.bundles, planned.bytes, bundle.exists()) == (1, 100, True)
    laid_down = keeper.settings.images_cache / ".base-killed"
    laid_down.mkdir(parents=True)
    os.utime(laid_down, (1, 1))
    caches_of_machine.clear(keeper.settings, keeper.database, timedelta(days=1), dry_run=False)
    assert (bundle.exists(), laid_down.exists()) == (True, False)
    caches_of_machine.clear(keeper.settings, keeper.database, SOON, dry_run=False)
    assert list((keeper.settings.cache_dir / "bundles").iterdir()) == []


def test_people_are_told_what_was_found_and_scripts_by_exit_codes(local_plane: ControlPlane, local_home: LocalHome, tmp_path: Path) -> None:
    env = {"FAIRLEAD_HOME": str(local_plane.home)}
    clean = local_home.fairlead("server", "fsck", env=env)
    assert (clean.returncode, clean.stdout, "Nothing found" in clean.stderr) == (0, "", True)
    database = Database(f"sqlite:///{local_plane.state}/fairlead.db")
    with database.writing() as session:
        session.execute(text("UPDATE workspaces SET used_bytes = 1"))
    database.close()
    dirty = local_home.fairlead("server", "fsck", "--quiet", env=env)
    assert (dirty.returncode, dirty.stdout) == (1, "bytes-miscounted\n")
    assert local_home.fairlead("server", "fsck", "--repair", env=env).returncode == 0
    swept = local_home.fairlead("server", "gc", "--json", env=env)
    assert '"freed_bytes": 0' in swept.stdout
    empty = local_home.fairlead("server", "fsck")
    assert (empty.returncode, "There is nothing to check" in empty.stderr) == (2, True)


def test_each_check_has_a_name_of_its_own() -> None:
    assert len({name for name, _ in CHECKS}) == len(CHECKS)


def test_a_sweep_on_half_the_marks_is_none(keeper: Keeper, team: Transport) -> None:
    version = registered(team, tree=uploaded(team, model="x"))
    keeper.store.place(version.tree).unlink()
    with pytest.raises(FairleadError):
        contents.clear(keeper.database, keeper.store, SOON, dry_run=False)
    assert keeper.store.size(hashlib.sha256(b"x").hexdigest()) == 1
