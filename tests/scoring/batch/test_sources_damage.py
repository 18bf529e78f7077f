"""Files that are damaged at random: reading them never raises, and what follows them is read."""

from __future__ import annotations

import gzip
import json
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.scoring.batch.reading import order, planned, read

ROWS = 300
TABLE = pa.table({"a": range(ROWS), "b": [f"text {i % 7}" for i in range(ROWS)]})
CSV = "a,b\n" + "".join(f'{i},"text {i % 7}"\n' for i in range(ROWS))


def zipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.csv", CSV)


def arrow(path: Path) -> None:
    with pa.ipc.new_file(str(path), TABLE.schema) as writer:
        writer.write_table(TABLE, max_chunksize=100)


MAKERS: dict[str, Callable[[Path], object]] = {
    "csv": lambda path: path.write_text(CSV),
    "csv.gz": lambda path: path.write_bytes(gzip.compress(CSV.encode())),
    "jsonl": lambda path: path.write_text("".join(json.dumps(row) + "\n" for row in TABLE.to_pylist())),
    "parquet": lambda path: pq.write_table(TABLE, path, row_group_size=100),
    "arff": lambda path: path.write_text("@relation r\n@attribute a numeric\n@attribute b string\n@data\n" + CSV[4:]),
    "zip": zipped,
}


@pytest.mark.parametrize("kind", MAKERS)
def test_damage_is_counted_and_never_raised(kind: str, tmp_path: Path) -> None:
    """The first and the last file are whole; the one between is damaged after the plan was made, as far as its stamp goes."""
    for name in ("a", "c"):
        MAKERS[kind](tmp_path / f"{name}.{kind}")
    dice, middle = random.Random(7), tmp_path / f"b.{kind}"
    MAKERS[kind](middle)
    whole = middle.read_bytes()
    for _ in range(25):
        directory = whole[-100:] if kind == "zip" else b""  # other names would be other files
        middle.write_bytes(damaged(whole[: len(whole) - len(directory)], dice) + directory)
        found = read(order(tmp_path), planned(order(tmp_path)))
        rows = found.table["a"].to_pylist()
        assert rows[:ROWS] == list(range(ROWS))
        assert rows[-ROWS:] == list(range(ROWS))
        assert len(found.bad) + len(rows) >= 2 * ROWS
        assert all(bad.url.partition("#")[0].endswith(f"b.{kind}") and bad.reason for bad in found.bad)


def damaged(data: bytes, dice: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(dice.choice([1, 3, 30])):
        changed[dice.randrange(len(changed))] = dice.choice([0, 10, 34, 44, 123, 255, dice.randrange(256)])
    return bytes(changed[: dice.choice([len(changed), len(changed), dice.randrange(len(changed))])])
