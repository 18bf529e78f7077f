"""A script that was written for requests, or a no-code model, as what scores mini-batches."""

from __future__ import annotations

import inspect
import json
import mimetypes
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import pyarrow as pa

from fairlead_scoring.batch.scoring import answers
from fairlead_scoring.batch.scoring.answers import BadAnswer, as_table
from fairlead_scoring.batch.scoring.arguments import Maker, NoFit, Prepared, list_maker, maker_of, others_of, row_maker
from fairlead_scoring.batch.scoring.blocks import Refused
from fairlead_scoring.worker import decorated
from fairlead_scoring.worker.annotations import _hints as hints_of
from fairlead_scoring.worker.arguments import Inputs, TableReader, TensorReader, ValueReader
from fairlead_scoring.worker.chunks import is_stream
from fairlead_scoring.worker.dialects import stackable_of
from fairlead_scoring.worker.encoding import native
from fairlead_scoring.worker.exchange import Request
from fairlead_scoring.worker.rawhttp import is_response, to_answer
from fairlead_scoring.worker.script import Script

FIRST_ERROR = 400  # of statuses
SHOWN = 200  # characters of a body
JSON = [(b"content-type", b"application/json")]


class Ready(NamedTuple):
    """A mini-batch in the form that run() takes: by parameter, or (each) one set of arguments per row."""

    arguments: Dict[str, Any]
    each: Optional[List[Dict[str, Any]]]
    items: int
    refused: List[Refused]


class OnlineScript:
    """prepare(rows or paths) → Ready, run(Ready) → a table with one row per item."""

    takes_files = False

    def __init__(self, script: Script, method: Optional[str], kept: Sequence[str]) -> None:
        self._script = script
        self._method = method
        self._kept = tuple(kept)
        self._makers: Dict[str, Maker] = {}
        self._others: Dict[str, Any] = {}
        self._rows: Optional[Maker] = None
        self._loop: Any = None

    def init(self) -> None:
        """After the script's own init(), which made its signature known. Raises NoFit, ScriptFault."""
        contract = self._script.contract()
        kind = self._script.kind
        if self._script.is_async:
            from fairlead_scoring.worker.async_loop import new_loop

            self._loop = new_loop()
        if self._method is not None and kind != "typed":
            raise NoFit(f"The method {self._method!r} was asked for, and this script does not take one; leave it out.")
        if kind == "typed" and self._script.signature is not None and self._script._dialects is not None:
            self._declared(self._script._dialects.inputs)
        elif kind == "schema" and contract["inputs"] and self._script._dialects is not None:
            self._decorated(self._script._dialects.inputs)

    def _declared(self, inputs: Inputs) -> None:
        name = stackable_of(inputs.signature)
        if len(inputs.arrays) > 1:
            self._makers = {each: maker_of(reader, self._kept, is_named=True) for each, reader in inputs.arrays.items()}
        elif name is not None:
            reader = inputs.readers[name]
            if isinstance(reader, ValueReader):
                self._makers[name] = list_maker(reader, self._kept) if not self._wants_frame(name) else self._frame
            else:
                self._makers[name] = maker_of(reader, self._kept)
        if not self._makers:
            self._rows = row_maker({each: reader for each, reader in inputs.values.items() if each != "method"}, self._kept)
        taken = list(self._makers) or [each for each in inputs.values if each != "method"]
        self._others = others_of(inputs, taken, self._method)

    def _wants_frame(self, name: str) -> bool:
        hint = hints_of(self._script._loaded.run).get(name)
        return getattr(hint, "__name__", "") == "DataFrame"

    def _frame(self, table: pa.Table) -> Any:
        return Prepared(table.select([name for name in table.column_names if name not in self._kept]).to_pandas(use_threads=False), [])

    def _decorated(self, inputs: Inputs) -> None:
        """What the library's wrapper finds to be of the sample's type, it leaves alone."""
        name = decorated.stackable_of(self._script._decorated)
        reader = inputs.arrays.get(name) if name is not None else None
        if isinstance(reader, (TableReader, TensorReader)):
            self._makers[str(name)] = maker_of(reader, self._kept)
            self._others = others_of(inputs, [str(name)], None)

    def prepare(self, rows: Any, _group: Any = None) -> Ready:
        """Raises NoFit."""
        if not isinstance(rows, pa.Table):
            return Ready({}, [self._of_file(path) for path in rows], len(rows), [])
        if self._makers:
            made = {name: make(rows) for name, make in self._makers.items()}
            refused = [each for one in made.values() for each in one.refused]
            return Ready({name: one.value for name, one in made.items()}, None, rows.num_rows, refused)
        if self._rows is not None:
            found = self._rows(rows)
            return Ready({}, found.value, rows.num_rows, found.refused)
        return Ready(self._script.bind(Request(self._body(rows), headers=JSON)), None, rows.num_rows, [])

    def _body(self, table: pa.Table) -> bytes:
        """What a client would send: {"data": [[...], ...]}, under the name of the one decorated parameter where there is one."""
        if self._script.kind == "raw":
            raise NoFit("A run() decorated with @rawhttp answers requests, not rows; give it files, or write a script with run(mini_batch).")
        table = table.select([name for name in table.column_names if name not in self._kept])
        name = self._script._decorated[0].name if self._script._decorated else "data"
        rows = [list(row) for row in zip(*(column.to_pylist() for column in table.columns))]
        return json.dumps({name: rows}, default=native).encode()

    def _of_file(self, path: str) -> Dict[str, Any]:
        """One request per file, whose body is the file."""
        with open(path, "rb") as file:
            content = file.read()
        kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
        return dict(self._script.bind(Request(content, headers=[(b"content-type", kind.encode())])))

    def run(self, ready: Ready) -> Tuple[pa.Table, int]:
        """The table, and how many items it stands for."""
        if ready.each is None:
            table = self._table(self._call({**ready.arguments, **self._others}))
        else:
            table = self._table([_plain(self._call({**arguments, **self._others})) for arguments in ready.each])
        if table.num_rows != ready.items:
            raise BadAnswer(f"run() answered {table.num_rows} results for {ready.items} rows; a script for requests answers one for each.")
        return table, table.num_rows

    def _table(self, result: Any) -> pa.Table:
        result = _body_of(result)
        method = self._others.get("method")
        return as_table(answers.unwrapped(result, method) if isinstance(method, str) else result, is_json=True)

    def _call(self, arguments: Dict[str, Any]) -> Any:
        result = self._script.run(arguments)
        if inspect.isawaitable(result):
            result = self._loop.run_until_complete(_awaited(result))
        if is_stream(result):
            raise BadAnswer("run() streams its answer; a batch needs one result per row: write a script with run(mini_batch).")
        return result

    def shutdown(self) -> None:
        """A script for requests has nothing to be told at the end."""
        if self._loop is not None:
            self._loop.close()


async def _awaited(result: Any) -> Any:
    return await result


def _body_of(result: Any) -> Any:
    """Of a response. Raises BadAnswer where its status says that there is none."""
    if not is_response(result):
        return result
    answer = to_answer(result)
    if answer.status >= FIRST_ERROR:
        text = answer.body.decode("utf-8", "replace")[:SHOWN] if isinstance(answer.body, bytes) else "a stream"
        raise BadAnswer(f"run() answered with status {answer.status}: {text}")
    return answer.body


def _plain(result: Any) -> Any:
    """The answer of one row or file: JSON text as what it says."""
    result = _body_of(result)
    if isinstance(result, (str, bytes, bytearray)):
        try:
            return json.loads(result)
        except ValueError:
            return result if isinstance(result, str) else bytes(result).decode("utf-8", "replace")
    return result.item() if hasattr(result, "item") and getattr(result, "size", 1) == 1 else result
