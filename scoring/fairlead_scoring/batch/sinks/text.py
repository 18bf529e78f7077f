"""Rows as text, as ParallelRunStep wrote them: what pandas' to_csv(sep=" ", header=False, index=False) gives."""

from __future__ import annotations

import csv
import io
from typing import Any, List

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types


def text_rows(table: pa.Table) -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=" ", lineterminator="\n", quoting=csv.QUOTE_MINIMAL).writerows(zip(*[_texts(column) for column in table.columns]))
    return text.getvalue().encode("utf-8", "backslashreplace")


def _texts(column: pa.ChunkedArray) -> List[Any]:
    """What a missing value or NaN is: nothing."""
    kind = column.type
    if types.is_dictionary(kind):
        return _texts(column.cast(kind.value_type))
    if types.is_floating(kind):
        return _floats(column)
    if types.is_timestamp(kind) or types.is_date(kind):
        return _times(column)
    return ["" if value is None else str(value) for value in column.to_pylist()]


def _floats(column: pa.ChunkedArray) -> List[str]:
    """numpy's shortest digits, of single precision too."""
    missing = pc.fill_null(pc.is_nan(column), True).to_pylist()
    digits = column.fill_null(0).to_numpy().astype(str).tolist()
    return ["" if gone else text for gone, text in zip(missing, digits)]


def _times(column: pa.ChunkedArray) -> List[str]:
    """Days only where all are at midnight, and as many digits of seconds as one of them needs: 0, 3, 6 or 9; as pandas has it."""
    if types.is_date(column.type):
        return ["" if value is None else value for value in column.cast(pa.date32()).cast(pa.string()).to_pylist()]
    zoned = column.type.tz is not None
    local = pc.local_timestamp(column) if zoned else column
    texts: List[str] = ["" if value is None else value for value in local.cast(pa.string()).to_pylist()]
    digits = -(-max([len(text[20:].rstrip("0")) for text in texts], default=0) // 3) * 3
    texts = [text[: 20 + digits if digits else 19] for text in texts]
    if zoned:
        offsets = pc.strftime(column, format="%z").to_pylist()
        return [f"{text}{offset[:3]}:{offset[3:]}" if text else "" for text, offset in zip(texts, offsets)]
    return [text[:10] for text in texts] if all(text[10:] in ("", " 00:00:00") for text in texts) else texts
