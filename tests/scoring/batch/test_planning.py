"""Plans: what is opened, how it is cut, that nothing but inputs and order decide, and what paths and times say."""

from __future__ import annotations

import datetime as dt
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fairlead_scoring.batch import planning
from fairlead_scoring.batch.job import Input, MiniBatch, Order, Output
from fairlead_scoring.batch.places import Entry, Vanished, open_place
from fairlead_scoring.batch.planning import Plan, plan
from fairlead_scoring.batch.sources import Unusable, batches

from tests.s3 import S3Server
from tests.scoring.batch.reading import order, paths_of, place_of, planned, read, read_files


class Counting:
    """A place of small files that are not there, which counts what is opened."""

    url = "memory://x"

    def __init__(self, files: int) -> None:
        self._files = files
        self.opened: list[str] = []

    def entries(self, _pattern: str | None = None) -> Iterator[Entry]:
        return (Entry(f"memory://x/{number:06}.csv", 60, f"stamp {number}") for number in range(self._files))

    def stat(self, path: str) -> Entry:
        return Entry(path, 60, f"stamp {int(path[-10:-4])}")

    def open(self, path: str, offset: int = 0) -> BinaryIO:
        self.opened.append(path)
        stream = io.BytesIO(b"a,b\n" + b"".join(b"%d,%d\n" % (number, int(path[-10:-4])) for number in range(10)))
        stream.seek(offset)
        return stream


def test_very_many_small_files_are_not_opened_to_be_planned(long: bool) -> None:
    count = 100_000 if long else 20_000
    place, what = Counting(count), order("memory://x")
    made = plan(what, lambda _input: place)
    assert len(place.opened) == 1
    assert (made.files, sum(len(shard.slices) for shard in made.shards)) == (count, count)
    assert count // 2000 <= len(made.shards) <= count // 500
    kept = json.dumps(made.to_json())
    assert len(kept) < 80 * count
    assert Plan.from_json(json.loads(kept)) == made
    place.opened.clear()
    found = list(batches(what, made.facts, made.shards[1], lambda _input: place))
    assert len(place.opened) == len(made.shards[1].slices)
    assert len(found) == 1
    assert found[0].table["b"].to_pylist() == [number for number in range(1000, 2000) for _ in range(10)]
    assert found[0].origins[1] == ("memory://x/001001.csv", 0, 10)


def test_the_same_inputs_give_the_same_plan_whatever_the_engine(tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        pq.write_table(pa.table({"x": range(100)}), tmp_path / f"{name}.parquet")
    first = order(tmp_path)
    changed = Order.from_json({**first.to_json(), "engine": {"name": "ray", "nodes": 7, "processes": 3}, "log_level": "DEBUG", "id": "2"})
    assert planned(first) == planned(changed)
    assert [part.url.rpartition("/")[2] for shard in planned(first).shards for part in shard.slices] == ["a.parquet", "b.parquet", "c.parquet"]


def test_a_change_of_a_file_changes_the_digest(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a\n1\n")
    before = planned(order(tmp_path)).facts["inputs"][0]["digest"]
    assert planned(order(tmp_path)).facts["inputs"][0]["digest"] == before
    (tmp_path / "a.csv").write_text("a\n12\n")
    assert planned(order(tmp_path)).facts["inputs"][0]["digest"] != before


def test_inputs_follow_one_another_and_do_not_share_shards(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text("a\n1\n")
    (tmp_path / "a.jsonl").write_text('{"z": 1}\n')
    what = Order("1", "n", "b", inputs=(Input((str(tmp_path / "b.csv"),)), Input((str(tmp_path / "a.jsonl"),))))
    made = planned(what)
    assert [shard.number for shard in made.shards] == [0, 1]
    assert [[batch.table.to_pylist() for batch in batches(what, made.facts, shard, place_of)] for shard in made.shards] == [[[{"a": 1}]], [[{"z": 1}]]]


def test_large_files_become_shards_of_about_the_same_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "SMALLEST_SHARD", 50_000)
    pq.write_table(
        pa.table({"x": pa.array([i / 3 for i in range(100_000)])}), tmp_path / "a.parquet", row_group_size=1000, compression="none", use_dictionary=False
    )
    made = planned(order(tmp_path))
    assert 10 <= len(made.shards) <= 20
    assert all(shard.bytes <= 60_000 for shard in made.shards)
    assert sum(shard.rows or 0 for shard in made.shards) == made.rows == 100_000


def test_several_formats_in_one_input_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a\n1\n")
    (tmp_path / "b.jsonl").write_text("{}\n")
    with pytest.raises(Unusable, match=r"several formats: .*a.csv \(csv\).*leave out the others, or say which it is"):
        planned(order(tmp_path))
    assert read_files(tmp_path / "*.csv").rows == [{"a": 1}]


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(Vanished):
        planned(order(tmp_path / "none.csv"))


def test_folders_called_name_value_are_columns(tmp_path: Path) -> None:
    for year, site in ((2023, "a b"), (2024, "__HIVE_DEFAULT_PARTITION__")):
        folder = tmp_path / f"year={year}" / f"site={site.replace(' ', '%20')}"
        folder.mkdir(parents=True)
        pq.write_table(pa.table({"x": [1, 2]}), folder / "part.parquet")
    found = read_files(tmp_path)
    assert found.rows == [{"x": x, "year": year, "site": site} for year, site in ((2023, "a b"), (2024, None)) for x in (1, 2)]
    assert read_files(tmp_path, options={"hive": False}).table.column_names == ["x"]
    assert read_files(tmp_path, columns=("year", "x")).rows[0] == {"year": 2023, "x": 1}


def test_partition_format_says_columns_of_paths(tmp_path: Path) -> None:
    for path in ("2024/01/31/sales/data.csv", "2024/02/01/stock/data.csv"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text("v\n1\n")
    options = {"partition_format": "/{Day:yyyy/MM/dd}/{Department}/data.csv"}
    found = read_files(tmp_path, options=options)
    days = [dt.datetime(2024, 1, 31), dt.datetime(2024, 2, 1)]  # noqa: DTZ001 - a path has no zone
    assert found.rows == [{"v": 1, "Day": days[0], "Department": "sales"}, {"v": 1, "Day": days[1], "Department": "stock"}]
    assert read_files(tmp_path, options=options, timestamp="Day", after="2024-02-01").rows == found.rows[1:]
    assert read_files(tmp_path, options=options, timestamp="Day", before="2024-02-01").rows == found.rows[:1]
    with pytest.raises(Unusable, match="does not end as partition_format says"):
        planned(order(tmp_path, options={"partition_format": "/{Day:yyyy}/{Department}.csv"}))


@pytest.mark.parametrize("kind", ["timestamp[us]", "timestamp[us, tz=UTC]", "date32", "string"])
def test_rows_are_taken_by_time(kind: str, tmp_path: Path) -> None:
    lines = [f"2024-01-{day:02}" + ("T00:00:00Z" if "tz" in kind else "") for day in range(1, 31)]
    (tmp_path / "a.csv").write_text("n,t\n" + "".join(f"{n},{line}\n" for n, line in enumerate(lines)) + "99,\n")
    found = read_files(tmp_path, options={"types": {"t": kind}}, timestamp="t", after="2024-01-05", before="2024-01-08T00:00:00Z", columns=("n",))
    assert found.rows == [{"n": 4}, {"n": 5}, {"n": 6}]
    assert found.origins == [("a.csv", 4), ("a.csv", 5), ("a.csv", 6)]
    assert found.plan.rows is None


def test_groups_of_folders_do_not_share_a_mini_batch(tmp_path: Path) -> None:
    for site in ("b", "a"):
        for part in range(3):
            (tmp_path / f"day={part}" / f"site={site}").mkdir(parents=True)
            (tmp_path / f"day={part}" / f"site={site}" / "x.csv").write_text("v\n1\n2\n3\n")
    found = read(order(tmp_path, partition_keys=("site",), mini_batch=MiniBatch(rows=6)))
    assert [(batch.group, batch.table.num_rows, set(batch.table["site"].to_pylist())) for batch in found.batches] == [
        (("a",), 6, {"a"}),
        (("a",), 3, {"a"}),
        (("b",), 6, {"b"}),
        (("b",), 3, {"b"}),
    ]


def test_groups_of_a_column_are_brought_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "SMALLEST_SHARD", 500)
    for name in "ab":
        (tmp_path / f"{name}.csv").write_text("k,j,v\n" + "".join(f"{'xyz'[i % 3]},{i % 2},{name}{i}\n" for i in range(100)) + "bad\n")
    found = read(order(tmp_path, partition_keys=("k", "j"), mini_batch=MiniBatch(rows=20)))
    assert len(found.plan.shards) > 1
    groups: dict[tuple[str, ...], list[str]] = {}
    for batch in found.batches:
        assert len({(row["k"], str(row["j"])) for row in batch.table.to_pylist()}) <= 1
        groups.setdefault(batch.group, []).extend(batch.table["v"].to_pylist())
    assert {group: rows for group, rows in groups.items() if rows} == {
        (k, str(j)): [f"{name}{i}" for name in "ab" for i in range(100) if "xyz"[i % 3] == k and i % 2 == j] for k in "xyz" for j in (0, 1)
    }
    assert sorted((bad.url[-5:], bad.row) for bad in found.bad) == [("a.csv", 100), ("b.csv", 100)]
    by_row = {(url, row): value for (url, row), value in zip(found.origins, found.table["v"].to_pylist(), strict=True)}
    assert by_row["b.csv", 41] == "b41"
    assert any("is read" in notice for notice in found.plan.notices)


def test_a_partition_key_that_nothing_says_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a\n1\n")
    with pytest.raises(Unusable, match="'k' is neither a column nor said by the paths"):
        planned(order(tmp_path, partition_keys=("k",)))


def test_files_are_given_as_paths(tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / f"{number:02}.png").write_bytes(b"%d" % number)
    (tmp_path / ".hidden").touch()
    found = list(paths_of(order(tmp_path)))
    assert [len(files) for _, files in found] == [10, 2]
    assert found[1][0].paths == [str(tmp_path / "10.png"), str(tmp_path / "11.png")]
    assert [len(files) for _, files in paths_of(order(tmp_path, mini_batch=MiniBatch(files=5)))] == [5, 5, 2]
    assert [len(files) for _, files in paths_of(order(tmp_path, mini_batch=MiniBatch(bytes=6)))] == [6, 5, 1]
    assert planned(order(tmp_path)).rows == 12


def test_files_of_a_store_are_fetched_and_gone_afterwards(s3: S3Server) -> None:
    place = open_place(f"s3://{s3.make_bucket()}/in")
    for folder in ("a", "b"):
        place.put(f"{folder}/same.png", folder.encode())
    what = order(place.url)
    made, paths = planned(what), []
    for batch in batches(what, made.facts, made.shards[0], place_of):
        assert batch.paths is not None
        paths = [Path(path) for path in batch.paths]
        assert [(path.name, path.read_bytes()) for path in paths] == [("same.png", b"a"), ("same.png", b"b")]
        assert [url.rpartition("/in")[2] for url in batch.urls] == ["/a/same.png", "/b/same.png"]
    assert not any(path.exists() for path in paths)


def test_members_of_archives_are_given_as_paths_of_their_names(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x/one.png", b"1")
        archive.writestr("two.png", b"2")
        archive.writestr("../y/z" + "z" * 300, b"3")  # hidden: a name that begins with a dot
        archive.writestr("z" * 300 + ".png", b"4")
    (batch, files), *_ = paths_of(order(tmp_path))
    assert files == {"one.png": b"1", "two.png": b"2", "z" * 196 + ".png": b"4"}
    assert [url.partition("a.zip")[2] for url in batch.urls] == ["#two.png", "#x/one.png", "#" + "z" * 300 + ".png"]


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_tables_of_a_store_that_fails_now_and_then_are_the_same(
    name: str, s3: S3Server, flaky_s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "SMALLEST_SHARD", 60_000)
    table = pa.table({"a": range(5000), "b": [f"text {i}" for i in range(5000)]})
    _write(table, tmp_path / name)
    place = open_place(f"s3://{s3.make_bucket()}/in")
    place.put(name, (tmp_path / name).read_bytes())
    with flaky_s3(0.05):
        found = read(order(f"{place.url}/{name}"))
    assert found.rows == table.to_pylist()
    assert found.origins == [(name, row) for row in range(5000)]


def _write(table: pa.Table, path: Path) -> None:
    text = "a,b\n" + "".join(f"{row['a']},{row['b']}\n" for row in table.to_pylist())
    if path.suffix == ".csv":
        path.write_text(text)
    else:
        pq.write_table(table, path, row_group_size=1000)


def test_a_pattern_without_a_match_is_an_error_and_an_empty_folder_a_notice(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    _table(tmp_path / "there.parquet", [1])
    with pytest.raises(Unusable, match=f"No file matches {tmp_path}/absent-") as error:
        planned(order(tmp_path / "there.parquet", tmp_path / "absent-*.parquet"))
    assert error.value.cause == "inputs-unusable"
    made = planned(order(tmp_path / "empty"))
    assert (made.shards, made.notices) == ((), ("Input 1 has no file that is taken.",))


def _table(path: Path, values: list[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"n": values}), path)


@pytest.mark.parametrize(("inputs", "output"), [("in", "in/out"), ("in/*", "in/out"), ("in/", "in"), ("**/*.parquet", "in/out"), ("file://in", "in/out/")])
def test_an_output_inside_of_the_inputs_is_refused(tmp_path: Path, inputs: str, output: str) -> None:
    _table(tmp_path / "in" / "a.parquet", [1])
    url = f"file://{tmp_path}/{inputs[7:]}" if inputs.startswith("file:") else f"{tmp_path}/{inputs}"
    what = replace(order(url), output=Output(f"{tmp_path}/{output}"))
    with pytest.raises(Unusable, match="lies inside the input"):
        planned(what)


@pytest.mark.parametrize(
    ("inputs", "output"), [("in", "in/_out"), ("in/*.parquet", "in/out"), ("in", "in2"), ("in/a.parquet", "in"), ("in/*.parquet", "postgresql://h/d")]
)
def test_an_output_beside_the_inputs_is_not(tmp_path: Path, inputs: str, output: str) -> None:
    _table(tmp_path / "in" / "a.parquet", [1])
    what = replace(order(tmp_path / inputs), output=Output(output if "://" in output else f"{tmp_path}/{output}"))
    assert planned(what).files == 1


@pytest.mark.parametrize("mark", ["_manifest.json", "_fairlead/plan.json"])
def test_what_another_job_wrote_is_left_out_unless_it_is_named(tmp_path: Path, mark: str) -> None:
    _table(tmp_path / "a.parquet", [1])
    _table(tmp_path / "scores" / "k=1" / "part-00000.parquet", [2])
    (tmp_path / "scores" / mark).parent.mkdir(exist_ok=True)
    (tmp_path / "scores" / mark).write_text("{}")
    _table(tmp_path / "data" / "part-00000.parquet", [3])  # somebody's own
    found = read(order(tmp_path))
    assert sorted(row["n"] for row in found.rows) == [1, 3]
    assert found.plan.notices == (f"{tmp_path}/scores holds the output of a job and is left out; name it as an input if it is to be read.",)
    for named in ("scores", "scores/**/*.parquet"):
        assert [row["n"] for row in read(order(tmp_path / named)).rows] == [2]


def test_null_and_an_empty_text_are_groups_of_their_own(tmp_path: Path) -> None:
    pq.write_table(pa.table({"k": ["", None, "a", "", None], "n": range(5)}), tmp_path / "a.parquet")
    found = read(order(tmp_path, partition_keys=("k",)))
    assert sorted([row["n"] for row in batch.table.to_pylist()] for batch in found.batches) == [[0, 3], [1, 4], [2]]
