"""CSV: rows are those that other readers see, wherever a file is cut, and what is no row ends up in quarantine with its number."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pytest
from fairlead_scoring.batch import planning
from fairlead_scoring.batch.job import MiniBatch
from fairlead_scoring.batch.places import open_place
from fairlead_scoring.batch.sources import delimited, lexing
from fairlead_scoring.batch.sources.files import Files
from fairlead_scoring.batch.sources.lexing import Marks, RowEnds, row_blocks
from fairlead_scoring.batch.sources.pieces import Unusable
from hypothesis import strategies as st

from tests.scoring.batch.reading import order, planned, read, read_files

CELLS = st.text(st.sampled_from('ab,"\n\r \\é'), max_size=6)


@hypothesis.given(st.lists(st.lists(CELLS, min_size=2, max_size=3), min_size=1, max_size=12), st.integers(1, 40), st.sampled_from(["\n", "\r\n"]))
def test_blocks_end_where_rows_do(rows: list[list[str]], size: int, end: str) -> None:
    """Cut in blocks of any size, each block alone gives the rows that the csv module finds in the whole."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator=end).writerows(rows)
    data = buffer.getvalue().encode()
    blocks = list(_blocks_of(data, size))
    assert b"".join(blocks) == data
    found = [row for block in blocks for row in csv.reader(io.StringIO(block.decode(), newline=""))]
    assert found == list(csv.reader(io.StringIO(data.decode(), newline="")))


@hypothesis.given(st.text(st.sampled_from('a,"\n\r'), max_size=60), st.integers(1, 20))
def test_any_text_is_counted_and_cut_alike_in_blocks_and_as_a_whole(text: str, size: int) -> None:
    """Stray quotes too: pyarrow reads the parts as it reads the whole."""
    data = text.encode()
    whole, parts = RowEnds(Marks()), RowEnds(Marks())
    rows, end = whole.feed(data, count=True)
    counted, last = 0, 0
    for start in range(0, len(data), size):
        more, at = parts.feed(data[start : start + size], count=True)
        counted, last = counted + more, start + at if at else last
    assert (counted, last, parts.quoted) == (rows, end, whole.quoted)


@hypothesis.given(st.lists(st.text(st.sampled_from('a,"'), max_size=8), min_size=1, max_size=8), st.integers(1, 20))
def test_stray_quotes_are_seen_as_pyarrow_sees_them(lines: list[str], size: int) -> None:
    data = ("x,y\n" + "\n".join(lines) + "\n").encode()
    ends = RowEnds(Marks())
    ends.feed(data)
    hypothesis.assume(not ends.quoted)
    assert sorted(row for block in _blocks_of(data, size) for row in _arrow_rows(block)) == sorted(_arrow_rows(data))


def _blocks_of(data: bytes, size: int) -> Any:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(lexing, "BLOCK", size)
        yield from [block.data for block in row_blocks(io.BytesIO(data), -1, Marks())]


def _arrow_rows(data: bytes) -> list[tuple[Any, ...]]:
    if not data.strip(b"\r\n"):
        return []
    bad: list[tuple[Any, ...]] = []

    def note(row: Any) -> str:
        bad.append((row.text,))
        return "skip"

    parse = pa.csv.ParseOptions(newlines_in_values=True, invalid_row_handler=note)
    read_options = pa.csv.ReadOptions(column_names=["a", "b"], use_threads=False)
    convert = pa.csv.ConvertOptions(column_types={"a": pa.string(), "b": pa.string()})
    table = pa.csv.read_csv(io.BytesIO(data), read_options, parse, convert)
    return [tuple(row.values()) for row in table.to_pylist()] + sorted(bad)


def test_a_large_file_is_cut_into_parts_that_give_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "SMALLEST_SHARD", 1000)
    monkeypatch.setattr(delimited, "SCAN", 500)
    path = tmp_path / "a.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["n", "text", "v"])
        writer.writerows([i, ["plain", 'a "quoted" one', "two\nlines", "", "é,"][i % 5], i / 7] for i in range(2000))
    found = read_files(path)
    assert len(found.plan.shards) > 20
    expected = pd.read_csv(path, keep_default_na=False)
    assert found.rows == expected.to_dict("records")
    assert found.origins == [("a.csv", row) for row in range(2000)]
    assert found.plan.rows == 2000
    assert [shard.slices[0].first_row for shard in found.plan.shards][:2] == [0, found.plan.shards[0].rows]


POISON = b"""id,score,day,name
0,1.5,2024-01-01,ann
1,high,2024-01-02,bob
2,2.5,2024-01-03
3,3.5,2024-01-04,\xff\xfe

4,4.5,2024-01-05,dora,\xe9xtra
5,5.5,someday,eve
6,6.5,2024-01-07,"fay, ""the"" 6th"
7,,,
"""


def test_poison_rows_are_named_and_the_others_stay(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(POISON)
    types = {"id": "int64", "score": "double", "day": "date32", "name": "string"}
    found = read_files(tmp_path / "a.csv", options={"types": types})
    assert [row["id"] for row in found.rows] == [0, 6, 7]
    assert found.rows[1]["name"] == 'fay, "the" 6th'
    assert found.rows[2] == {"id": 7, "score": None, "day": None, "name": ""}
    assert [(bad.row, bad.column) for bad in found.bad] == [(1, "score"), (2, None), (3, "name"), (4, None), (5, "day")]
    assert "invalid value 'high'" in found.bad[0].reason
    assert "3 fields instead of 4" in found.bad[1].reason
    assert "UTF8" in found.bad[2].reason
    assert found.bad[2].value == "3,3.5,2024-01-04,\\xff\\xfe"
    assert found.origins == [("a.csv", 0), ("a.csv", 6), ("a.csv", 7)]
    assert [batch.items for batch in found.batches] == [8]


def test_a_quote_that_is_not_closed_spoils_its_line_only(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('a,b\n1,x\n2,"y\n3,z\n4,w')
    found = read_files(tmp_path / "a.csv")
    assert found.rows == [{"a": 1, "b": "x"}, {"a": 3, "b": "z"}, {"a": 4, "b": "w"}]
    assert [(bad.row, bad.value) for bad in found.bad] == [(1, '2,"y\n')]
    assert [row for _, row in found.origins] == [0, 2, 3]


def test_a_row_beyond_the_limit_is_bad_and_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lexing, "ROW_LIMIT", 1 << 20)
    monkeypatch.setattr(lexing, "BLOCK", 1 << 18)
    (tmp_path / "a.csv").write_text("a,b\n1,x\n2," + "y" * 4_000_000 + "\n3,z\n")
    found = read_files(tmp_path / "a.csv", options={"types": {"a": "int64"}})
    assert [row["a"] for row in found.rows] == [1, 3]
    assert [bad.row for bad in found.bad] == [1]
    assert "longer than" in found.bad[0].reason
    assert len(found.bad[0].value or "") == 1000


def test_many_bad_rows_are_found_quickly_and_all(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n" + "".join(f"{i},{'x' if i % 3 else i}\n" for i in range(9000)))
    found = read_files(tmp_path / "a.csv", options={"types": {"b": "int64"}}, mini_batch=MiniBatch(rows=1000))
    assert [row["b"] for row in found.rows] == list(range(0, 9000, 3))
    assert len(found.bad) == 6000
    assert found.origins == [("a.csv", row) for row in range(0, 9000, 3)]


def test_types_are_those_of_the_first_file_for_all(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,x\n")
    (tmp_path / "b.csv").write_text("b,a,c\ny,2,9\n7,2.5,9\n")  # another order, another column, another type
    (tmp_path / "c.csv").write_text("a,c\n1,1\n")
    found = read_files(tmp_path)
    assert found.rows == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]
    assert [(bad.url.rpartition("/")[2], bad.row, bad.column) for bad in found.bad] == [("b.csv", 1, "a"), ("c.csv", None, None)]
    assert "no column 'b'" in found.bad[1].reason


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("a;b\n1,5;x\n", {"delimiter": ";", "decimal": ","}, [{"a": 1.5, "b": "x"}]),
        ("1,x\n2,y\n", {"header": False}, [{"f0": 1, "f1": "x"}, {"f0": 2, "f1": "y"}]),
        ("1,x\n", {"names": ["p", "q"]}, [{"p": 1, "q": "x"}]),
        ("old,older\n1,x\n", {"names": ["p", "q"], "header": True}, [{"p": 1, "q": "x"}]),
        ("made by hand\n\na,b\n1,x\n", {"skip_rows": 2}, [{"a": 1, "b": "x"}]),
        ("a,b\n1,'x,\n''y'\n", {"quote": "'"}, [{"a": 1, "b": "x,\n'y"}]),
        ("a,b\n1,x\\,\\\ny\n", {"escape": "\\"}, [{"a": 1, "b": "x,\ny"}]),
        ('a,b\n1,"x\n', {"quote": ""}, [{"a": 1, "b": '"x'}]),
        ("a,b\nNA,-\n1,\n", {"null_values": ["NA", "-"]}, [{"a": None, "b": None}, {"a": 1, "b": ""}]),
        ("a,b\nyes,x\nno,y\n", {"true_values": ["yes"], "false_values": ["no"]}, [{"a": True, "b": "x"}, {"a": False, "b": "y"}]),
        ("a,b\n007,x\n", {"types": {"a": "string"}}, [{"a": "007", "b": "x"}]),
        ("\ufeffa,b\n1,x\n", {}, [{"a": 1, "b": "x"}]),
        ('"a\nb",c\n1,2\n', {}, [{"a\nb": 1, "c": 2}]),
        ("a,b\r\n1,x\r\n", {}, [{"a": 1, "b": "x"}]),
        ("a,b\r1,x\r2,y\r", {}, [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]),
        ("a,b", {}, []),
    ],
)
def test_options_say_how_the_text_is_meant(text: str, options: dict[str, Any], expected: list[dict[str, Any]], tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(text.encode())
    found = read_files(tmp_path / "a.csv", options=options)
    assert (found.rows, found.bad) == (expected, [])


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "cp1252"])
def test_other_encodings_become_utf8(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("näme,b\nÄnn,1\n".encode(encoding))
    assert read_files(tmp_path / "a.csv", options={"encoding": encoding}).rows == [{"näme": "Änn", "b": 1}]


def test_tsv_has_tabs(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("a\tb\n1\tx,y\n")
    assert read_files(tmp_path / "a.tsv").rows == [{"a": 1, "b": "x,y"}]


TEXT = "a,b\n" + "".join(f"{i},row {i}\n" for i in range(1000))
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": lambda data: pa.Codec("zstd").compress(data).to_pybytes(),
}


@pytest.mark.parametrize("ending", PACKERS)
def test_packed_files_are_read_as_they_are(ending: str, tmp_path: Path) -> None:
    (tmp_path / f"a.csv.{ending}").write_bytes(PACKERS[ending](TEXT.encode()))
    assert read_files(tmp_path).rows == pd.read_csv(io.StringIO(TEXT)).to_dict("records")


@pytest.mark.parametrize("ending", PACKERS)
def test_a_packed_file_that_is_cut_short_keeps_what_could_be_read(ending: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n-1,first\n")
    packed = PACKERS[ending](TEXT.encode())
    (tmp_path / f"b.csv.{ending}").write_bytes(packed[: len(packed) // 2])
    (tmp_path / "c.csv").write_text("a,b\n-2,last\n")
    found = read_files(tmp_path)
    assert (found.rows[0]["a"], found.rows[-1]["a"]) == (-1, -2)
    assert [(bad.url.rpartition("/")[2], bad.row) for bad in found.bad] == [(f"b.csv.{ending}", None)]
    assert "cannot be read" in found.bad[0].reason


def test_an_expansion_out_of_proportion_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairlead_scoring.batch.sources.files.HARMLESS", 1 << 20)
    monkeypatch.setattr("fairlead_scoring.batch.sources.files.EXPANSION", 100)
    (tmp_path / "a.csv").write_text("a,b\n1,x\n")
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(b"a,b\n" + b"1,xxxxxxxxxxxxxxxxx\n" * 500_000))
    found = read_files(tmp_path)
    assert "taken for an attack" in found.bad[-1].reason


def test_members_of_an_archive_are_files_of_their_own(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("two.csv", "one.csv", "_hidden.csv", "folder/three.csv", "__MACOSX/x.csv", ".dot/y.csv"):
            archive.writestr(name, f"a,b\n1,{name}\n")
    found = read_files(tmp_path / "a.zip")
    assert [row["b"] for row in found.rows] == ["folder/three.csv", "one.csv", "two.csv"]
    assert found.origins[0][0] == "three.csv"
    assert found.batches[0].origins[0][0].endswith("a.zip#folder/three.csv")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_of_two_members_of_one_name_the_last_is_read_once(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.csv", "a\n1\n")
        archive.writestr("a.csv", "a\n2\n")
    assert read_files(tmp_path / "a.zip").rows == [{"a": 2}]


@pytest.mark.parametrize("name", ["q?x.csv", "h#x.csv", "p%20q.csv", "br[1].csv", "st*r.csv", "new\nline.csv", "\udcff.csv"])
def test_a_file_may_have_any_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("a\n1\n")
    for url in (tmp_path / name, tmp_path):
        found = read_files(url)
        assert (found.rows, found.origins) == ([{"a": 1}], [(name, 0)])


def test_a_broken_archive_is_one_bad_item(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,x\n")
    (tmp_path / "b.zip").write_bytes(b"PK\x03\x04 this is none")
    found = read_files(tmp_path)
    assert (len(found.rows), [bad.row for bad in found.bad]) == (1, [None])


def test_only_the_columns_that_are_asked_for_are_read_and_judged(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b,c\n1,x,2\nno number,y,3\n")
    found = read_files(tmp_path / "a.csv", columns=("c", "b"), options={"types": {"a": "int64"}})
    assert (found.rows, found.bad) == ([{"c": 2, "b": "x"}, {"c": 3, "b": "y"}], [])


@pytest.mark.parametrize(
    ("text", "said", "complaint"),
    [
        ("a,b\n", {"columns": ("z",)}, "has no column 'z'; it has a, b"),
        ("a,a\n", {}, "'a' twice"),
        ("a\n", {"options": {"delimeter": ";"}}, "no option 'delimeter'"),
        ("a\n", {"options": {"delimiter": "||"}}, "one ASCII character"),
        ("a\n", {"options": {"types": {"a": "integer"}}}, "'integer' is no type"),
        ("a\n", {"format": "excel"}, "'excel' is no format"),
    ],
)
def test_what_cannot_be_planned_is_said(text: str, said: dict[str, Any], complaint: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(Unusable, match=complaint.replace("|", r"\|")):
        planned(order(tmp_path / "a.csv", **said))


def test_mini_batches_have_the_rows_that_were_asked_for_across_files(tmp_path: Path) -> None:
    for name, rows in (("a", 7), ("b", 0), ("c", 5)):
        (tmp_path / f"{name}.csv").write_text("v\n" + "".join(f"{i}\n" for i in range(rows)))
    by_rows = read(order(tmp_path, mini_batch=MiniBatch(rows=4)))
    assert [batch.table.num_rows for batch in by_rows.batches] == [4, 4, 4]
    assert [batch.index for batch in by_rows.batches] == [0, 1, 2]
    assert [(url.rpartition("/")[2], first, count) for url, first, count in by_rows.batches[1].origins] == [("a.csv", 4, 3), ("c.csv", 0, 1)]
    by_files = read(order(tmp_path, mini_batch=MiniBatch(files=2)))
    assert [batch.table.num_rows for batch in by_files.batches] == [7, 5]
    by_bytes = read(order(tmp_path, mini_batch=MiniBatch(bytes=6)))
    assert [batch.table.num_rows for batch in by_bytes.batches] == [3, 3, 3, 3]  # a row of the first file has two bytes


def test_the_file_is_opened_by_blocks_and_not_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with path.open("w") as file:
        file.write("a,b\n")
        for i in range(200):
            file.write(f"{i},{'x' * 1000}\n" * 200)
    place = open_place(str(path))
    what = order(path)
    made = planned(what)
    assert path.stat().st_size > 40e6
    part = made.shards[-1].slices[0]
    before = pa.total_allocated_bytes()
    for piece in delimited.read(Files(place).file(part), {**made.facts["inputs"][0]}, part):
        assert pa.total_allocated_bytes() - before < 8 << 20
        del piece


def test_small_files_are_read_together_and_told_apart(tmp_path: Path) -> None:
    texts = {
        "a": "x,y\n1,a\n",
        "b": "x,y\n",
        "c": "x,y\n2,b\nbad\n3,c",
        "d": "y,x\nd,4\n",
        "e": 'x,y\n5,"open\n6,f\n',
        "f": "x,y\n7,g\n\n8,h\n",
        "g": "",
        "h": "x\n1\n",
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.csv").write_text(text)
    found = read_files(tmp_path)
    assert [(row["x"], row["y"]) for row in found.rows] == [(1, "a"), (2, "b"), (3, "c"), (4, "d"), (6, "f"), (7, "g"), (8, "h")]
    assert found.origins == [("a.csv", 0), ("c.csv", 0), ("c.csv", 2), ("d.csv", 0), ("e.csv", 1), ("f.csv", 0), ("f.csv", 1)]
    assert [(bad.url[-5:], bad.row) for bad in found.bad] == [("c.csv", 1), ("e.csv", 0), ("g.csv", None), ("h.csv", None)]
    one_by_one = [row["x"] for name in "abcdef" for row in read_files(tmp_path / f"{name}.csv", options={"types": {"x": "int64"}}).rows]
    assert one_by_one == [row["x"] for row in found.rows]


def test_an_empty_first_file_says_nothing_of_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.csv").touch()
    (tmp_path / "b.csv").write_text("x\n1\n")
    found = read_files(tmp_path)
    assert (found.rows, [bad.url[-5:] for bad in found.bad]) == ([{"x": 1}], ["a.csv"])
    with pytest.raises(Unusable, match=r"a.csv is empty"):
        planned(order(tmp_path / "a.csv"))


@pytest.mark.parametrize("kind", ["csv", "arff"])
def test_a_type_for_a_column_that_is_not_there_names_the_nearest(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    path.write_text("amount,day\n1,2\n" if kind == "csv" else "@relation r\n@attribute amount numeric\n@attribute day numeric\n@data\n1,2\n")
    with pytest.raises(Unusable, match=r"types names the column 'ammount', and .* has amount, day; is 'amount' meant"):
        planned(order(path, options={"types": {"ammount": "double"}}))


@pytest.mark.parametrize(
    ("odd", "wanted"),
    [("high", "int64"), ("1.5", "double"), ("00123", "string"), ("K1A", "string"), ("", "int64")],
)
def test_some_rows_that_are_no_numbers_do_not_make_text_of_a_column(tmp_path: Path, odd: str, wanted: str) -> None:
    """Of a batch script, which declares no types. `types` decides, where it is given."""
    cells = [str(number) for number in range(1, 400)]
    path = tmp_path / "a.csv"
    path.write_text("id,v\n" + "".join(f"{number},{cell}\n" for number, cell in enumerate([*cells, odd, "n-a"])))
    what = replace(order(path), script="score.py")
    found = read(what)
    assert str(found.table.schema.field("v").type) == wanted
    is_text = wanted == "string"
    assert [bad.value is not None for bad in found.bad] == ([] if is_text else [True] * (2 if odd == "high" else 1))
    assert bool(found.plan.notices) is not is_text
    assert read(order(path)).table.schema.field("v").type == pa.string()
    told = replace(order(path, options={"types": {"v": "string"}}), script="score.py")
    assert (read(told).bad, read(told).plan.notices) == ([], ())
