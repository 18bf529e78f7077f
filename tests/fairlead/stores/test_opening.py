"""From what a person writes to a store, and what is said when it is none."""

from __future__ import annotations

import io
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from fairlead.errors import StoreUnavailable, UsageError
from fairlead.stores import FolderStore, UrlStore, check_store, open_store
from fairlead.stores.schemes import SCHEMES
from tests.s3 import S3Server


@pytest.mark.parametrize("write", [str, lambda path: path, lambda path: path.as_uri(), lambda path: f"FILE://localhost{path}", lambda path: f" {path} "])
def test_a_folder_by_path_and_by_url(tmp_path: Path, write: object) -> None:
    assert callable(write)
    store = open_store(write(tmp_path / "my store"))
    assert isinstance(store, FolderStore)
    assert store.path == tmp_path / "my store"
    assert str(store) == f"the store {tmp_path}/my store"


def test_a_relative_folder_stays_where_it_was_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    store, at_home = open_store("below"), open_store("~/store")
    assert isinstance(store, FolderStore)
    assert isinstance(at_home, FolderStore)
    assert (store.path, at_home.path) == (tmp_path / "below", tmp_path / "home" / "store")


def test_a_url_by_its_scheme() -> None:
    store = open_store("MEMORY://Bucket/folder/")
    assert isinstance(store, UrlStore)
    assert store.url == "memory://Bucket/folder"


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("", "nothing was given"),
        ("  ", "nothing was given"),
        ("ftp://host/folder", "'ftp://host/folder' names no store that Fairlead knows; give a folder, or a URL that begins with s3, gs, abfs"),
        ("https://bucket.s3.amazonaws.com/x", "names no store that Fairlead knows"),
        ("s3://", "'s3://' names no bucket or container; write s3://NAME/FOLDER"),
        ("s3:/bucket/x", "names no bucket"),
        ("s3:///x", "names no bucket"),
        ("s3://key:topsecret@bucket/x", "at bucket holds credentials, which logs would show"),
        ("s3://key@bucket/x", "holds credentials"),
        ("s3://bucket/x?versionId=1", r"has a part after '\?'"),
        ("s3://bucket/x#y", r"has a part after '\?' or '#'"),
        ("s3://bucket/a/../b", "leave out '.', '..'"),
        ("s3://bucket/a//b", "leave out"),
        ("s3://bucket/a b", "leave out"),
        ("s3://[bucket", "is no URL"),
        ("s3://bucket:x/y", "is no URL"),
        ("file://elsewhere/share", "is a folder of another machine"),
    ],
)
def test_what_is_no_store_gets_a_sentence(place: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence) as refused:
        open_store(place)
    assert "topsecret" not in str(refused.value)
    assert str(refused.value).endswith(".")


@pytest.mark.parametrize(
    ("url", "cure"),
    [("gs://b/x", "gcs"), ("abfs://c@account.dfs.core.windows.net/x", "azure"), ("wasbs://c@account.blob.core.windows.net/x", "azure"), ("s3://b/x", "s3")],
)
def test_a_library_that_is_missing_is_named_with_the_command(url: str, cure: str) -> None:
    """In a process of its own, which has none of them."""
    without = "import sys; sys.modules.update(dict.fromkeys(['s3fs', 'gcsfs', 'adlfs'])); from fairlead.stores import open_store; open_store(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", without, url], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1].endswith(f"UsageError: {url} needs a library that is not installed here: pip install 'fairlead[{cure}]'.")


def test_every_extra_that_is_named_exists(repository: Path) -> None:
    listed = (repository / "pyproject.toml").read_text()
    assert all(f"\n{scheme.extra} = [" in listed for scheme in SCHEMES.values())


def test_stores_load_without_their_libraries() -> None:
    """The commands import this; fsspec and its kind cost a quarter of a second."""
    done = subprocess.run([sys.executable, "-X", "importtime", "-c", "import fairlead.stores"], capture_output=True, text=True, check=True)
    assert not {"fsspec", "s3fs", "aiobotocore"} & {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}


@pytest.mark.needs("s3fs", "moto")
def test_a_bucket_that_is_not_there_is_named(s3: S3Server) -> None:
    store = open_store("s3://no-such-bucket/x")
    for act in (lambda: check_store(store), lambda: store.offset("u"), lambda: list(store.uploads())):
        with pytest.raises(StoreUnavailable, match=r"The store s3://no-such-bucket/x is not there \(.* not exist\)\. Make the bucket"):
            act()


@pytest.mark.needs("s3fs")
def test_an_address_where_nobody_listens_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{probe.getsockname()[1]}"
    for name, value in {**S3Server(1).environment, "AWS_ENDPOINT_URL": address}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("fairlead.stores.retrying._PAUSES", ())
    with pytest.raises(StoreUnavailable, match=f"does not answer as it should: EndpointConnectionError.*{address}.*See to its address"):
        open_store("s3://bucket/x").put(io.BytesIO(b"x"))


@pytest.mark.needs("s3fs", "moto")
def test_no_credentials_are_said_so(s3: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setattr("fairlead.stores.retrying._PAUSES", ())
    with pytest.raises(StoreUnavailable, match=r"Unable to locate credentials\. See to its address, its credentials"):
        open_store(f"s3://{s3.make_bucket()}/x").put(io.BytesIO(b"x"))
