"""What a job is told of its data, and what it is refused: J5."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from fairlead_scoring.batch.job import Input
from sqlalchemy.orm import Session

from fairlead.client import access as client_access
from fairlead.client import data
from fairlead.client.transport import Transport
from fairlead.errors import Forbidden, NotFound, UsageError
from fairlead.schemas.data import BUILTIN, DataPath, NewDatasetVersion, NewDatastore
from fairlead.schemas.data_urls import read_url
from fairlead.server import sealing
from fairlead.server.accounts.secrets import open_secrets
from fairlead.server.data.ground import Ground
from fairlead.server.data.resolving import credentials_of, locate, resolve
from fairlead.server.db import Database
from fairlead.server.settings import Settings
from tests.control_plane import ControlPlane

AZURE = {"account_name": "ours", "account_key": "a2V5"}


@dataclass
class Desk:
    """The database of a server, read as the server itself reads it."""

    session: Session
    ground: Ground
    seal: sealing.Seal
    workspace: str

    def __call__(self, **wish: Any) -> tuple[Input, str | None, dict[str, Any]]:
        fields, secret, lineage = resolve(self.session, self.ground, self.workspace, wish)
        plain: Any = {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
        return Input(**plain), secret, lineage


@pytest.fixture
def desk(shared_plane: ControlPlane, owner: Transport, tmp_path: Path) -> Iterator[Desk]:
    settings = Settings(state_dir=shared_plane.state, batch_roots=str(tmp_path))
    database = Database(shared_plane.database_url)
    ground = Ground(data=settings.data, state=settings.state_dir, roots=settings.roots, is_local=False)
    try:
        with database.reading() as session:
            yield Desk(session, ground, sealing.load(settings), client_access.show_workspace(owner, owner.workspace).id)
    finally:
        database.close()


def test_a_data_set_becomes_urls_options_and_lineage(owner: Transport, desk: Desk) -> None:
    data.create_datastore(owner, NewDatastore(name="blobs", url="https://ours.blob.core.windows.net/data", credentials=AZURE))
    definition = {
        "kind": "Tabular",
        "paths": [{"datastore": "blobs", "path": "raw/*.csv"}, {"url": "wasbs://data@ours.blob.core.windows.net/more/x.csv"}],
        "format": "csv",
        "options": {"delimiter": ";"},
        "timestamp": "at",
    }
    made = data.register_dataset(owner, NewDatasetVersion.of(name="rows", definition=definition))
    told, secret, lineage = desk(dataset="rows:1", options={"header": False}, after="2026-01-01T00:00:00Z")
    where = "abfss://data@ours.dfs.core.windows.net"
    assert (told.urls, told.format, told.options) == ((f"{where}/raw/*.csv", f"{where}/more/x.csv"), "csv", {"delimiter": ";", "header": False})
    assert (told.timestamp, told.after, told.before, told.database) == ("at", "2026-01-01T00:00:00Z", None, None)
    assert lineage == {"name": "rows:1", "digest": made.digest, "dataset_id": made.id}
    assert told.credentials == secret == "datastore.blobs"
    assert json.loads(open_secrets(desk.session, desk.seal, desk.workspace, [str(secret)])[str(secret)]) == AZURE
    located = locate(desk.session, desk.ground, desk.workspace, DataPath(url="https://ours.blob.core.windows.net/data/y/z.csv"))
    assert (located.path, located.datastore, credentials_of(desk.session, desk.seal, desk.workspace, located)) == ("y/z.csv", "blobs", AZURE)


def test_an_account_without_a_datastore_is_refused_by_its_name(owner: Transport, desk: Desk) -> None:
    data.create_datastore(owner, NewDatastore(name="blobs", url="abfss://data@ours.dfs.core.windows.net", credentials=AZURE))
    data.create_datastore(owner, NewDatastore(name="lake", url="s3://lake/raw", credentials={"key": "k", "secret": "s"}))
    for url in ("https://theirs.blob.core.windows.net/data/x.csv", "wasb://other@ours.blob.core.windows.net/x", "s3://lake/rawer/x", "gs://b/x"):
        with pytest.raises(Forbidden, match=r"is in no datastore of this workspace.*fairlead datastore create NAME"):
            desk(url=url)
    client_access.set_secret(owner, "theirs", '{"key": "a", "secret": "b"}')
    desk.session.rollback()
    told, secret, _ = desk(urls=["s3://other/x.csv"], credentials="theirs")
    assert (told.urls, secret) == (("s3://other/x.csv",), "theirs")
    assert desk(url="s3://lake/raw/x", format="files")[0].format == "files"
    with pytest.raises(NotFound, match="no secret 'nobody'"):
        desk(url="s3://lake/raw/x", credentials="nobody")


def test_the_longest_datastore_opens_a_url(owner: Transport, desk: Desk) -> None:
    for name, url in (("all", "s3://lake"), ("part", "s3://lake/secret/part")):
        data.create_datastore(owner, NewDatastore(name=name, url=url, credentials={"key": name, "secret": "s"}))
    assert [desk(url=f"s3://lake/{path}")[1] for path in ("x", "secret/part/x", "secret/parts")] == ["datastore.all", "datastore.part", "datastore.all"]


def test_databases_are_read_by_a_query(owner: Transport, desk: Desk, tmp_path: Path) -> None:
    data.create_datastore(owner, NewDatastore(name="warehouse", url="postgres://db.example/sales", credentials={"username": "u", "password": "p"}))
    told, secret, _ = desk(datastore="warehouse", query="SELECT 1")
    assert (told.database, told.query, told.urls, secret) == ("postgresql://db.example/sales", "SELECT 1", (), "datastore.warehouse")
    assert json.loads(open_secrets(desk.session, desk.seal, desk.workspace, ["datastore.warehouse"])["datastore.warehouse"]) == {"user": "u", "password": "p"}
    with pytest.raises(UsageError, match="is read by a query"):
        desk(datastore="warehouse")
    with pytest.raises(UsageError, match="is no database"):
        desk(url=str(tmp_path / "x.csv"), query="SELECT 1")
    assert desk(url=f"sqlite:///{tmp_path}/x.db", query="SELECT 1")[0].database == f"sqlite:///{tmp_path}/x.db"


def test_the_disk_is_read_where_its_owner_said(owner: Transport, desk: Desk, tmp_path: Path) -> None:
    told, secret, lineage = desk(url=f"file://{tmp_path}/x.csv", columns=["a"])
    assert (told.urls, told.columns, secret, lineage["name"]) == ((f"{tmp_path}/x.csv",), ("a",), None, f"{tmp_path}/x.csv")
    (tmp_path / "out").symlink_to("/etc")
    for path in ("/etc/passwd", f"{tmp_path}/out/passwd", f"{tmp_path}/../x", str(desk.ground.state / "master.key")):
        with pytest.raises((Forbidden, UsageError), match=r"not for data|server's own|'\.\.'"):
            desk(url=path)
    own = desk.ground.folder_of(desk.workspace)
    assert desk(datastore=BUILTIN, path="raw/*.csv")[0].urls == (f"{own}/raw/*.csv",)
    anybody = replace(desk.ground, roots=None, is_local=True)
    for path in (str(desk.ground.state / "master.key"), str(own.parent / "another" / "x")):
        with pytest.raises(Forbidden, match="the server's own"):
            resolve(desk.session, anybody, desk.workspace, {"url": path})
    assert resolve(desk.session, anybody, desk.workspace, {"url": "/etc/hosts"}).fields["urls"] == ["/etc/hosts"]


def test_a_data_set_need_not_be_registered(desk: Desk) -> None:
    definition = {"kind": "File", "paths": [{"datastore": BUILTIN, "path": "images"}, {"url": "https://example.org/a.png"}]}
    told, _, lineage = desk(definition=definition)
    assert (told.format, told.urls[1], lineage["digest"]) == ("files", "https://example.org/a.png", None)
    with pytest.raises(UsageError, match="This input cannot be read: paths"):
        desk()
    with pytest.raises(UsageError, match="names no data set"):
        desk(dataset=":3")
    with pytest.raises(NotFound, match="no data set 'rows'"):
        desk(dataset="rows")


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("file:///a/b/", "/a/b"),
        ("/a//b", "/a/b"),
        ("s3n://b/x//y/", "s3://b/x/y"),
        ("gcs://b/x?.csv", "gs://b/x?.csv"),
        ("abfs://c@A.dfs.core.windows.net/x", "abfss://c@a.dfs.core.windows.net/x"),
        ("wasb://c@a.blob.core.windows.net", "abfss://c@a.dfs.core.windows.net"),
        ("https://a.blob.core.windows.net/c/x/y.csv", "abfss://c@a.dfs.core.windows.net/x/y.csv"),
        ("https://example.org/x.csv?v=1", "https://example.org/x.csv?v=1"),
        ("sqlite:////a/b.db", "sqlite:////a/b.db"),
    ],
)
def test_one_place_has_one_spelling(said: str, text: str) -> None:
    assert read_url(said).text == text
    assert read_url(text).text == text
