"""Parts of a table, in one file per shard or in folders `name=value` by the values of columns."""

from __future__ import annotations

from typing import Dict, Iterable, Iterator, List, Optional, Tuple
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc

from fairlead_scoring.batch.job import Output
from fairlead_scoring.batch.ledger.layout import part_name
from fairlead_scoring.batch.places import Outgoing, Place
from fairlead_scoring.batch.shards import Bad, Outcome, Part
from fairlead_scoring.batch.sinks.columns import schema_text
from fairlead_scoring.batch.sinks.sink import Published, Quarantine, Sink, Unwritable, in_order
from fairlead_scoring.batch.sinks.writers import ENDINGS, GROUP, Writer, make_writer

_MOST_HELD = 256 << 20  # bytes of rows that wait for their row group, in all folders together
_USUAL_COLUMNS = 64  # a table with more has fewer rows in a group
_MOST_FOLDERS = 500  # files that one shard has open
_LONGEST = 255  # bytes of a folder's name on any disk
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


class TableSink(Sink):
    def __init__(self, output: Output, place: Place, shard: int) -> None:
        self._output, self._place = output, place
        self._name = part_name(shard, ENDINGS[output.format])
        self._shard = shard
        self._parts: Dict[str, _Part] = {}
        self._quarantine = Quarantine(place, shard)

    def write(self, table: pa.Table) -> None:
        if not table.num_rows:
            return
        for folder, rows in self._split(table.replace_schema_metadata(None)):
            part = self._parts.get(folder)
            if part is None:
                part = self._parts[folder] = self._begin(folder)
            part.add(rows)
        self.rows += table.num_rows
        while sum(part.held for part in self._parts.values()) > _MOST_HELD:
            max(self._parts.values(), key=lambda part: part.held).flush()

    def bad(self, items: Iterable[Bad]) -> None:
        self._quarantine.add(items)

    def publish(self, outcome: Optional[Outcome] = None) -> Published:  # noqa: ARG002 - the ledger notes it
        parts = tuple(part.publish() for _, part in sorted(self._parts.items()))
        return parts, self._quarantine.publish()

    def abandon(self) -> None:
        for part in self._parts.values():
            part.abandon()
        self._quarantine.abandon()

    def _begin(self, folder: str) -> _Part:
        if len(self._parts) >= _MOST_FOLDERS:
            columns = ", ".join(self._output.partition_by)
            raise Unwritable(f"Shard {self._shard} alone has more than {_MOST_FOLDERS} values of {columns}: too many folders. Partition by columns with fewer.")
        return _Part(self._output, self._place, folder + self._name)

    def _split(self, table: pa.Table) -> Iterator[Tuple[str, pa.Table]]:
        """By the values of the partition columns, in the order in which they come; rows keep theirs."""
        names = self._output.partition_by
        if not names:
            yield "", table
            return
        missing = [name for name in names if name not in table.column_names]
        if missing:
            raise Unwritable(f"The answers have no column {missing[0]} to partition by; they have {', '.join(table.column_names)}.")
        folders = pc.binary_join_element_wise(*[_folder_names(table, name) for name in names], "/")
        rest = table.drop_columns(list(names))
        if not rest.num_columns:
            raise Unwritable("Every column of the answers is one to partition by, and the files would hold nothing. Leave one out.")
        for folder in pc.unique(folders).to_pylist():
            yield f"{folder}/", rest.filter(pc.equal(folders, folder))


class _Part:
    """One file. Row groups are cut by counting rows, wherever mini-batches end: one that was halved leaves no trace in the bytes."""

    def __init__(self, output: Output, place: Place, path: str) -> None:
        self.held = 0
        self._output, self._path = output, path
        self._waiting: List[pa.Table] = []
        self._waiting_rows = 0
        self._schema: Optional[pa.Schema] = None
        self._writer: Optional[Writer] = None
        self._rows = 0
        self._held_groups: List[pa.Table] = []  # whole groups in which a column has nothing but nulls so far
        self._file: Outgoing = place.begin(path)

    def add(self, table: pa.Table) -> None:
        self._waiting.append(table)
        self._waiting_rows += table.num_rows
        self.held += table.nbytes
        group = max(min(GROUP, GROUP * _USUAL_COLUMNS // table.num_columns), 1024)
        while self._waiting_rows >= group:
            self._group(self._take(group))

    def flush(self) -> None:
        """Whatever waits, and whatever types that leaves."""
        if self._waiting:
            self._group(self._take(self._waiting_rows))
        self._release()

    def _group(self, tables: List[pa.Table]) -> None:
        """Of the first groups those wait whose types are not known: the first value decides, always by whole groups, so that it decides alike each time."""
        if self._writer is not None:
            self._write(self._alike(tables))
            return
        self._held_groups.append(self._alike([*self._held_types(), *tables]))
        self._count_held()
        if not any(pa.types.is_null(field.type) for field in self._held_groups[-1].schema):
            self._release()

    def _held_types(self) -> List[pa.Table]:
        return [self._held_groups[-1].schema.empty_table()] if self._held_groups else []

    def _release(self) -> None:
        held, self._held_groups = self._held_groups, []
        if not held:
            return
        last = held[-1].schema
        self._schema = last
        self._writer = make_writer(self._output.format, self._file, last, self._output.options)
        for table in held:
            self._write(self._alike([table]))
        self._count_held()

    def _take(self, count: int) -> List[pa.Table]:
        taken: List[pa.Table] = []
        while count:
            table = self._waiting.pop(0)
            taken.append(table.slice(0, count))
            if table.num_rows > count:
                self._waiting.insert(0, table.slice(count))
            count -= taken[-1].num_rows
        self._waiting_rows -= sum(table.num_rows for table in taken)
        self._count_held()
        return taken

    def _count_held(self) -> None:
        self.held = sum(table.nbytes for table in [*self._waiting, *self._held_groups])

    def _write(self, rows: pa.Table) -> None:
        assert self._writer is not None
        self._writer.write(rows.combine_chunks())
        self._rows += rows.num_rows

    def publish(self) -> Part:
        self.flush()
        assert self._writer is not None
        assert self._schema is not None
        self._writer.close()
        self._file.publish()
        return Part(self._path, self._rows, self._file.bytes, self._file.sha256, schema_text(self._schema))

    def abandon(self) -> None:
        self._file.abandon()

    def _alike(self, tables: List[pa.Table]) -> pa.Table:
        """With the types of the first rows of the part; before any are written, those that fit all."""
        names = tables[0].column_names if self._schema is None else self._schema.names
        tables = [in_order(table, names) for table in tables]
        try:
            if self._schema is None:
                return pa.concat_tables(tables, promote_options="permissive")
            return pa.concat_tables([table.cast(self._schema) for table in tables])
        except (pa.ArrowException, ValueError) as fault:
            raise Unwritable(
                f"Answers change their type between mini-batches: {_changed(tables, self._schema)}. Convert them, such as with astype()."
            ) from fault


def _changed(tables: List[pa.Table], schema: Optional[pa.Schema]) -> str:
    kept = schema or tables[0].schema
    changes = [f"{field.name} was {kept.field(field.name).type} and is {field.type}" for each in tables for field in each.schema if field not in kept]
    return changes[0] if changes else "a value does not fit"


def _folder_names(table: pa.Table, name: str) -> pa.ChunkedArray:
    """`name=value` for each row, escaped as Hive and its readers have it."""
    encoded = table.column(name).cast(pa.string()).combine_chunks().dictionary_encode()
    names = [f"{quote(name, safe='')}={quote(str(value), safe='')}" for value in encoded.dictionary.to_pylist()]
    if any(len(each) > _LONGEST for each in names):
        raise Unwritable(
            f"A value of {name} is too long to be the name of a folder, which has {_LONGEST} bytes at most. Partition by a column with shorter ones."
        )
    folders = pa.array(names, pa.string())
    return pc.fill_null(folders.take(encoded.indices), f"{quote(name, safe='')}={_NO_VALUE}")
