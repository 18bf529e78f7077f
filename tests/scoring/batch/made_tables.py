"""Tables that outputs are tried with."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pyarrow as pa

ZONED = dt.datetime(2026, 3, 1, 12, 30, 0, 250_000, tzinfo=dt.UTC)
EVERY_TYPE = pa.table(
    {
        "flag": pa.array([True, False, None]),
        "small": pa.array([1, -2, None], pa.int8()),
        "big": pa.array([2**62, -1, None], pa.int64()),
        "huge": pa.array([2**64 - 1, 0, None], pa.uint64()),
        "single": pa.array([0.1, -1e20, None], pa.float32()),
        "score": pa.array([0.1, 1e-05, float("nan")]),
        "text": pa.array(['say "no",\nthen go', "", None]),
        "kind": pa.array(["a", "b", None]).dictionary_encode(),
        "day": pa.array([dt.date(2026, 1, 31), dt.date(1, 1, 1), None]),
        "time": pa.array([ZONED.replace(tzinfo=None), ZONED.replace(tzinfo=None), None], pa.timestamp("us")),
        "zoned": pa.array([ZONED, ZONED, None], pa.timestamp("us", "UTC")),
        "price": pa.array([Decimal("1.50"), Decimal("-2.25"), None], pa.decimal128(10, 2)),
        "raw": pa.array([b"\x00\xff", b"", None]),
        "list": pa.array([[1, 2], [], None], pa.list_(pa.int64())),
        "record": pa.array([{"a": 1, "b": "x"}, {"a": None, "b": "é"}, None]),
    }
)


def scores(start: int, count: int) -> pa.Table:
    """A mini-batch's answers."""
    numbers = range(start, start + count)
    return pa.table(
        {
            "id": pa.array(numbers, pa.int64()),
            "region": pa.array([f"r{number % 3}" for number in numbers]),
            "score": pa.array([number / 7 for number in numbers]),
            "word": pa.array([f"w {number % 5}" for number in numbers]),
        }
    )
