"""Tables as files: fixed settings, so that the same rows give the same bytes."""

from __future__ import annotations

from typing import Any, Callable, Mapping, Protocol

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from fairlead_scoring.batch.places import Outgoing
from fairlead_scoring.batch.sinks.columns import flat_table, json_rows
from fairlead_scoring.batch.sinks.sink import Unwritable
from fairlead_scoring.batch.sinks.text import text_rows

GROUP = 1 << 17  # rows of a row group

MakeWriter = Callable[[Outgoing, pa.Schema, Mapping[str, Any]], "Writer"]


class Writer(Protocol):
    def write(self, table: pa.Table) -> None: ...

    def close(self) -> None:
        """All bytes are in the file after this."""


class ParquetWriter:
    """Strings get dictionaries; numbers do not, which costs more than it saves. options: compression (snappy, zstd, gzip, none)."""

    def __init__(self, file: Outgoing, schema: pa.Schema, options: Mapping[str, Any]) -> None:
        texts = [field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_large_string(field.type) or pa.types.is_dictionary(field.type)]
        compression = str(options.get("compression", "snappy"))
        try:
            self._inner = pq.ParquetWriter(file, schema, version="2.6", compression=compression, use_dictionary=texts or False, write_statistics=True)
        except (pa.ArrowException, ValueError, OSError) as fault:
            raise Unwritable(f"Parquet cannot hold these answers: {fault}. Give them plain types, or another format.") from fault

    def write(self, table: pa.Table) -> None:
        self._inner.write_table(table, row_group_size=GROUP)

    def close(self) -> None:
        self._inner.close()


class CsvWriter:
    """RFC 4180 with a header and lines that end in LF; strings are quoted, so that an empty one is not a missing one. options: delimiter."""

    def __init__(self, file: Outgoing, schema: pa.Schema, options: Mapping[str, Any]) -> None:
        flat = flat_table(schema.empty_table()).schema
        self._inner = pc.CSVWriter(file, flat, write_options=pc.WriteOptions(delimiter=str(options.get("delimiter", ",")), batch_size=4096))

    def write(self, table: pa.Table) -> None:
        self._inner.write_table(flat_table(table))

    def close(self) -> None:
        self._inner.close()


class JsonWriter:
    def __init__(self, file: Outgoing, _schema: pa.Schema, _options: Mapping[str, Any]) -> None:
        self._file = file

    def write(self, table: pa.Table) -> None:
        for start in range(0, table.num_rows, 16384):
            self._file.write(json_rows(table.slice(start, 16384)))

    def close(self) -> None:
        """Each row is whole by itself."""


class TextWriter:
    """As pandas' to_csv(sep=" ", header=False, index=False)."""

    def __init__(self, file: Outgoing, _schema: pa.Schema, _options: Mapping[str, Any]) -> None:
        self._file = file

    def write(self, table: pa.Table) -> None:
        self._file.write(text_rows(table))

    def close(self) -> None:
        """As JSON."""


WRITERS: Mapping[str, MakeWriter] = {"parquet": ParquetWriter, "csv": CsvWriter, "tsv": CsvWriter, "jsonl": JsonWriter, "text": TextWriter}
ENDINGS = {"parquet": "parquet", "csv": "csv", "tsv": "tsv", "jsonl": "jsonl", "text": "txt"}


def make_writer(format: str, file: Outgoing, schema: pa.Schema, options: Mapping[str, Any]) -> Writer:  # noqa: A002 - the order's word
    if format == "tsv":
        options = {"delimiter": "\t", **options}
    return WRITERS[format](file, schema, options)


def check_format(format: str) -> None:  # noqa: A002 - the order's word
    if format not in WRITERS:
        raise Unwritable(f"{format!r} is no format for outputs; there are {', '.join(WRITERS)}.")
