"""Datastores and data sets as programs for Azure ML use them, against a real server; what is read is compared with pandas."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from fairlead import Dataset, Datastore, DataType, Model, NotFound, UsageError, Workspace
from fairlead.client import models
from fairlead.errors import Conflict, Forbidden
from tests.s3 import S3Server


def day(*parts: int) -> datetime:
    """Without a zone, as the seeds write it."""
    return datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001 - that it has none is what is tried


@pytest.fixture
def days(tmp_path: Path) -> pd.DataFrame:
    """Three files, one for each day, in a folder `data`."""
    frame = pd.DataFrame({"id": range(9), "text": [f"a,{number}" for number in range(9)], "at": pd.date_range("2024-01-01", periods=9, freq="8h")})
    for number in range(3):
        folder = tmp_path / "data" / f"2024-01-0{number + 1}"
        folder.mkdir(parents=True)
        frame[number * 3 : number * 3 + 3].to_csv(folder / "rows.csv", index=False)
    return frame


# "Create a data set" of the deployment labs (PK), as it stands there but for its imports and files.
REGISTERED = """
default_ds = ws.get_default_datastore()
if 'diabetes dataset' not in ws.datasets:
    default_ds.upload_files(files=['./data/2024-01-01/rows.csv', './data/2024-01-02/rows.csv'], # Upload the diabetes csv files in /data
                        relative_root='./data',
                        target_path='diabetes-data/', # Put it in a folder path in the datastore
                        overwrite=True, # Replace existing files of the same name
                        show_progress=True)

    #Create a tabular dataset from the path on the datastore (this may take a short while)
    tab_data_set = Dataset.Tabular.from_delimited_files(path=(default_ds, 'diabetes-data/*/*.csv'))

    # Register the tabular dataset
    tab_data_set = tab_data_set.register(workspace=ws,
                                name='diabetes dataset',
                                description='diabetes data',
                                tags = {'format':'CSV'},
                                create_new_version=True)
"""


def test_the_labs_register_and_read_a_data_set(ws: Workspace, days: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(REGISTERED, {"ws": ws, "Dataset": Dataset})  # noqa: S102 - the lab's own code
    found = ws.datasets["diabetes dataset"]
    assert (found.name, found.version, found.description, found.tags) == ("diabetes dataset", 1, "diabetes data", {"format": "CSV"})
    pd.testing.assert_frame_equal(found.to_pandas_dataframe(), days[:6], check_dtype=False)
    assert list(found.take(4).skip(1).to_pandas_dataframe()["id"]) == [1, 2, 3]
    assert Dataset.get_by_id(ws, found.id).version == 1
    model = Model.register(ws, str(tmp_path / "data" / "2024-01-01" / "rows.csv"), "mine", datasets=[("training", found)])
    (reference,) = models.show_version(ws.transport, model.id).lineage.datasets
    assert (reference.purpose, reference.name, reference.digest) == ("training", "diabetes dataset:1", found.digest)
    for said in ("diabetes dataset:1", found.digest, found.id):
        assert [each.name for each in Model.list(ws, dataset_id=said)] == ["mine"]


def test_times_of_rows_and_folders(ws: Workspace, days: pd.DataFrame, tmp_path: Path) -> None:
    store = ws.get_default_datastore()
    store.upload(tmp_path / "data", target_path="raw", show_progress=False)
    rows = Dataset.Tabular.from_delimited_files(store.path("raw/**/*.csv"), partition_format="raw/{day:yyyy-MM-dd}/rows.csv")
    rows = rows.with_timestamp_columns("at", "day").register(ws, "rows")
    kept = {
        "before": rows.time_before(day(2024, 1, 2)).to_pandas_dataframe(),
        "after": rows.time_after(datetime(2024, 1, 3, tzinfo=UTC), include_boundary=False).to_pandas_dataframe(),
        "between": rows.time_between(day(2024, 1, 1, 8), day(2024, 1, 2), include_boundary=False).to_pandas_dataframe(),
    }
    at = days["at"]
    assert list(kept["before"]["id"]) == list(days[at <= "2024-01-02"]["id"])
    assert list(kept["after"]["id"]) == list(days[at > "2024-01-03"]["id"])
    assert list(kept["between"]["id"]) == list(days[(at > "2024-01-01T08:00") & (at < "2024-01-02")]["id"])
    assert list(kept["before"]["day"].dt.day) == [1, 1, 1, 2]
    assert len(rows.time_recent(timedelta(days=1)).to_pandas_dataframe()) == 0
    assert list(rows.keep_columns(["id", "day"]).time_before(day(2024, 1, 1)).to_pandas_dataframe().columns) == ["id", "day"]
    with pytest.raises(UsageError, match="no timestamp column"):
        Dataset.Tabular.from_delimited_files(store.path("raw")).time_before(day(2024, 1, 1))
    with pytest.raises(UsageError, match="no column 'when'"):
        Dataset.Tabular.from_delimited_files(store.path("raw")).with_timestamp_columns("when").time_before(day(2024, 1, 1)).to_pandas_dataframe()


def test_formats_are_read_as_pandas_reads_them(ws: Workspace, days: pd.DataFrame, tmp_path: Path) -> None:
    store = ws.get_default_datastore()
    days.to_parquet(tmp_path / "rows.parquet")
    days.to_json(tmp_path / "rows.jsonl", orient="records", lines=True, date_format="iso")
    days.to_csv(tmp_path / "rows.tsv.gz", index=False, sep=";", header=False)
    store.upload_files([tmp_path / name for name in ("rows.parquet", "rows.jsonl", "rows.tsv.gz")], show_progress=False)
    parquet = Dataset.Tabular.from_parquet_files((store, "rows.parquet")).register(ws, "parquet", listed=True)
    pd.testing.assert_frame_equal(parquet.to_pandas_dataframe(), days)
    assert parquet.definition.format == "parquet"
    lines = Dataset.Tabular.from_json_lines_files((store, ["rows.jsonl"]), set_column_types={"id": DataType.to_string()}).to_pandas_dataframe()
    assert list(lines["id"]) == [str(each) for each in days["id"]]
    said = Dataset.Tabular.from_delimited_files(str(tmp_path / "*.gz"), separator=";", header=False, set_column_types={"f0": "float64"})
    frame = said.to_pandas_dataframe()
    assert (list(frame.columns), frame["f0"].sum()) == (["f0", "f1", "f2"], days["id"].sum())
    with pytest.raises(UsageError, match=r"rows\.parquet cannot be read as csv"):
        Dataset.Tabular.from_delimited_files((store, "rows.parquet")).to_pandas_dataframe()
    made = Dataset.Tabular.register_pandas_dataframe(days, (store, "frames"), "frame")
    pd.testing.assert_frame_equal(made.to_pandas_dataframe(), days)


def test_a_query_is_read_where_the_database_is(ws: Workspace, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "sales.db") as connection:
        connection.execute("CREATE TABLE sales (shop TEXT, amount REAL)")
        connection.executemany("INSERT INTO sales VALUES (?, ?)", [("a", 1.5), ("b", 2.5)])
    connection.close()
    store = Datastore.register_url(ws, "sales", f"sqlite:///{tmp_path}/sales.db")
    rows = Dataset.Tabular.from_sql_query((store, "SELECT * FROM sales WHERE amount > 2")).register(ws, "big")
    assert rows.to_pandas_dataframe().to_dict("records") == [{"shop": "b", "amount": 2.5}]
    away = Datastore.register_url(ws, "away", "postgresql://127.0.0.1/away", {"user": "u", "password": "a-password-to-hide"})
    with pytest.raises(UsageError, match="credentials do not leave the server") as told:
        Dataset.Tabular.from_sql_query((away, "SELECT 1")).to_pandas_dataframe()
    assert "a-password-to-hide" not in f"{told.value}{away!r}{away.url}"


def test_files_come_as_paths_and_folders(ws: Workspace, days: pd.DataFrame, tmp_path: Path) -> None:
    store = ws.get_default_datastore()
    store.upload(tmp_path / "data", "images", show_progress=False)
    images = Dataset.File.from_files((store, "images/")).register(ws, "images")
    paths = ["/2024-01-01/rows.csv", "/2024-01-02/rows.csv", "/2024-01-03/rows.csv"]
    assert images.to_path() == paths
    assert images.take(1).to_path() == paths[:1]
    fetched = images.download(tmp_path / "here")
    assert [Path(each).read_bytes() for each in fetched] == [(tmp_path / "data" / path[1:]).read_bytes() for path in paths]
    with pytest.raises(Conflict, match="is there already"):
        images.download(tmp_path / "here")
    with images.mount() as folder:
        assert sorted(each.name for each in folder.iterdir()) == ["2024-01-01", "2024-01-02", "2024-01-03"]
    assert not folder.exists()
    named = images.as_named_input("images").as_mount()
    assert (named.name, named.mode, named.dataset.version) == ("images", "mount", 1)
    with pytest.raises(UsageError, match="jobs and registered data sets have all"):
        images.take(1).as_named_input("x")
    with pytest.raises(NotFound):
        Dataset.get_by_name(ws, "images", version=7)
    images.add_tags({"kind": "photo"})
    assert images.tags == {"kind": "photo"}
    second = Dataset.File.from_files([(store, "images/2024-01-01"), store.path("images/2024-01-02")]).register(ws, "images", create_new_version=True)
    assert [each.version for each in second.versions] == [2, 1]
    second.unregister_all_versions()
    assert "images" not in ws.datasets


def test_places_of_one_s_own(ws: Workspace, s3_server: S3Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bucket = s3_server.make_bucket()
    lake = Datastore.register_s3(ws, "lake", bucket, "raw", key="test", secret="test", endpoint_url=s3_server.environment["AWS_ENDPOINT_URL"])
    (tmp_path / "a.csv").write_text("x\n1\n")
    where = lake.upload_files([str(tmp_path / "a.csv")], target_path="in")
    assert str(where) == "datastore:lake/in"
    lake.upload_files([str(tmp_path / "a.csv")], target_path="in")
    assert "in/a.csv is there already" in capsys.readouterr().out
    assert Dataset.Tabular.from_delimited_files((lake, "in")).to_pandas_dataframe()["x"].tolist() == [1]
    assert lake.download(tmp_path / "out", prefix="in") == 1
    assert (tmp_path / "out" / "in" / "a.csv").read_text() == "x\n1\n"
    ws.set_default_datastore("lake")
    assert (ws.get_default_datastore().name, sorted(ws.datastores)) == ("lake", ["lake", "workspaceblobstore"])
    ws.set_default_datastore("workspaceblobstore")
    folder = Datastore.register_folder(ws, "folder", tmp_path)
    assert Dataset.Tabular.from_delimited_files(folder.path("a.csv").as_download()).to_pandas_dataframe()["x"].tolist() == [1]
    blobs = Datastore.register_azure_blob_container(workspace=ws, datastore_name="blobs", container_name="data", account_name="acct", account_key="a2V5")
    assert (blobs.datastore_type, blobs.url) == ("azure-blob", "abfss://data@acct.dfs.core.windows.net")
    with pytest.raises(UsageError, match="is read through a mount"):
        Datastore.register_azure_file_share(ws, "share", "data", "acct", account_key="a2V5")
    with pytest.raises(Forbidden, match="not for data"):
        Datastore.register_folder(ws, "etc", "/etc")
    lake.unregister()
    with pytest.raises(NotFound):
        Datastore.get(ws, "lake")
    assert "a2V5" not in json.dumps([each.url for each in ws.datastores.values()])
