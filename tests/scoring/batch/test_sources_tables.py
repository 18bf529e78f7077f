"""Parquet, Arrow, JSON lines and ARFF against what other readers make of them; damaged ones; memory."""

from __future__ import annotations

import datetime as dt
import io
import json
import math
import os
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fairlead_scoring.batch import planning
from fairlead_scoring.batch.job import MiniBatch
from fairlead_scoring.batch.sources import Unusable, batches, jsonlines
from scipy.io import arff

from tests.scoring.batch.reading import order, place_of, planned, read, read_files


def wide(rows: int) -> pa.Table:
    """Nulls, dictionaries, lists, structs, decimals, zones."""
    return pa.table(
        {
            "id": pa.array(range(rows), pa.int32()),
            "maybe": pa.array([None if i % 3 else i / 2 for i in range(rows)], pa.float32()),
            "word": pa.array([f"w{i % 5}" for i in range(rows)]).dictionary_encode(),
            "list": pa.array([[i, None] if i % 2 else None for i in range(rows)], pa.list_(pa.int64())),
            "struct": pa.array([{"x": i, "y": str(i)} for i in range(rows)]),
            "when": pa.array([dt.datetime(2024, 1, 1, tzinfo=dt.UTC) + dt.timedelta(hours=i) for i in range(rows)], pa.timestamp("us", "UTC")),
            "price": pa.array([None] * rows, pa.decimal128(10, 2)),
        }
    )


def test_parquet_gives_the_rows_and_types_that_were_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "SMALLEST_SHARD", 4000)
    table = wide(1000)
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=70)
    found = read_files(tmp_path / "a.parquet", mini_batch=MiniBatch(rows=64))
    assert found.table.equals(table)
    assert len(found.plan.shards) > 3
    assert found.plan.rows == 1000
    assert found.origins == [("a.parquet", row) for row in range(1000)]
    assert all(batch.table.num_rows == 64 for shard in found.shards for batch in shard[:-1])
    assert [shard.slices[0].first_row for shard in found.plan.shards] == [
        sum(len(b.table) for s in found.shards[:n] for b in s) for n in range(len(found.shards))
    ]


def test_names_that_are_no_utf8_are_names(tmp_path: Path) -> None:
    pq.write_table(wide(3), tmp_path / "a.parquet")
    (tmp_path / "a.parquet").rename(tmp_path / "\udcff.parquet")
    with pa.ipc.new_file(tmp_path / "a.arrow", wide(3).schema) as writer:
        writer.write_table(wide(3))
    (tmp_path / "a.arrow").rename(tmp_path / "\udcff.arrow")
    for name in ("\udcff.parquet", "\udcff.arrow"):
        assert read_files(tmp_path / name).table.equals(wide(3))


def test_parquet_of_spark_and_polars_habits(tmp_path: Path) -> None:
    pl.DataFrame({"a": [1, 2], "b": ["x", None]}).write_parquet(tmp_path / "part-0.parquet")
    pd.DataFrame({"a": [3], "b": ["z"]}, index=[7]).to_parquet(tmp_path / "part-1.parquet")
    (tmp_path / "_SUCCESS").touch()
    found = read_files(tmp_path)
    assert found.rows == [{"a": 1, "b": "x"}, {"a": 2, "b": None}, {"a": 3, "b": "z"}]


def test_columns_come_in_the_order_that_was_asked_for(tmp_path: Path) -> None:
    pq.write_table(wide(10), tmp_path / "a.parquet")
    assert read_files(tmp_path, columns=("when", "id")).table.equals(wide(10).select(["when", "id"]))


def test_columns_that_are_kept_are_read_besides(tmp_path: Path) -> None:
    pq.write_table(wide(10), tmp_path / "a.parquet")
    assert read(order(tmp_path / "a.parquet", columns=("price",), keep=("id", "word"))).table.equals(wide(10).select(["price", "id", "word"]))
    with pytest.raises(Unusable, match="no column 'nope' to keep"):
        read(order(tmp_path / "a.parquet", keep=("id", "nope")))


def test_a_damaged_parquet_file_is_one_bad_item(tmp_path: Path) -> None:
    for name in "abc":
        pq.write_table(wide(5000), tmp_path / f"{name}.parquet", row_group_size=1000)
    data = bytearray((tmp_path / "b.parquet").read_bytes())
    data[len(data) // 2 : len(data) // 2 + 2000] = os.urandom(2000)
    (tmp_path / "b.parquet").write_bytes(data)
    (tmp_path / "c.parquet").write_bytes(b"PAR1 no footer")
    found = read_files(tmp_path, columns=("id", "struct"))
    assert found.table.slice(0, 5000).equals(wide(5000).select(["id", "struct"]))
    assert [(bad.url.rpartition("/")[2], bad.row) for bad in found.bad][-1] == ("c.parquet", None)
    assert len(found.bad) <= 2


def test_types_that_differ_are_cast_or_the_file_is_bad(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": pa.array([1], pa.int64())}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"a": pa.array([2], pa.int16())}), tmp_path / "b.parquet")
    pq.write_table(pa.table({"a": pa.array(["x"])}), tmp_path / "c.parquet")
    found = read_files(tmp_path)
    assert (found.rows, len(found.bad)) == ([{"a": 1}, {"a": 2}], 1)


def test_an_input_whose_files_are_all_damaged_cannot_be_planned(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"nothing")
    with pytest.raises(Unusable, match=r"a.parquet cannot be read"):
        planned(order(tmp_path))


@pytest.mark.parametrize("kind", ["file", "stream"])
def test_arrow_files_and_streams(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "SMALLEST_SHARD", 4000)
    table, path = wide(1000), tmp_path / "a.arrow"
    make = pa.ipc.new_file if kind == "file" else pa.ipc.new_stream
    with make(str(path), table.schema) as writer:
        writer.write_table(table.unify_dictionaries(), max_chunksize=100)
    found = read_files(path)
    assert found.table.equals(table)
    assert (len(found.plan.shards) > 1) == (kind == "file")
    assert found.origins == [("a.arrow", row) for row in range(1000)]


def test_memory_is_that_of_a_few_batches_not_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = pa.table({f"c{i}": pa.array([float(row * i) for row in range(200_000)]) for i in range(10)})
    with pq.ParquetWriter(path, table.schema, compression="none", use_dictionary=False) as writer:
        for _ in range(6):
            writer.write_table(table, row_group_size=100_000)
    del table
    what = order(path, mini_batch=MiniBatch(rows=10_000))
    made = planned(what)
    before = pa.total_allocated_bytes()
    highest = 0
    for shard in made.shards:
        for batch in batches(what, made.facts, shard, place_of):
            highest = max(highest, pa.total_allocated_bytes() - before)
            del batch
    assert path.stat().st_size > 90e6
    assert highest < 40e6


LINES: list[dict[str, Any]] = [{"a": i, "b": None if i % 2 else f"é {i}", "c": {"x": [i, i + 1]}, "t": "2024-01-01T00:00:00"} for i in range(3000)]


def test_json_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "SMALLEST_SHARD", 20_000)
    monkeypatch.setattr(jsonlines, "SCAN", 5000)
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(line) + ("\n" if line["a"] % 100 == 0 else "") for line in LINES))
    found = read_files(tmp_path / "a.jsonl")
    expected = [{**line, "t": dt.datetime(2024, 1, 1)} for line in LINES]  # noqa: DTZ001 - as the data has it
    assert (found.rows, len(found.plan.shards) > 5) == (expected, True)
    assert found.origins == [("a.jsonl", row) for row in range(3000)]


def test_bad_json_lines_are_named(tmp_path: Path) -> None:
    text = '{"a":1,"b":"x"}\n{"a":"one","b":"y"}\n{"a":2\n\n[3]\n{"a":4}{"a":5}\nnull\n{"b":"z","new":1}\n{"a":6.5}'
    (tmp_path / "a.jsonl").write_text(text)
    found = read_files(tmp_path / "a.jsonl", options={"types": {"a": "int64"}})
    assert found.rows == [{"a": 1, "b": "x", "new": None}, {"a": None, "b": "z", "new": 1}]
    assert [bad.row for bad in found.bad] == [1, 2, 3, 4, 5, 7]
    assert found.bad[0].column == "a"
    assert found.bad[1].value == '{"a":2'
    assert found.bad[1].reason.startswith("JSON parse error")
    assert "row" not in found.bad[1].reason, "the row is said beside, and pyarrow saw one line"
    assert [row for _, row in found.origins] == [0, 6]


def test_a_json_list_of_records_is_read_as_rows(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(LINES[:10], indent=1))
    assert [row["a"] for row in read_files(tmp_path / "a.json").rows] == list(range(10))


WEATHER = """% a comment
@RELATION weather
@attribute temperature REAL
@attribute 'wind speed' numeric
@attribute outlook {sunny, overcast, light_rain}
@attribute play {yes,no}
@DATA
85.5,3,sunny,no
% another
?, 4 ,light_rain,yes

83,?,overcast,?
"""


def test_arff_as_scipy_reads_it(tmp_path: Path) -> None:
    (tmp_path / "a.arff").write_text(WEATHER)
    found = read_files(tmp_path / "a.arff")
    data, meta = arff.loadarff(io.StringIO(WEATHER))
    assert found.table.column_names == list(meta.names())
    for name in meta.names():
        ours = [row[name] for row in found.rows]
        theirs = [value.decode() if isinstance(value, bytes) else float(value) for value in data[name]]
        assert [
            math.nan if value is None and isinstance(other, float) else "?" if value is None else value for value, other in zip(ours, theirs, strict=True)
        ] == (pytest.approx(theirs, nan_ok=True) if isinstance(theirs[0], float) else theirs)


def test_arff_strings_dates_sparse_rows_and_bad_ones(tmp_path: Path) -> None:
    text = r"""@relation r
@attribute s string
@attribute d date "yyyy-MM-dd HH:mm"
@attribute n numeric
@attribute k {a, b}
@data
'it\'s, one',"2024-02-03 04:05",1,b
{0 "sp arse", 2 7}
x,yesterday,1,a
x,?,one,a
x,?,1,c
x,?,1
'open,?,1,a
"""
    (tmp_path / "a.arff").write_text(text)
    found = read_files(tmp_path / "a.arff")
    assert found.rows == [
        {"s": "it's, one", "d": dt.datetime(2024, 2, 3, 4, 5), "n": 1.0, "k": "b"},  # noqa: DTZ001 - ARFF has no zones
        {"s": "sp arse", "d": None, "n": 7.0, "k": "a"},
    ]
    assert [(bad.row, bad.column) for bad in found.bad] == [(2, "d"), (3, "n"), (4, "k"), (5, None), (6, None)]


def test_no_arff_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.arff").write_text("@relation r\n@attribute a blob\n@data\n")
    with pytest.raises(Unusable, match="of type 'blob'"):
        planned(order(tmp_path))


def test_what_changed_or_vanished_since_it_was_planned_ends_the_job(tmp_path: Path) -> None:
    for name in "ab":
        pq.write_table(wide(10), tmp_path / f"{name}.parquet")
    what = order(tmp_path)
    made = planned(what)
    pq.write_table(wide(11), tmp_path / "b.parquet")
    with pytest.raises(Unusable, match=r"b.parquet changed after the job was planned"):
        read(what, made)
    (tmp_path / "a.parquet").unlink()
    with pytest.raises(Unusable, match=r"a.parquet is not there any more"):
        read(what, made)


def test_text_is_no_line_end_however_unicode_sees_it(tmp_path: Path) -> None:
    (tmp_path / "a.arff").write_bytes("@relation r\n@attribute s string\n@attribute n numeric\n@data\n'x\u2028y',1\r\n'z\x0c\x85w',2\n".encode())
    assert read_files(tmp_path / "a.arff").rows == [{"s": "x\u2028y", "n": 1.0}, {"s": "z\x0c\x85w", "n": 2.0}]


def test_json_that_pyarrow_does_not_look_at_is_a_bad_row(tmp_path: Path) -> None:
    deep = b"[" * 100_000 + b"]" * 100_000  # pyarrow 26 ends the process
    lines = [b'{"a": "x", "b": []}', b'{"a": "\xff"}', b'{"a": "y", "b": ' + deep + b"}", b'{"a": "[[[' + b"[" * 100 + b'"}', b'{"a": "z"}']
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(lines))
    found = read_files(tmp_path / "a.jsonl", columns=("a",))
    assert found.table["a"].to_pylist() == ["x", "[[[" + "[" * 100, "z"]
    assert [(bad.row, bad.reason) for bad in found.bad] == [(1, "The line is no UTF-8."), (2, "The line has lists and records more than 50 levels deep.")]


def test_columns_of_one_name_are_said(tmp_path: Path) -> None:
    pq.write_table(pa.table([[1], [2], [3]], names=["a", "a", "b"]), tmp_path / "a.parquet")
    with pytest.raises(Unusable, match="has two columns 'a'"):
        read_files(tmp_path / "a.parquet")
    assert read_files(tmp_path / "a.parquet", columns=("b", "b")).rows == [{"b": 3}]
