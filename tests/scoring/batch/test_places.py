"""Places: what is written is there whole or not at all, what is read is right whatever the network does, and no secret is ever shown."""

from __future__ import annotations

import errno
import hashlib
import os
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fairlead_scoring.batch.places import Place, PlaceFault, Refused, Vanished, open_place
from fairlead_scoring.batch.places.addresses import read_address
from fairlead_scoring.batch.places.credentials import options_for
from fairlead_scoring.batch.places.patterns import compile_pattern
from fairlead_scoring.batch.places.remote import RemotePlace

from tests.s3 import S3Server

MEGABYTE = 1 << 20
Flaky = Callable[..., AbstractContextManager[None]]


def noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def names(place: Place, pattern: str | None = None, *, hidden: bool = False) -> list[str]:
    return [entry.url.removeprefix(place.root).lstrip("/") for entry in place.entries(pattern, hidden=hidden)]


def test_what_is_written_is_read_back_with_its_digest(place: Place) -> None:
    content = noise(3 * MEGABYTE)
    with place.write("a/b.bin") as file:
        file.write(content[:1000])
        file.write(memoryview(content)[1000:])
    assert (file.bytes, file.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert place.read_bytes("a/b.bin") == content
    with place.open("a/b.bin", 17) as stream:
        assert stream.read(10) == content[17:27]
        stream.seek(-5, os.SEEK_END)
        assert stream.read() == content[-5:]
        stream.seek(100)
        assert stream.read(2 * MEGABYTE) == content[100 : 100 + 2 * MEGABYTE]
    assert names(place) == ["a/b.bin"]


def test_a_write_that_breaks_leaves_nothing_and_what_was_there_before(place: Place) -> None:
    place.put("x", b"as it was")
    with pytest.raises(RuntimeError):
        write_half(place, "x")
    assert place.read_bytes("x") == b"as it was"
    assert names(place, "", hidden=True) == ["x"]


def write_half(place: Place, path: str) -> None:
    with place.write(path) as file:
        file.write(noise(MEGABYTE))
        raise RuntimeError


def test_a_folder_lists_its_visible_files_and_a_pattern_what_it_matches(place: Place) -> None:
    for path in ("_SUCCESS", ".hidden/a.csv", "day=1/a.csv", "day=2/_tmp/a.csv", "day=2/a.csv", "day=2/b.txt", "_part=9/a.csv"):
        place.put(path, b"1")
    assert names(place) == ["_part=9/a.csv", "day=1/a.csv", "day=2/a.csv", "day=2/b.txt"]
    assert len(names(place, hidden=True)) == 7
    assert names(place, "day=2") == ["day=2/a.csv", "day=2/b.txt"]
    assert names(place, "day=2/a.csv") == ["day=2/a.csv"]
    assert names(place, "*/a.csv") == ["_part=9/a.csv", "day=1/a.csv", "day=2/a.csv"]
    assert names(place, "day=?/[!b]*") == ["day=1/a.csv", "day=2/a.csv"]
    assert names(place, "day=[1]") == ["day=1/a.csv"]
    assert names(place, "day=2/_tmp") == ["day=2/_tmp/a.csv"]
    assert names(place, "**/*.txt") == ["day=2/b.txt"]
    assert names(place, "*.nothing") == []
    with pytest.raises(Vanished, match="day=3 is not there"):
        names(place, "day=3")
    again = open_place(f"{place.url}/*/a.csv")
    assert [entry.url for entry in again.entries()] == [entry.url for entry in place.entries("*/a.csv")]
    assert again.root == place.root


def test_a_stamp_changes_with_the_file(place: Place) -> None:
    place.put("x", b"one")
    before = next(place.entries("x"))
    place.put("x", b"two!")
    assert place.stat("x") != before
    assert place.stat("x") == next(place.entries())
    assert place.stat("y") is None
    assert not place.exists("y")


def test_only_one_creates(place: Place) -> None:
    won: list[int] = []
    contents = [str(number).encode() * 100 for number in range(8)]
    threads = [threading.Thread(target=lambda number=number: won.append(number) if place.create("once", contents[number]) else None) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if "memory" not in place.url:  # has no conditions across threads
        assert len(won) == 1
    assert place.read_bytes("once") in [contents[number] for number in won]
    assert place.create("once", b"late") is False


def test_deleting_is_quiet_about_what_is_not_there(place: Place) -> None:
    place.put("a/b", b"1")
    place.put("a/c", b"1")
    place.delete("a/b")
    place.delete("a/b")
    assert names(place) == ["a/c"]
    place.delete_folder("a")
    place.delete_folder("a")
    assert not place.exists("a/c")


def test_what_is_not_there_is_named(place: Place) -> None:
    for act in (partial(place.open, "gone.csv"), partial(place.fetch, "gone.csv", "/nowhere")):
        with pytest.raises(Vanished, match=r"gone\.csv is not there"):
            act()


def test_a_file_is_fetched_once_to_this_machine(place: Place, tmp_path: Path) -> None:
    place.put("day=1/a.bin", noise(MEGABYTE))
    found = Path(place.fetch(next(place.entries()).url, str(tmp_path / "fetched")))
    assert found.read_bytes() == noise(MEGABYTE)
    assert found.parts[-2:] == ("day=1", "a.bin")


def test_parquet_is_read_by_columns_without_reading_all(s3: S3Server) -> None:
    place = open_place(f"s3://{s3.make_bucket()}/t")
    table = pa.table({"a": pa.array(range(300_000)), "b": pa.array([noise(16)] * 300_000)})
    with place.write("t.parquet") as file:
        pq.write_table(table, file, row_group_size=100_000, compression="none", use_dictionary=["a"])
    asked: list[int] = []
    assert isinstance(place, RemotePlace)
    cat = place.filesystem.cat_file

    def count(path: str, start: int, end: int) -> bytes:
        asked.append(end - start)
        content: bytes = cat(path, start=start, end=end)
        return content

    place.filesystem.cat_file = count
    with place.open("t.parquet") as stream:
        assert pq.ParquetFile(stream).read_row_group(1, ["a"]).equals(table.slice(100_000, 100_000).select(["a"]))
    assert sum(asked) < file.bytes / 3


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Uploads in parts from 10 MiB on, the smallest that S3 takes."""
    monkeypatch.setattr("fairlead_scoring.batch.places.remote._PIECE", 5 * MEGABYTE)


@pytest.mark.usefixtures("small_pieces")
def test_a_large_object_is_there_when_its_upload_is_complete(s3: S3Server) -> None:
    place = open_place(f"s3://{s3.make_bucket()}/big")
    content = noise(11 * MEGABYTE)
    with place.write("x") as file:
        file.write(content)
        assert not place.exists("x")
    assert place.read_bytes("x") == content


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 8))])
def test_a_network_that_fails_every_fifth_time_loses_and_doubles_nothing(s3: S3Server, flaky_s3: Flaky, tmp_path: Path, seed: int) -> None:
    place = open_place(f"s3://{s3.make_bucket()}/some/folder")
    contents = {f"part-{number}": noise(200_000, number) for number in range(8)} | {"large": noise(11 * MEGABYTE, seed)}
    with flaky_s3(0.2, seed=seed):
        for path, content in contents.items():
            place.put(path, content)
        for path, content in contents.items():
            assert place.read_bytes(path) == content
            assert Path(place.fetch(path, str(tmp_path))).read_bytes() == content
        assert [place.create(f"once-{number}", b"by me") for number in range(8)] == [True] * 8
        assert not any(place.create(f"once-{number}", b"by another") for number in range(8))
        for number in range(8):
            place.delete(f"once-{number}")
        assert names(place) == sorted(contents)
    assert {path: place.read_bytes(path) for path in names(place)} == contents


def test_a_store_that_never_answers_is_named_and_nothing_is_visible(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairlead_scoring.batch.places.retrying.PAUSES", ())
    monkeypatch.setattr("s3fs.core.S3FileSystem.retries", 1)
    place = open_place(f"s3://{s3.make_bucket()}/x")
    with s3.misbehaving(slow_down=1.0), pytest.raises(PlaceFault, match=r"s3://.*/x/a does not answer as it should: .*reduce your request rate.* and resume"):
        place.put("a", b"1")
    with pytest.raises(Vanished):
        names(place)
    with pytest.raises(Vanished, match="a bucket or container is made beforehand"):
        open_place("s3://no-such-bucket-at-all/x").put("a", b"1")


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = open_place(str(tmp_path))

    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(PlaceFault, match=f"No space is left for {tmp_path}/a") as full:
            place.put("a", b"1")
    assert full.value.cause == "disk-full"
    assert not list(tmp_path.iterdir())


def test_paths_are_read_as_people_write_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b" / "[1].csv").write_bytes(b"1")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for url in ("a b/[1].csv", "~/a b/[1].csv", f"file://{tmp_path}/a%20b/[1].csv", f"file:{tmp_path}/a b", "a b/*"):
        assert [entry.url for entry in open_place(url).entries()] == [str(tmp_path / "a b" / "[1].csv")], url
    with pytest.raises(Refused, match="a folder of another machine"):
        open_place("file://host/a")


def test_links_that_go_round_in_circles_end(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "f").write_bytes(b"1")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    assert names(open_place(str(tmp_path))) == ["a/f"]


@pytest.mark.parametrize(
    ("pattern", "path", "right"),
    [
        ("*.csv", "a.csv", True),
        ("*.csv", "a/b.csv", False),
        ("*.csv", "a.csv/part-0", True),
        ("**", "a/b/c", True),
        ("a/**/c", "a/c", True),
        ("a/**/c", "a/b/b/c", True),
        ("[0-9]?", "1x", True),
        ("[^0-9]", "1", False),
        ("[", "[", True),
        ("a.c", "abc", False),
        ("[]]", "]", True),
    ],
)
def test_patterns(pattern: str, path: str, right: bool) -> None:
    assert (compile_pattern(pattern).fullmatch(path) is not None) is right


class Web(SimpleHTTPRequestHandler):
    """A server that sends whole files and knows no ranges."""

    def log_message(self, *_: object) -> None: ...


class Interrupted(BaseHTTPRequestHandler):
    """A server that knows ranges, and breaks off its first answer to each."""

    content = noise(5 * MEGABYTE)
    seen: set[str] = set()  # noqa: RUF012 - one server, one test

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.content)))
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()

    def do_GET(self) -> None:
        asked = self.headers["Range"]
        start, end = (int(each) for each in asked.removeprefix("bytes=").split("-"))
        body = self.content[start : end + 1]
        self.send_response(206)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body if asked in self.seen else body[: len(body) // 2])
        self.close_connection = True
        self.seen.add(asked)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Callable[[type[BaseHTTPRequestHandler]], str]]:
    started: list[ThreadingHTTPServer] = []

    def start(handler: type[BaseHTTPRequestHandler]) -> str:
        made = partial(handler, directory=str(tmp_path)) if handler is Web else handler
        started.append(ThreadingHTTPServer(("127.0.0.1", 0), made))
        threading.Thread(target=started[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{started[-1].server_port}"

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


def test_the_web_is_read_and_never_written(web: Callable[[type[BaseHTTPRequestHandler]], str], tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(noise(MEGABYTE))
    url = f"{web(Web)}/a.csv"
    place = open_place(url + "?version=hidden")
    (entry,) = place.entries()
    assert (entry.url, entry.size) == (url + "?version=hidden", MEGABYTE)
    with place.open(entry.url, 10) as stream:
        assert stream.read() == noise(MEGABYTE)[10:]
    assert Path(place.fetch(entry.url, str(tmp_path / "fetched"))).read_bytes() == noise(MEGABYTE)
    with pytest.raises(Refused, match="can only be read") as refused:
        place.put(entry.url, b"")
    assert "hidden" not in str(refused.value)
    with pytest.raises(Refused, match="name each file"):
        list(open_place(url.replace("a.csv", "*.csv")).entries())
    with pytest.raises(Vanished, match=r"b\.csv is not there"):
        list(open_place(url.replace("a.csv", "b.csv")).entries())


def test_a_read_that_breaks_in_the_middle_goes_on_where_it_broke(web: Callable[[type[BaseHTTPRequestHandler]], str]) -> None:
    place = open_place(f"{web(Interrupted)}/a.bin")
    with place.open(place.url) as stream:
        assert stream.read() == Interrupted.content
    assert len(Interrupted.seen) > 2


def test_azure_is_one_store_by_all_its_names(monkeypatch: pytest.MonkeyPatch) -> None:
    key = {"account_name": "mine", "account_key": "hidden=="}
    for url in ("wasbs://c@mine.blob.core.windows.net/d/*.csv", "abfss://c@mine.dfs.core.windows.net/d/*.csv", "https://mine.blob.core.windows.net/c/d/*.csv"):
        address = read_address(url, azure=True)
        assert (address.protocol, address.bucket, address.path, address.account) == ("abfs", "c", "d/*.csv", "mine")
        assert address.url == url
        assert options_for(address, key)["account_key"] == "hidden=="
    assert read_address("https://mine.blob.core.windows.net/c/d").protocol == "http"
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "mine")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "hidden==")
    assert options_for(read_address("abfs://c/d"), None)["account_name"] == "mine"


@pytest.mark.parametrize(
    ("url", "given", "said"),
    [
        ("s3://theirs/a", None, r"s3://theirs/a is in the bucket theirs, for which there are no credentials\. Give some by name .*, or set AWS_ACCESS_KEY_ID"),
        ("s3://theirs/a", {"key": "hidden", "secret": "hidden", "bucket": "mine"}, "credentials given are for mine. Name credentials for theirs"),
        ("wasbs://c@theirs.blob.core.windows.net/a", None, "in the storage account theirs, for which there are no credentials"),
        (
            "wasbs://c@theirs.blob.core.windows.net/a",
            {"account_name": "mine", "account_key": "hidden"},
            "account theirs, and the credentials given are for mine",
        ),
        ("https://theirs.blob.core.windows.net/c/a", {"account_name": "mine", "sas_token": "hidden"}, "account theirs, and the credentials given are for mine"),
        ("https://x.blob.core.windows.net/c/a?sv=1&sig=hidden", None, "holds credentials, which logs would show"),
        ("https://b.s3.amazonaws.com/a.csv?X-Amz-Algorithm=A&X-Amz-Signature=hidden", None, "holds credentials, which logs would show"),
        ("https://h/a.csv?x-amz-security-token=hidden", None, "holds credentials, which logs would show"),
        ("https://storage.googleapis.com/b/a?X-Goog-Signature=hidden", None, "holds credentials, which logs would show"),
        ("https://h/a?AWSAccessKeyId=hidden&Signature=hidden", None, "holds credentials, which logs would show"),
        ("https://h/a?TOKEN=hidden", None, "holds credentials, which logs would show"),
        ("s3://b/a.csv?X-Amz-Signature=hidden", None, "holds credentials, which logs would show"),
        ("s3://key:hidden@bucket/a", None, "holds credentials, which logs would show"),
        ("abfs://c/a", None, "names no storage account"),
        ("ftp://host/a", None, "is of no kind that can be read here"),
        ("s3:///a", None, "names no bucket"),
        ("", None, "nothing was given"),
    ],
)
def test_what_cannot_be_opened_says_why_and_shows_no_secret(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str, given: dict[str, str] | None, said: str
) -> None:
    for name in [name for name in os.environ if name.startswith(("AWS_", "AZURE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(Refused, match=said) as refused:
        open_place(url, given)
    assert "hidden" not in str(refused.value)


def test_credentials_are_taken_in_the_forms_people_have_and_never_shown(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in s3_server.environment:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("fairlead_scoring.batch.places.retrying.PAUSES", ())
    bucket = s3_server.make_bucket()
    said = {"aws_access_key_id": "test", "aws_secret_access_key": "hidden-secret", "endpoint": f"http://127.0.0.1:{s3_server.port}", "region": "us-east-1"}
    place = open_place(f"s3://{bucket}/a", said)
    place.put("x", b"1")
    assert place.read_bytes("x") == b"1"

    def leak(*_: object, **__: object) -> None:
        raise OSError("cannot sign with hidden-secret")

    assert isinstance(place, RemotePlace)
    monkeypatch.setattr(place.filesystem, "info", leak)
    with pytest.raises(PlaceFault, match=r"cannot sign with \*\*\*"):
        place.exists("x")
