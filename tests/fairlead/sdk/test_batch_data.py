"""Paths, URLs, data sets and datastores as a job's inputs and outputs, for a server on this machine and for one elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.client import blobs
from fairlead.client.transport import Transport
from fairlead.errors import Forbidden, UsageError
from fairlead.sdk.batch_data import Data, Way, are_files, by_the_shortest, inputs_of, local_output, output_of, reference_of
from fairlead.sdk.mini_batches import mini_batch
from fairlead.sdk.uploads import download_tree

HERE, AWAY = Transport("http://127.0.0.1:1", "token"), Transport("https://fairlead.example.org", "token")


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("2026/a.csv", "2026/b.csv", "2026/c.txt", "2025/a.csv"):
        (tmp_path / "rows" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "rows" / name).write_text(f"x\n{name}\n")
    return tmp_path / "rows"


def test_the_server_of_this_machine_is_told_absolute_paths(rows: Path) -> None:
    data = Data(places=["rows/2026/*.csv", "rows/2025", "s3://bucket/x.csv", "file:///srv/y.csv", "dataset:wine:3", "datastore:lake/new/"], credentials="lake")
    assert list(inputs_of(Way(transport=HERE, uploads=False), data)) == [
        {"urls": [f"{rows}/2026/*.csv", f"{rows}/2025"]},
        {"urls": ["s3://bucket/x.csv", "file:///srv/y.csv"], "credentials": "lake"},
        {"dataset": "wine:3", "credentials": "lake"},
        {"datastore": "lake", "path": "new/", "credentials": "lake"},
    ]
    assert output_of(HERE, "scores/", None) == {"url": f"{rows.parent}/scores"}
    assert reference_of(Way(transport=HERE, uploads=False), "rows/2026/a.csv") == f"{rows}/2026/a.csv"
    assert reference_of(Way(transport=HERE, uploads=False), "wasbs://c@a.blob.core.windows.net/f.csv") == "wasbs://c@a.blob.core.windows.net/f.csv"


def test_a_database_is_said_by_its_url_or_as_a_datastore() -> None:
    way, query = Way(transport=HERE, uploads=False), {"query": "select 1"}
    assert list(inputs_of(way, Data(words={**query, "database": "sqlite:////x.db"}))) == [{**query, "database": "sqlite:////x.db"}]
    assert list(inputs_of(way, Data(words={**query, "database": "datastore:base"}))) == [{**query, "datastore": "base", "path": ""}]


@pytest.mark.parametrize(("said", "sentence"), [("rows/absent.csv", "There is no file rows/absent.csv."), ("rows/*.parquet", "No file matches rows/*.parquet")])
def test_a_path_that_leads_nowhere_is_refused(rows: Path, said: str, sentence: str) -> None:
    for server in (HERE, AWAY):
        with pytest.raises(UsageError) as refused:
            by_the_shortest(server, lambda way: list(inputs_of(way, Data(places=[said]))))
        assert str(refused.value).startswith(sentence)


def test_an_output_on_this_machine_is_refused_for_a_server_elsewhere() -> None:
    with pytest.raises(UsageError, match=r"The output scores lies on this machine, and the server https://fairlead.example.org on another"):
        local_output(AWAY, "scores")
    assert output_of(AWAY, "s3://bucket/scores", "lake") == {"url": "s3://bucket/scores", "credentials": "lake"}
    assert output_of(AWAY, "datastore:lake/scores", None) == {"datastore": "lake", "path": "scores"}
    assert output_of(AWAY, None, "lake") == {}
    with pytest.raises(UsageError, match="answers go to a path, a URL"):
        output_of(AWAY, "dataset:wine", None)


def test_files_are_uploaded_to_a_server_elsewhere(owner: Transport, rows: Path, tmp_path: Path) -> None:
    way = Way(transport=owner, uploads=True)
    [told] = inputs_of(way, Data(places=["rows/2026/*.csv", "rows/2025/a.csv"], words={"format": "csv"}))
    assert told["format"] == "csv"
    download_tree(owner, told["tree"], tmp_path / "back")
    assert sorted(path.relative_to(tmp_path / "back").as_posix() for path in (tmp_path / "back").rglob("*.csv")) == ["2025/a.csv", "2026/a.csv", "2026/b.csv"]
    assert (tmp_path / "back/2026/b.csv").read_text() == "x\n2026/b.csv\n"
    kind, _, digest = reference_of(way, "rows/2026/a.csv").partition(":")
    assert (kind, blobs.list_missing(owner, [digest])) == ("tree", set())


def test_what_is_scored_is_told_from_names(rows: Path) -> None:
    assert not are_files(Data(places=["rows/2026/*.csv"]))
    assert not are_files(Data(places=["s3://bucket/day=1/x.parquet"]))
    assert not are_files(Data(places=["rows/2025"]))
    assert are_files(Data(places=["images/*.png"]))
    assert are_files(Data(places=["rows/a.csv"], words={"format": "files"}))
    assert not are_files(Data(places=["rows.csv.gz"]))


def test_a_bare_number_counts_files_or_bytes() -> None:
    assert mini_batch("5", over_files=True).files == 5
    assert mini_batch(1024, over_files=False).bytes == 1024
    assert mini_batch("10MB", over_files=True).bytes == 10 << 20
    assert mini_batch("10000rows", over_files=False).rows == 10_000
    assert mini_batch(None, over_files=True).files is None


def test_what_the_server_may_not_read_is_uploaded() -> None:
    asked = []

    def ask(way: Way) -> str:
        asked.append(way.uploads)
        if not way.uploads:
            raise Forbidden("Not there.")
        return "taken"

    assert by_the_shortest(HERE, ask) == "taken"
    assert asked == [False, True]
    asked.clear()
    assert by_the_shortest(AWAY, ask) == "taken"
    assert asked == [True]
