"""Tables as files, read back by libraries that are not ours; the same rows in, the same bytes out."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from fairlead_scoring.batch.job import Order, Output
from fairlead_scoring.batch.places import Place, open_place
from fairlead_scoring.batch.shards import Bad, Part
from fairlead_scoring.batch.sinks import Unwritable, open_sink, tables

from tests.scoring.batch.made_tables import EVERY_TYPE, scores


def order(**output: object) -> Order:
    return Order("job-1", "scores", "/no/bundle", output=Output("out", **output))  # type: ignore[arg-type]


def publish(place: Place, order: Order, *tables: pa.Table, shard: int = 17, bad: tuple[Bad, ...] = ()) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
    sink = open_sink(order, place, shard)
    try:
        for table in tables:
            sink.write(table)
        sink.bad(bad)
        return sink.publish()
    finally:
        sink.abandon()


def test_parquet_gives_back_what_went_in_with_every_type(place: Place) -> None:
    (part,), quarantine = publish(place, order(), EVERY_TYPE.slice(0, 1), EVERY_TYPE.slice(1))
    assert (part.path, part.rows, quarantine) == ("part-00017.parquet", 3, ())
    with place.open(part.path) as stream:
        found = pq.read_table(stream)
    assert found.cast(EVERY_TYPE.schema).equals(EVERY_TYPE) or _equal_but_nan(found.cast(EVERY_TYPE.schema))
    assert part.schema.startswith("flag: bool, small: int8, big: int64")
    entry = place.stat(part.path)
    assert entry is not None
    assert entry.size == part.bytes


def _equal_but_nan(found: pa.Table) -> bool:
    return found.drop_columns(["score"]).equals(EVERY_TYPE.drop_columns(["score"])) and str(found["score"]) == str(EVERY_TYPE["score"])


def test_csv_is_read_by_python_and_pandas(tmp_path: Path) -> None:
    place = open_place(str(tmp_path))
    (part,), _ = publish(place, order(format="csv"), EVERY_TYPE)
    with (tmp_path / part.path).open(newline="") as file:
        header, first, second, third = csv.reader(file)
    assert header == EVERY_TYPE.column_names
    assert first == [
        "true", "1", str(2**62), str(2**64 - 1), "0.1", "0.1", 'say "no",\nthen go', "a", "2026-01-31", "2026-03-01T12:30:00.250000",
        "2026-03-01T12:30:00.250000Z", "1.50", "AP8=", "[1,2]", '{"a":1,"b":"x"}',
    ]  # fmt: skip
    assert (second[6], third[6]) == ("", "")
    frame = pd.read_csv(tmp_path / part.path, keep_default_na=False, na_values={"score": ["nan"]})
    assert frame["text"].tolist() == ['say "no",\nthen go', "", ""]
    assert b',"","b",' in (tmp_path / part.path).read_bytes()  # an empty text is not a missing one
    (part,), _ = publish(place, order(format="tsv"), scores(0, 2))
    assert (tmp_path / part.path).read_text().splitlines()[0].count("\t") == 3


@pytest.mark.parametrize("without_orjson", [False, True])
def test_json_lines_are_read_by_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without_orjson: bool) -> None:
    if without_orjson:
        monkeypatch.setitem(__import__("sys").modules, "orjson", None)
    (part,), _ = publish(open_place(str(tmp_path)), order(format="jsonl"), EVERY_TYPE, scores(0, 0))
    lines = (tmp_path / part.path).read_text().splitlines()
    first, second, third = (json.loads(line, parse_constant=pytest.fail) for line in lines)
    assert first == {
        "flag": True, "small": 1, "big": 2**62, "huge": 2**64 - 1, "single": pytest.approx(0.1), "score": 0.1, "text": 'say "no",\nthen go', "kind": "a",
        "day": "2026-01-31", "time": "2026-03-01T12:30:00.250000", "zoned": "2026-03-01T12:30:00.250000Z", "price": "1.50", "raw": "AP8=", "list": [1, 2],
        "record": {"a": 1, "b": "x"},
    }  # fmt: skip
    assert (second["score"], second["record"]) == (1e-05, {"a": None, "b": "é"})
    assert set(third.values()) == {None}


@pytest.mark.parametrize("format", ["parquet", "csv", "jsonl"])
def test_mini_batches_of_any_size_give_the_same_bytes(tmp_path: Path, format: str) -> None:  # noqa: A002 - the order's word
    """As long as the same rows come, a try that was halved writes what an undisturbed one does."""
    place = open_place(str(tmp_path))
    whole, halved = [scores(0, 150_000)], [scores(start, 12_500) for start in range(0, 150_000, 12_500)]
    one, again, two = (publish(place, order(format=format), *tables)[0][0] for tables in (whole, whole, halved))
    assert one == again == two
    one, two = (publish(place, order(format=format, partition_by=("region",)), *tables)[0][2] for tables in (whole, halved))
    assert one == two


def test_row_groups_are_bounded_and_memory_with_them(tmp_path: Path) -> None:
    (part,), _ = publish(open_place(str(tmp_path)), order(), *[scores(start, 1000) for start in range(0, 300_000, 1000)])
    groups = pq.ParquetFile(tmp_path / part.path).metadata
    assert [groups.row_group(number).num_rows for number in range(groups.num_row_groups)] == [131_072, 131_072, 37_856]
    wide = pa.table({f"c{number}": pa.array([0.5] * 20_000) for number in range(500)})
    before = pa.total_allocated_bytes()
    sink = open_sink(order(), open_place(str(tmp_path)), 0)
    for _ in range(5):
        sink.write(wide)
        assert pa.total_allocated_bytes() - before < 160 << 20
    sink.abandon()


def test_partitions_are_read_by_arrow_with_values_that_are_hard_to_name(place: Place, tmp_path: Path) -> None:
    regions = ["a/b", "c d", "é=%", None, "", "plain"]
    table = scores(0, 12).set_column(1, "region", pa.array([regions[number % 6] for number in range(12)]))
    parts, _ = publish(place, order(partition_by=("region",)), table.slice(0, 5), table.slice(5))
    first = ["region=%C3%A9%3D%25", "region=", "region=__HIVE_DEFAULT_PARTITION__"]
    assert [part.path for part in parts][:3] == [f"{folder}/part-00017.parquet" for folder in first]
    assert [part.rows for part in parts] == [2, 2, 2, 2, 2, 2]
    for part in parts:
        place.fetch(part.path, str(tmp_path / "fetched")) if "://" in place.url else None
    folder = tmp_path / "fetched" if "://" in place.url else Path(place.root)
    found = ds.dataset(folder, partitioning=ds.partitioning(pa.schema([("region", pa.string())]), flavor="hive")).to_table().sort_by("id")
    assert found.select(table.column_names).equals(table)  # an empty text is not a missing one


def test_two_columns_to_partition_by_make_two_levels(tmp_path: Path) -> None:
    parts, _ = publish(open_place(str(tmp_path)), order(format="csv", partition_by=("region", "id")), scores(0, 3))
    assert [part.path for part in parts] == [f"region=r{number}/id={number}/part-00017.csv" for number in range(3)]
    assert (tmp_path / parts[1].path).read_text().startswith('"score","word"\n0.14285714285714285,')


def test_text_parts_by_partition(tmp_path: Path) -> None:
    parts, _ = publish(open_place(str(tmp_path)), order(format="text", partition_by=("region",)), scores(0, 3))
    assert (tmp_path / "region=r1" / "part-00017.txt").read_text() == '1 0.14285714285714285 "w 1"\n'
    assert len(parts) == 3


def test_what_could_not_be_scored_is_named_line_by_line(place: Place) -> None:
    bad = (Bad("in/a.csv", 7, "age", "It is no number.", "x,y"), Bad("in/é.jpg", None, None, "It is no image.", "\udcff"))
    parts, (part,) = publish(place, order(), bad=bad)
    assert parts == ()
    assert (part.path, part.rows) == ("_quarantine/part-00017.jsonl", 2)
    first, second = (json.loads(line) for line in place.read_bytes(part.path).decode().splitlines())
    assert first == {"url": "in/a.csv", "row": 7, "column": "age", "reason": "It is no number.", "value": "x,y"}
    assert (second["url"], second["row"]) == ("in/é.jpg", None)


def test_nothing_is_visible_before_it_is_published_and_nothing_stays_after_abandon(place: Place) -> None:
    sink = open_sink(order(), place, 1)
    sink.write(scores(0, 200_000))
    sink.bad([Bad("a", 1, None, "no")])
    assert not place.exists("part-00001.parquet")
    sink.abandon()
    sink.abandon()
    place.put("x", b"")
    assert [entry.url[len(place.root) + 1 :] for entry in place.entries("", hidden=True)] == ["x"]


def test_types_of_early_mini_batches_fit_those_of_later_ones(tmp_path: Path) -> None:
    """A mini-batch without any value, and whole numbers before the first fraction."""
    early = pa.table({"a": pa.nulls(2), "b": pa.array([1, 2])})
    late = pa.table({"a": pa.array(["x"]), "b": pa.array([0.5])})
    (part,), _ = publish(open_place(str(tmp_path)), order(), early, late)
    assert pq.read_table(tmp_path / part.path).to_pydict() == {"a": [None, None, "x"], "b": [1.0, 2.0, 0.5]}


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ([scores(0, 200_000), scores(0, 2).set_column(2, "score", pa.array(["high", "low"]))], "score was double and is string"),
        ([scores(0, 1), scores(0, 1).drop_columns(["word"])], "have the columns id, region, score, word, those of another id, region, score"),
        ([pa.table({"a": pa.array([1]), "b": pa.array([pa.scalar((1, 2, 3), pa.month_day_nano_interval())])})], "Parquet cannot hold these answers"),
    ],
)
def test_answers_that_no_file_can_hold_say_why(tmp_path: Path, tables: list[pa.Table], said: str) -> None:
    with pytest.raises(Unwritable, match=said):
        publish(open_place(str(tmp_path)), order(), *tables)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_partitions_that_cannot_be_say_why(tmp_path: Path) -> None:
    with pytest.raises(Unwritable, match="A value of word is too long"):
        publish(open_place(str(tmp_path)), order(partition_by=("word",)), pa.table({"x": [1], "word": ["é" * 80]}))
    place = open_place(str(tmp_path))
    with pytest.raises(Unwritable, match="no column other to partition by; they have id, region"):
        publish(place, order(partition_by=("other",)), scores(0, 1))
    with pytest.raises(Unwritable, match="more than 500 values of id"):
        publish(place, order(partition_by=("id",)), scores(0, 501))
    with pytest.raises(Unwritable, match="the files would hold nothing"):
        publish(place, order(partition_by=("id",)), scores(0, 1).select(["id"]))
    with pytest.raises(Unwritable, match="'orc' is no format for outputs; there are parquet, csv"):
        publish(place, order(format="orc"))
    with pytest.raises(Unwritable, match="'append' is no action"):
        publish(place, replace(order(), output=Output("out", action="append")))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_lists_are_a_column_of_tables(tmp_path: Path) -> None:
    place = open_place(str(tmp_path))
    sink = open_sink(order(), place, 0)
    sink.lines(["a: 1", "b: 2"])
    ((part,), _) = sink.publish()
    assert pq.read_table(tmp_path / part.path).to_pydict() == {"result": ["a: 1", "b: 2"]}


def test_summary_only_counts_and_writes_nothing(tmp_path: Path) -> None:
    sink = open_sink(order(action="summary_only"), open_place(str(tmp_path / "out")), 0)
    sink.write(scores(0, 5))
    sink.lines(["x"])
    assert (sink.rows, sink.publish()) == (6, ((), ()))
    assert not (tmp_path / "out").exists()


def test_compression_is_chosen(tmp_path: Path) -> None:
    (part,), _ = publish(open_place(str(tmp_path)), order(options={"compression": "zstd"}), scores(0, 10))
    column = pq.ParquetFile(tmp_path / part.path).metadata.row_group(0).column(0)
    assert (column.compression, pc.sum(pq.read_table(tmp_path / part.path)["id"]).as_py()) == ("ZSTD", 45)
    with pytest.raises(Unwritable, match="Parquet cannot hold"):
        publish(open_place(str(tmp_path)), order(options={"compression": "rar"}), scores(0, 10))


def test_columns_in_another_order_are_the_same_columns(tmp_path: Path) -> None:
    (part,), _ = publish(open_place(str(tmp_path)), order(), pa.table({"a": [1], "b": ["x"]}), pa.table({"b": ["y"], "a": [2]}))
    assert pq.read_table(tmp_path / part.path).to_pylist() == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]


@pytest.mark.parametrize("batch", [100, 1 << 16])
@pytest.mark.parametrize("format", ["parquet", "csv"])
def test_a_column_of_nulls_takes_the_type_of_its_first_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int, format: str) -> None:  # noqa: A002 - the order's word
    """In the third row group; the same bytes however mini-batches are cut."""
    monkeypatch.setattr(tables, "GROUP", 1024)
    whole = pa.table({"id": range(5000), "v": pa.array([None] * 2500 + [0.5] * 2500, pa.float64())})
    untyped = [piece.set_column(1, "v", pa.array(piece["v"].to_pylist())) for piece in (whole.slice(at, batch) for at in range(0, 5000, batch))]
    (part,), _ = publish(open_place(str(tmp_path)), order(format=format), *untyped)
    assert (part.rows, part.schema) == (5000, "id: int64, v: double")
    path = tmp_path / part.path
    found = pq.read_table(path) if format == "parquet" else pa.csv.read_csv(path)
    assert found.equals(whole)
    assert part.sha256 == publish(open_place(str(tmp_path / "2")), order(format=format), whole)[0][0].sha256


def test_a_column_of_nothing_but_nulls_is_written_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "GROUP", 1024)
    (part,), _ = publish(open_place(str(tmp_path)), order(), pa.table({"id": range(3000), "v": pa.nulls(3000)}))
    assert pq.read_table(tmp_path / part.path)["v"].null_count == 3000
