"""Data sets: dense versions, definitions that stay, files as jobs see them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fairlead.client import data
from fairlead.client.transport import Transport
from fairlead.errors import Conflict, NotFound, UsageError
from fairlead.schemas.data import BUILTIN, DatasetChange, DatasetVersion, NewDatasetVersion, NewDatastore
from fairlead.schemas.wire import Page
from tests.fairlead.server.data.putting import put


def registered(owner: Transport, name: str = "rows", path: str = "raw/*.csv", **said: object) -> DatasetVersion:
    definition = {"kind": "Tabular", "paths": [{"datastore": BUILTIN, "path": path}]} | dict(said.pop("definition", {}))  # type: ignore[call-overload]
    return data.register_dataset(owner, NewDatasetVersion.of(name=name, definition=definition, **{"create_new_version": True, **said}))


def test_versions_are_dense_and_the_same_is_no_new_one(owner: Transport) -> None:
    first = registered(owner, tags={"stage": "raw"})
    assert (first.reference, first.files, first.definition.paths[0].path) == ("rows:1", None, "raw/*.csv")
    assert registered(owner).id == first.id
    second = registered(owner, path="raw/2024/*.csv")
    assert (second.version, second.digest != first.digest) == (2, True)
    with pytest.raises(Conflict, match="it says otherwise"):
        registered(owner, path="other", create_new_version=False)
    with pytest.raises(Conflict, match="There is a data set 'rows'"):
        registered(owner, "ROWS", path="other")
    assert [each.version for each in data.list_versions(owner, "Rows")] == [2, 1]
    data.delete_dataset(owner, "rows", "2")
    assert data.show_dataset(owner, "rows").version == 1
    assert registered(owner, path="third").version == 3
    assert [(each.name, each.latest_version, each.versions) for each in data.list_datasets(owner)] == [("rows", 3, 2)]
    assert data.show_dataset_by_id(owner, first.id) == data.show_dataset(owner, "rows", "1")
    with pytest.raises(NotFound, match="no data set with the id"):
        data.show_dataset_by_id(owner, second.id)
    with pytest.raises(NotFound, match="There is no rows:9; the last that was registered is 3"):
        data.show_dataset(owner, "rows", "9")
    data.delete_dataset(owner, "rows")
    assert registered(owner).version == 1


def test_many_at_once_get_a_number_each(owner: Transport) -> None:
    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(lambda number: registered(owner, path=f"{number}.csv").version, range(6)))
    assert sorted(made) == [1, 2, 3, 4, 5, 6]


def test_tags_change_and_the_rest_does_not(owner: Transport) -> None:
    registered(owner, tags={"a": "1", "b": "2"})
    changed = data.change_dataset(owner, "rows", "1", DatasetChange(tags={"a": None, "c": "3"}, description="new"))
    assert (changed.tags, changed.description) == ({"b": "2", "c": "3"}, "new")
    answer = owner.http.request("PATCH", owner.path("datasets", "rows", "versions", "1"), json={"definition": {}})
    assert answer.status_code == 400


def test_a_listing_makes_the_digest_follow_the_files(owner: Transport) -> None:
    put(owner, BUILTIN, "raw/a.csv", b"x\n1\n")
    first = registered(owner, listed=True)
    assert (first.files, first.size) == (1, 4)
    assert registered(owner, listed=True).id == first.id
    put(owner, BUILTIN, "raw/b.csv", b"x\n22\n")
    second = registered(owner, listed=True)
    assert (second.version, second.files, second.size) == (2, 2, 9)
    with pytest.raises(UsageError, match="There is no file at"):
        registered(owner, path="raw/*.parquet", listed=True)


def test_files_are_those_that_a_job_reads(owner: Transport, tmp_path: Path) -> None:
    for path in ("raw/d=1/a.csv", "raw/d=2/a.csv", "raw/_done", "raw/d=1/.tmp", "raw/notes.txt", "one.csv"):
        put(owner, BUILTIN, path, path.encode())
    registered(owner, "pattern", "raw/*/*.csv")
    registered(owner, "folder", "raw")
    registered(owner, "file", "one.csv")
    several = [{"datastore": BUILTIN, "path": "one.csv"}, {"datastore": BUILTIN, "path": "raw/d=2"}]
    registered(owner, "several", definition={"kind": "File", "paths": several})
    listed = {name: [(each.source, each.path) for each in data.each_dataset_file(owner, name)] for name in ("pattern", "folder", "file", "several")}
    assert listed == {
        "pattern": [(0, "d=1/a.csv"), (0, "d=2/a.csv")],
        "folder": [(0, "d=1/a.csv"), (0, "d=2/a.csv"), (0, "notes.txt")],
        "file": [(0, "one.csv")],
        "several": [(0, "one.csv"), (1, "a.csv")],
    }
    for name, wanted in (("pattern", "raw/d=2/a.csv"), ("several", "raw/d=2/a.csv"), ("file", "one.csv")):
        *_, last = data.each_dataset_file(owner, name)
        data.fetch_dataset_file(owner, name, "latest", last, tmp_path / "x")
        assert (tmp_path / "x").read_text() == wanted
    stranger = next(iter(data.each_dataset_file(owner, "pattern"))).model_copy(update={"path": "notes.txt"})
    for path in ("notes.txt", "../one.csv", "_done", "d=1/.tmp"):
        with pytest.raises(UsageError, match=r"no file of this data set|leads out"):
            data.fetch_dataset_file(owner, "pattern", "1", stranger.model_copy(update={"path": path}), tmp_path / "x")


def test_a_list_of_files_comes_in_pages(owner: Transport) -> None:
    for number in range(5):
        put(owner, BUILTIN, f"raw/{number}.csv", b"x")
    registered(owner)
    path, found, after = owner.path("datasets", "rows", "versions", "1", "files"), [], None
    while True:
        page = owner.send(Page, "GET", path, params={"limit": 2, "after": after}).value
        found += [each["path"] for each in page.items]
        after = page.next
        if after is None:
            break
    assert found == [f"{number}.csv" for number in range(5)]
    assert owner.http.get(path, params={"after": "WyJhIl0"}).status_code == 400


@pytest.mark.parametrize(
    ("definition", "why"),
    [
        ({"paths": [{"url": "/etc/passwd"}]}, "not for data"),
        ({"paths": [{"url": "s3://elsewhere/x"}]}, "no datastore of this workspace"),
        ({"paths": [{"datastore": "nothing"}]}, "no datastore 'nothing'"),
        ({"paths": [{"datastore": BUILTIN}], "query": "SELECT 1"}, "a database is read by a query"),
        ({"paths": [{"datastore": BUILTIN}, {"datastore": "lake"}]}, "opened in different ways"),
    ],
)
def test_what_cannot_be_read_is_refused(owner: Transport, definition: dict[str, object], why: str) -> None:
    data.create_datastore(owner, NewDatastore(name="lake", url="s3://lake", credentials={"key": "k", "secret": "s"}))
    with pytest.raises(Exception, match=why):
        registered(owner, definition={"kind": "Tabular", **definition})
