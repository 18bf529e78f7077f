"""Open Inference Protocol v2 over REST: named tensors in, named tensors out, as JSON or with the binary tensor extension.

Inputs: a Tensor by its name; a Table as one tensor per column ([n] or [n, 1]), or all columns as one tensor that bears the table's name;
a Value as a request parameter, or as a tensor of one element. Numbers of any width are taken where each value fits the declared dtype.
"""

from __future__ import annotations

from typing import Any, Dict, List, Union

from fairlead_scoring.schema import Value
from fairlead_scoring.schema.check import shorten
from fairlead_scoring.schema.open_inference import input_tensors
from fairlead_scoring.worker.arguments import Inputs, TableReader, TensorReader, ValueReader, nested
from fairlead_scoring.worker.exchange import BadInput, Request
from fairlead_scoring.worker.json_text import parse
from fairlead_scoring.worker.v2_answer import Asked, Reply
from fairlead_scoring.worker.v2_tensors import Raw, Received, fits, parameters_of, received, shape_fits

HEAD_LENGTH = b"inference-header-content-length"


def bind(inputs: Inputs, request: Request) -> Dict[str, Any]:
    """Arguments of run(); leaves the way back on the request. Raises BadInput."""
    body, raw = _parts(request)
    if type(body) is not dict:
        raise BadInput(f"The body must be an object with inputs, got {shorten(body)}.")
    parameters = parameters_of(body, "the request")
    asked = _asked(body)
    tensors = _tensors(body, raw)
    arguments = {name: value for name, reader in inputs.readers.items() for value in _argument(reader, tensors, parameters)}
    if tensors:
        raise BadInput(f"{next(iter(tensors))[:80]!r} is no input of this model; its inputs are: {_expected(inputs)}.")
    _choose_method(inputs, arguments, asked)
    inputs.complete(arguments, "v2")
    request.reply = Reply(
        signature=inputs.signature,
        model=_model(request.path),
        ident=_ident(body),
        asked=asked,
        binary=parameters.get("binary_data_output") is True,
        method=arguments.get("method"),
    ).answer
    return arguments


def _parts(request: Request) -> Any:
    """The JSON head, and the bytes after it."""
    said = request.header(HEAD_LENGTH)
    if not said:
        return parse(request.body), Raw(b"")
    if not said.isdigit() or int(said) > len(request.body):
        message = "Inference-Header-Content-Length is {}, the body has {} bytes; it must be the length of the JSON head."
        raise BadInput(message.format(said.decode("latin-1")[:40], len(request.body)))
    return parse(request.body[: int(said)]), Raw(request.body[int(said) :])


def _tensors(body: Dict[str, Any], raw: Raw) -> Dict[str, Received]:
    said = body.get("inputs")
    if type(said) is not list:
        raise BadInput(f"inputs must be a list of tensors, got {shorten(said)}.")
    found: Dict[str, Received] = {}
    for each in said:
        tensor = received(each, raw)
        if tensor.name in found:
            raise BadInput(f"input {tensor.name[:80]!r} is there twice.")
        found[tensor.name] = tensor
    raw.finish()
    return found


def _ident(body: Dict[str, Any]) -> Any:
    ident = body.get("id")
    if ident is not None and type(ident) is not str:
        raise BadInput(f"id must be a string, got {shorten(ident)}.")
    return ident


def _asked(body: Dict[str, Any]) -> List[Asked]:
    said = body.get("outputs")
    if said is None:
        return []
    if type(said) is not list:
        raise BadInput(f"outputs must be a list, got {shorten(said)}.")
    found: List[Asked] = []
    for each in said:
        name = each.get("name") if type(each) is dict else None
        if type(name) is not str:
            raise BadInput(f"outputs: each must be an object with a name, got {shorten(each)}.")
        parameters = parameters_of(each, f"output {name!r}")
        for unknown in ("classification", "shared_memory_region"):
            if unknown in parameters:
                raise BadInput(f"output {name!r}: {unknown} is not available here; ask for the tensor itself.")
        binary = parameters.get("binary_data")
        found.append(Asked(name, binary if type(binary) is bool else None))
    return found


def _argument(reader: Union[TensorReader, TableReader, ValueReader], tensors: Dict[str, Received], parameters: Dict[str, Any]) -> List[Any]:
    """The value of one input, in a list; an empty list when nothing was said about it."""
    name = reader.field.name
    if isinstance(reader, TableReader):
        return _table(reader, tensors)
    tensor = tensors.pop(name, None)
    if isinstance(reader, TensorReader):
        return [] if tensor is None else [_tensor(reader, tensor)]
    if tensor is not None:
        return [reader.read(nested(tensor.data, () if tensor.shape in ((1,), (1, 1)) else tensor.shape))]
    return [reader.read(parameters[name])] if name in parameters else []


def _tensor(reader: TensorReader, tensor: Received) -> Any:
    declared = reader.declared
    if shape_fits(declared.shape, tensor.shape) and fits(declared.cell, tensor.data):
        return reader.cells.shaped(tensor.data, tensor.shape)
    return reader.read(nested(tensor.data, tensor.shape))


def _table(reader: TableReader, tensors: Dict[str, Received]) -> List[Any]:
    if reader.field.name not in reader.declared.names and reader.field.name in tensors:
        tensor = tensors.pop(reader.field.name)
        if reader.is_uniform and shape_fits((-1, len(reader.names)), tensor.shape) and fits(reader.cells[0].scalar, tensor.data):
            return [reader.framed(tensor.data, tensor.shape)]
        return [reader.read(nested(tensor.data, tensor.shape))]
    found = [tensors.pop(name) for name in reader.names if name in tensors]
    if not found:
        return []
    if len(found) < len(reader.names):
        lacking = [name for name in reader.names if name not in {each.name for each in found}]
        raise BadInput(f"input {lacking[0]!r} is missing; {reader.field.name} needs one tensor for each of its columns.")
    return [_columns(reader, found)]


def _columns(reader: TableReader, found: List[Received]) -> Any:
    rows = found[0].shape[0] if found[0].shape else 0
    for each in found:
        if each.shape not in ((rows,), (rows, 1)) or not rows:
            wanted = f"[{rows}] or [{rows}, 1], like the first column" if rows else "[n] or [n, 1] with at least one row"
            raise BadInput(f"input {each.name!r}: shape is {list(each.shape)}, a column of a table has {wanted}.")
    if all(fits(cells.scalar, each.data) for cells, each in zip(reader.cells, found)):
        return reader.joined([each.data for each in found])
    lists = [nested(each.data, (rows,)) for each in found]
    return reader.read({"columns": reader.names, "data": [list(row) for row in zip(*lists)]})


def _choose_method(inputs: Inputs, arguments: Dict[str, Any], asked: List[Asked]) -> None:
    """Asking for the output `predict_proba` chooses that method, as with MLServer."""
    reader = inputs.readers.get("method")
    if reader is None or "method" in arguments or not isinstance(reader.field.type, Value):
        return
    offered = reader.field.type.schema.get("enum", [])
    chosen = list(dict.fromkeys(each.name for each in asked if each.name in offered))
    if len(chosen) > 1:
        raise BadInput("outputs {} come from different methods; ask for one in each request.".format(" and ".join(chosen)))
    if chosen:
        arguments["method"] = chosen[0]


def _model(path: str) -> List[str]:
    """Name and, if the path says one, version."""
    parts = path[path.rindex("/v2/models/") :].split("/") if "/v2/models/" in path else ["", "", "", "model"]
    name = parts[3].encode("latin-1", "replace").decode("utf-8", "replace")
    return [name, parts[5]] if len(parts) > 5 and parts[4] == "versions" else [name]


def _expected(inputs: Inputs) -> str:
    return ", ".join(f"{each.name} {each.datatype}" for each in input_tensors(inputs.signature)[:10]) or "none"
