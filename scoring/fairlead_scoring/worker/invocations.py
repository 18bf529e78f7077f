"""/invocations as MLflow and SageMaker clients send it: frames, tensors, CSV, JSON lines.

Contract: MLflow's pyfunc scoring protocol (`dataframe_split`, `dataframe_records`, `instances`, `inputs`, `params`), errors as
{"error_code", "message"}; SageMaker's text/csv without a header and application/jsonlines, answered in kind when Accept asks for it.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Set, Tuple

from fairlead_scoring.schema.check import shorten
from fairlead_scoring.worker.arguments import Inputs, Reader, TableReader, TensorReader, ValueReader
from fairlead_scoring.worker.csv_rows import csv_text, rows_of_csv
from fairlead_scoring.worker.exchange import Answer, BadInput, Request
from fairlead_scoring.worker.json_text import dump, parse
from fairlead_scoring.worker.results import records, unwrapped

JSON, CSV = "application/json", "text/csv"
JSON_LINES = ("application/jsonlines", "application/x-jsonlines", "application/jsonl", "application/x-ndjson")
FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")


def bind(inputs: Inputs, request: Request) -> Dict[str, Any]:
    """Arguments of run(); leaves the way back on the request. Raises BadInput."""
    kind, parameters = media_type(request.header(b"content-type"))
    if parameters.get("charset", "utf-8").lower().replace("-", "") not in ("utf8", "usascii"):
        raise BadInput("The charset {} is not read here; send UTF-8.".format(parameters["charset"][:40]), status=415)
    if kind == JSON:
        arguments = _from_json(inputs, parse(request.body))
    elif kind == CSV:
        arguments = _rows(inputs, rows_of_csv(_text(request), _taker(inputs), parameters.get("header", "")))
    elif kind in JSON_LINES:
        arguments = _rows(inputs, [_line(line) for line in _text(request).split("\n") if line.strip()])
    else:
        wanted = ", ".join((CSV, JSON, JSON_LINES[0]))
        raise BadInput(f"This predictor only supports the content types {wanted}. Got {kind[:80]!r}.", status=415)
    inputs.complete(arguments, "invocations")
    request.reply = _replier(request.header(b"accept"), arguments.get("method"))
    return arguments


def media_type(said: bytes) -> Tuple[str, Dict[str, str]]:
    """b'text/csv; header=present' as ("text/csv", {"header": "present"}), in lower case."""
    kind, *rest = said.decode("latin-1").lower().split(";")
    pairs = [part.partition("=") for part in rest]
    return kind.strip(), {name.strip(): value.strip().strip('"') for name, _, value in pairs}


def _from_json(inputs: Inputs, body: Any) -> Dict[str, Any]:
    if type(body) is list:  # SageMaker's JSONSerializer sends the rows themselves
        return _rows(inputs, body)
    if type(body) is not dict:
        raise BadInput("The input must be a JSON object with one of {}, got {}.".format(", ".join(FORMS), shorten(body)))
    given = [name for name in FORMS if name in body]
    others = [name for name in body if name not in FORMS and name not in ("params", "signature_name")]
    if len(given) != 1 or others:
        message = "The input must be a JSON object with exactly one of {}, and params if need be; its keys are: {}."
        raise BadInput(message.format(", ".join(FORMS), shorten(list(body))[1:-1] or "none"))
    arguments = _READ[given[0]](inputs, body[given[0]])
    params = body.get("params")
    if params is None:
        return arguments
    if type(params) is not dict:
        raise BadInput(f"params must be an object, got {shorten(params)}.")
    for name, value in params.items():
        if name in arguments or name not in inputs.values:
            raise BadInput("{!r} is no parameter of this model; its parameters are: {}.".format(name[:80], ", ".join(inputs.values) or "none"))
        arguments[name] = inputs.values[name].read(value)
    return arguments


def _from_split(inputs: Inputs, said: Any) -> Dict[str, Any]:
    if type(said) is not dict or type(said.get("data")) is not list or not said.keys() <= {"columns", "index", "data"}:
        raise BadInput(f'dataframe_split must be an object with "columns" and "data" (and "index"), got {shorten(said)}.')
    taker = _taker(inputs)
    if isinstance(taker, TableReader) and "columns" in said:
        return {taker.field.name: taker.read(said)}
    if isinstance(taker, ValueReader) and type(said.get("columns")) is list:
        return _rows(inputs, [dict(zip(map(str, said["columns"]), row)) if type(row) is list else row for row in said["data"]])
    return {taker.field.name: taker.read(said["data"])}


def _from_records(inputs: Inputs, said: Any) -> Dict[str, Any]:
    if type(said) is not list or not all(type(row) is dict for row in said):
        raise BadInput(f"dataframe_records must be a list of objects, got {shorten(said)}.")
    return _rows(inputs, said)


def _from_instances(inputs: Inputs, said: Any) -> Dict[str, Any]:
    """TensorFlow Serving's row form; rows keyed by input are turned into one array per input."""
    named = set(inputs.arrays)
    if type(said) is list and said and all(type(row) is dict and row.keys() == named for row in said) and not _names_columns(inputs, named):
        return {name: inputs.arrays[name].read([row[name] for row in said]) for name in inputs.arrays}
    if type(said) is not list:
        raise BadInput(f"instances must be a list of rows, got {shorten(said)}.")
    return _rows(inputs, said)


def _from_inputs(inputs: Inputs, said: Any) -> Dict[str, Any]:
    """TensorFlow Serving's column form: a tensor, or an object of tensors by input or by column."""
    if type(said) is not dict:
        taker = _taker(inputs)
        return {taker.field.name: taker.read(said)}
    table = inputs.array
    if isinstance(table, TableReader) and _names_columns(inputs, set(said)):
        return {table.field.name: table.read(_from_columns(table, said))}
    unknown = [name for name in said if name not in inputs.readers]
    if unknown:
        raise BadInput(f"inputs: {unknown[0][:80]!r} is no input of this model; its inputs are: {inputs.names}.")
    return {name: inputs.readers[name].read(value) for name, value in said.items()}


def _names_columns(inputs: Inputs, names: Set[str]) -> bool:
    """Keys that stand for columns of the table rather than for inputs."""
    return isinstance(inputs.array, TableReader) and (names <= set(inputs.array.names) or not names <= inputs.readers.keys())


def _from_columns(array: TableReader, said: Dict[str, Any]) -> Dict[str, Any]:
    columns: List[List[Any]] = []
    for values in said.values():
        cells = values if type(values) is list else [values]
        columns.append([cell[0] if type(cell) is list and len(cell) == 1 else cell for cell in cells])
    if len({len(column) for column in columns}) > 1:
        sizes = ", ".join(f"{name[:80]} has {len(column)}" for name, column in zip(said, columns))
        raise BadInput(f"{array.field.name}: the columns differ in length: {sizes[:400]}.")
    return {"columns": list(said), "data": [list(row) for row in zip(*columns)]}


_READ: Dict[str, Callable[[Inputs, Any], Dict[str, Any]]] = {
    "dataframe_split": _from_split,
    "dataframe_records": _from_records,
    "instances": _from_instances,
    "inputs": _from_inputs,
}


def _rows(inputs: Inputs, rows: Any) -> Dict[str, Any]:
    """Rows as lists, or as objects by column; those of an array without column names count in their order."""
    taker = _taker(inputs)
    if isinstance(taker, TensorReader) and rows and type(rows[0]) is dict:
        order = list(rows[0])
        for place, row in enumerate(rows):
            if type(row) is not dict or list(row) != order:
                message = "{}, row {}: expected the same keys in the same order as row 0, for want of column names in this model; got {}."
                raise BadInput(message.format(taker.field.name, place, shorten(row)))
        rows = [next(iter(row.values())) if order == ["features"] else list(row.values()) for row in rows]
    return {taker.field.name: taker.read(rows)}


def _taker(inputs: Inputs) -> Reader:
    if inputs.rows is None:
        raise BadInput(f'None of the inputs ({inputs.names}) takes rows; send {{"inputs": {{NAME: VALUE}}}}.')
    return inputs.rows


def _text(request: Request) -> str:
    try:
        return str(request.body, "utf-8-sig")
    except UnicodeDecodeError as fault:
        raise BadInput(f"The body is not UTF-8 (byte {fault.start}): {fault.reason}.") from None


def _line(line: str) -> Any:
    return parse(line.encode())


def _replier(accept: bytes, method: Any) -> Callable[[Any], Answer]:
    wanted = media_type(accept.split(b",")[0])[0]
    if wanted == CSV:
        return lambda result: Answer(csv_text(unwrapped(result, method)).encode(), content_type=CSV)
    if wanted in JSON_LINES:
        return lambda result: Answer(b"".join(dump(row) + b"\n" for row in records(unwrapped(result, method))), content_type=wanted)
    return lambda result: Answer(dump({"predictions": unwrapped(result, method)}))
