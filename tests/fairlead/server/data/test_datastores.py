"""Places with names: what they are, who opens them, and that nobody sees with what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fsspec
import pytest

from fairlead.client import access, data
from fairlead.client.transport import Transport
from fairlead.errors import Conflict, Forbidden, InUse, NotFound, StoreUnavailable, UsageError
from fairlead.schemas.data import BUILTIN, DatasetDefinition, NewDatasetVersion, NewDatastore
from fairlead.schemas.data_urls import read_url
from fairlead.server.data.credentials import options_of
from tests.control_plane import ControlPlane
from tests.fairlead.server.accounts.people import speaking_as
from tests.fairlead.server.data.putting import put, read
from tests.s3 import S3Server

KEY, SECRET = "AKIA-nobody-sees-me", "a-secret-that-nobody-sees"


def credentials(server: S3Server) -> dict[str, str]:
    return {"aws_access_key_id": KEY, "aws_secret_access_key": SECRET, "endpoint_url": server.environment["AWS_ENDPOINT_URL"], "region": "us-east-1"}


@pytest.fixture
def bucket(s3_server: S3Server) -> str:
    return s3_server.make_bucket()


@pytest.fixture
def files(s3_server: S3Server) -> Any:
    """The same server as somebody else's program sees it."""
    endpoint = s3_server.environment["AWS_ENDPOINT_URL"]
    return fsspec.filesystem("s3", key="test", secret="test", endpoint_url=endpoint, use_listings_cache=False, skip_instance_cache=True)


def test_every_workspace_has_one(owner: Transport, tmp_path: Path) -> None:
    (found,) = data.list_datastores(owner)
    assert (found.name, found.kind, found.is_default, found.builtin, found.secret) == (BUILTIN, "folder", True, True, None)
    assert list(data.each_store_file(owner, BUILTIN)) == []
    made = put(owner, BUILTIN, "raw/a b.csv", b"x\n1\n")
    assert (made.path, made.size) == ("raw/a b.csv", 4)
    assert Path(str(made.url)).read_bytes() == b"x\n1\n"
    assert read(owner, BUILTIN, "raw/a b.csv", tmp_path) == b"x\n1\n"
    with pytest.raises(Conflict, match=r"raw/a b\.csv is there already"):
        put(owner, BUILTIN, "raw/a b.csv", b"y")
    put(owner, BUILTIN, "raw/a b.csv", b"", overwrite=True)
    put(owner, BUILTIN, "raw/z/.hidden", b"1")
    assert [(each.path, each.size) for each in data.each_store_file(owner, BUILTIN)] == [("raw/a b.csv", 0), ("raw/z/.hidden", 1)]
    assert [each.path for each in data.each_store_file(owner, BUILTIN, "raw/*.csv")] == ["raw/a b.csv"]
    assert not list(Path(str(made.url)).parent.glob(".a b.csv*"))


def test_a_file_is_no_folder_for_another(owner: Transport, tmp_path: Path) -> None:
    put(owner, BUILTIN, "plain", b"1")
    for path in ("plain/b.csv", "plain/b/c.csv"):
        for overwrite in (False, True):
            with pytest.raises(UsageError, match=rf"{path} cannot be made: a part of it is a file"):
                put(owner, BUILTIN, path, b"2", overwrite=overwrite)
    assert read(owner, BUILTIN, "plain", tmp_path) == b"1"
    with pytest.raises(UsageError, match="cannot be written"):
        data.fetch_store_file(owner, BUILTIN, "plain", tmp_path / "fetched" / "deeper")


def test_what_is_said_beside_a_region_is_kept() -> None:
    said = {"region": "eu-west-1", "client_kwargs": {"verify": "/etc/ca.pem"}}
    options = options_of(read_url("s3://bucket"), said)
    assert options == {"client_kwargs": {"verify": "/etc/ca.pem", "region_name": "eu-west-1"}}
    assert options_of(read_url("s3://bucket"), options) == options


def test_paths_do_not_lead_out(owner: Transport, tmp_path: Path) -> None:
    put(owner, BUILTIN, "a.csv", b"1")
    for path in ("../a.csv", "x/../../a.csv", "raw\\..", "a\n.csv"):
        with pytest.raises(UsageError, match="leads out of its datastore"):
            read(owner, BUILTIN, path, tmp_path)
        with pytest.raises(UsageError, match="leads out of its datastore"):
            put(owner, BUILTIN, path, b"1")
    with pytest.raises(NotFound, match="There is no"):
        read(owner, BUILTIN, "b.csv", tmp_path)
    with pytest.raises(UsageError, match="is a pattern"):
        read(owner, BUILTIN, "*.csv", tmp_path)
    made = Path(str(next(iter(data.each_store_file(owner, BUILTIN))).url))
    (made.parent / "link.csv").symlink_to("/etc/hostname")
    with pytest.raises(Forbidden, match="not for data"):
        read(owner, BUILTIN, "link.csv", tmp_path)


def test_a_part_is_read_by_its_range(owner: Transport) -> None:
    put(owner, BUILTIN, "a.txt", b"0123456789")
    answer = owner.request("GET", owner.path("datastores", BUILTIN, "content"), params={"path": "a.txt"}, headers={"range": "bytes=3-5"})
    assert (answer.status_code, answer.content, answer.headers["content-range"]) == (206, b"345", "bytes 3-5/10")


def test_a_bucket_is_written_and_read_with_its_credentials(
    shared_plane: ControlPlane, owner: Transport, s3_server: S3Server, bucket: str, files: Any, tmp_path: Path
) -> None:
    made = data.create_datastore(owner, NewDatastore(name="Lake", url=f"s3a://{bucket}/raw/", credentials=credentials(s3_server)))
    assert (made.url, made.kind, made.secret) == (f"s3://{bucket}/raw", "s3", "datastore.Lake")
    content = bytes(range(256)) * 30_000  # two parts of an upload
    put(owner, "lake", "2024/a.bin", content)
    assert files.cat_file(f"{bucket}/raw/2024/a.bin") == content
    files.pipe_file(f"{bucket}/raw/b.csv", b"x\n1\n")
    assert [(each.path, each.size, each.url) for each in data.each_store_file(owner, "lake")] == [("2024/a.bin", len(content), None), ("b.csv", 4, None)]
    assert read(owner, "lake", "b.csv", tmp_path) == b"x\n1\n"
    assert [each.path for each in data.each_store_file(owner, "lake", "**/*.bin")] == ["2024/a.bin"]
    with pytest.raises(Conflict, match="is there already"):
        put(owner, "lake", "b.csv", b"1")
    with pytest.raises(NotFound, match=rf"no s3://{bucket}/raw/c"):
        list(data.each_store_file(owner, "lake", "c"))
    told = [owner.request("GET", path).text for path in (owner.path("datastores"), owner.path("secrets"), owner.path("audit"))]
    assert not [each for each in (*told, shared_plane.log.read_text()) if SECRET in each or KEY in each]
    with speaking_as(owner, "r", "reader") as reader:
        assert read(reader, "lake", "b.csv", tmp_path) == b"x\n1\n"
        with pytest.raises(Forbidden):
            data.create_datastore(reader, NewDatastore(name="mine", url="https://example.org"))


def test_a_store_that_answers_badly_is_a_sentence(owner: Transport, s3_server: S3Server) -> None:
    data.create_datastore(owner, NewDatastore(name="gone", url="s3://no-such-bucket-here", credentials=credentials(s3_server)))
    with pytest.raises((NotFound, StoreUnavailable), match="s3://no-such-bucket-here"):
        list(data.each_store_file(owner, "gone"))


def test_one_is_changed_only_when_asked(owner: Transport, s3_server: S3Server, bucket: str) -> None:
    new = NewDatastore(name="lake", url=f"s3://{bucket}", credentials=credentials(s3_server))
    data.create_datastore(owner, new)
    with pytest.raises(Conflict, match="There is a datastore 'lake' already"):
        data.create_datastore(owner, new)
    changed = data.create_datastore(owner, NewDatastore(name="LAKE", url=f"s3://{bucket}", description="ours", overwrite=True))
    assert (changed.name, changed.description, changed.secret) == ("lake", "ours", "datastore.lake")
    with pytest.raises(UsageError, match="would go on using the credentials of"):
        data.create_datastore(owner, NewDatastore(name="lake", url="s3://another-bucket", overwrite=True))
    data.create_datastore(owner, NewDatastore(name="page", url="https://example.org"))
    moved = data.create_datastore(owner, NewDatastore(name="page", url="https://example.com", overwrite=True))
    assert (moved.url, moved.secret) == ("https://example.com", None), "it has no credentials that could go astray"
    with pytest.raises(Conflict, match="is there by itself"):
        data.create_datastore(owner, NewDatastore(name=BUILTIN, url="s3://another-bucket", anonymous=True))


def test_a_default_is_chosen_and_its_place_kept(owner: Transport) -> None:
    data.create_datastore(owner, NewDatastore(name="web", url="https://example.org/data"))
    assert data.show_default(owner).name == BUILTIN
    assert data.set_default(owner, "web").is_default
    assert [(each.name, each.is_default) for each in data.list_datastores(owner)] == [("web", True), (BUILTIN, False)]
    with pytest.raises(InUse, match="is the default datastore"):
        data.delete_datastore(owner, "web")
    data.set_default(owner, BUILTIN)
    data.delete_datastore(owner, "web")
    with pytest.raises(NotFound, match="no datastore 'web'"):
        data.set_default(owner, "web")
    with pytest.raises(Forbidden, match="is there by itself"):
        data.delete_datastore(owner, BUILTIN)


def test_its_secret_goes_with_it_and_a_data_set_keeps_it(owner: Transport, s3_server: S3Server, bucket: str) -> None:
    data.create_datastore(owner, NewDatastore(name="lake", url=f"s3://{bucket}", credentials=credentials(s3_server)))
    definition = DatasetDefinition.of(kind="File", paths=[{"datastore": "lake", "path": "images"}])
    data.register_dataset(owner, NewDatasetVersion.of(name="images", definition=definition))
    with pytest.raises(InUse, match="read by images:1"):
        data.delete_datastore(owner, "lake")
    data.delete_dataset(owner, "images")
    data.delete_datastore(owner, "lake")
    assert list(access.list_secrets(owner)) == []
    access.set_secret(owner, "key", "x")
    data.create_datastore(owner, NewDatastore(name="lake", url=f"s3://{bucket}", secret="key"))
    with pytest.raises(UsageError, match="The secret 'key' is no JSON object"):
        list(data.each_store_file(owner, "lake"))
    data.create_datastore(owner, NewDatastore(name="lake", url=f"s3://{bucket}", anonymous=True, overwrite=True))
    assert {each.name for each in access.list_secrets(owner)} == {"key", "datastore.lake"}


@pytest.mark.parametrize(
    ("new", "why"),
    [
        ({"url": "relative/path"}, "is no absolute path"),
        ({"url": "/etc"}, "not for data"),
        ({"url": "sqlite:////etc/x.db"}, "not for data"),
        ({"url": "ftp://x/y"}, "no scheme that is known"),
        ({"url": "s3://key:secret@bucket"}, "holds credentials"),
        ({"url": "https://u:p@example.org"}, "holds credentials"),
        ({"url": "https://a.blob.core.windows.net/c/x?sv=1&sig=abc"}, "holds credentials"),
        ({"url": "postgresql://u:p@host/db"}, "holds credentials"),
        ({"url": "s3://bucket/../other"}, r"part '\.\.'"),
        ({"url": "s3://bucket"}, "needs credentials: this server does not lend its own"),
        ({"url": "s3://bucket", "credentials": {"passwort": "hunter2"}}, "passwort was given"),
        ({"url": "https://example.org", "secret": "none"}, "no secret 'none'"),
        ({"url": "postgresql://host"}, "names no database"),
    ],
)
def test_what_is_no_place_is_refused(owner: Transport, new: dict[str, object], why: str) -> None:
    with pytest.raises((UsageError, Forbidden), match=why) as told:
        data.create_datastore(owner, NewDatastore.of(name="x", **new))
    assert "hunter2" not in str(told.value)
    assert len(list(data.list_datastores(owner))) == 1
