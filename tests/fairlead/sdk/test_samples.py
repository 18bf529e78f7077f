"""Requests that a model is measured with."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from fairlead.errors import UsageError
from fairlead.sdk.samples import bodies


class Rows:
    """A tabular data set, as far as it is asked."""

    def __init__(self, columns: dict[str, list[str]]) -> None:
        self._columns = columns

    def to_arrow_table(self) -> pa.Table:
        return pa.table(self._columns)


def test_requests_come_as_a_list_a_file_or_a_data_set_of_one_column(tmp_path: Path) -> None:
    (tmp_path / "requests.jsonl").write_text('{"a": 1}\n\n{"a": 2}\n')
    wanted = [b'{"a": 1}', b'{"a": 2}']
    assert bodies([{"a": 1}, '{"a": 2}']) == wanted
    assert bodies(tmp_path / "requests.jsonl") == wanted
    assert bodies(Rows({"sample_request": ['{"a": 1}', '{"a": 2}']})) == wanted
    assert bodies(None) == []


def test_what_cannot_be_requests_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"has 2 columns \(a, b\); requests are one column of texts"):
        bodies(Rows({"a": ["1"], "b": ["2"]}))
    with pytest.raises(UsageError, match="a tabular data set of one column; not a int"):
        bodies(7)
