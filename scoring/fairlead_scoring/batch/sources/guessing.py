"""Columns of text that are meant to be numbers, but for some rows: those are bad, and not the column's type."""

from __future__ import annotations

from typing import Any, Mapping, Optional

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

SHARE = 0.99
_NUMBER = r"^-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_WHOLE = r"^-?\d{1,18}$"
_OF_AN_ID = r"^-?0\d"  # 00123
_CODE = r"[A-Za-z].*\d|\d.*[A-Za-z]"  # A17


def number_type(column: pa.ChunkedArray, options: Mapping[str, Any]) -> Optional[pa.DataType]:
    """int64 or double where 99 % of the values are numbers; None for a column of texts. options: of pyarrow.csv.ConvertOptions.

    Ids are texts: one number with a zero before it, or one other value with letters and digits, is enough.
    """
    if not pa.types.is_string(column.type) or options.get("decimal_point", ".") != ".":
        return None
    nulls = options.get("null_values", pyarrow.csv.ConvertOptions().null_values)
    texts = pc.utf8_trim_whitespace(column.drop_null())
    texts = texts.filter(pc.invert(pc.is_in(texts, pa.array(nulls, pa.string()))))
    are_numbers = pc.match_substring_regex(texts, _NUMBER)
    count = pc.sum(are_numbers).as_py() or 0
    if count < len(texts) * SHARE or count == len(texts) or _any(texts, _OF_AN_ID):
        return None
    if _any(texts.filter(pc.invert(are_numbers)), _CODE):
        return None
    whole = pc.sum(pc.match_substring_regex(texts, _WHOLE)).as_py() == count
    return pa.int64() if whole else pa.float64()


def _any(texts: pa.ChunkedArray, pattern: str) -> bool:
    return bool(pc.any(pc.match_substring_regex(texts, pattern)).as_py())
