"""What `run()` returned as output tensors of the Open Inference Protocol v2, JSON or binary as the client asked."""

from __future__ import annotations

import base64
import json
import struct
import sys
from dataclasses import dataclass
from itertools import chain
from math import prod
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from fairlead_scoring.schema import Signature, Table, Tensor, Value
from fairlead_scoring.schema.open_inference import BYTES, DATATYPES, DTYPES, TensorSpec, declared_outputs, output_tensors
from fairlead_scoring.schema.scalars import INTEGERS
from fairlead_scoring.worker.exchange import Answer, EncodeFault
from fairlead_scoring.worker.json_text import dump
from fairlead_scoring.worker.v2_tensors import FORMATS, LENGTH

UNNAMED = "output-0"


class Asked(NamedTuple):
    """An output that the client named. binary: None where it did not say."""

    name: str
    binary: Optional[bool]


class Output(NamedTuple):
    """data: row-major; a list, or a numpy array."""

    name: str
    datatype: str
    shape: Tuple[int, ...]
    data: Any


@dataclass(frozen=True)
class Reply:
    """The way back of one request. model: name and, if the path said one, version."""

    signature: Signature
    model: List[str]
    ident: Optional[str]
    asked: List[Asked]
    binary: bool
    method: Any

    def answer(self, result: Any) -> Answer:
        """Raises EncodeFault. An output asked for that is not there is the caller's mistake: 400."""
        found = {output.name: output for output in outputs(result, self.signature, self.method)}
        unknown = [each.name for each in self.asked if each.name not in found]
        if unknown:
            message = "The model has no output {!r} here; its outputs are: {}.".format(unknown[0][:80], ", ".join(found))
            return Answer(json.dumps({"error": message}).encode(), status=400)
        chosen = [(found[each.name], each.binary) for each in self.asked] or [(output, None) for output in found.values()]
        parts: List[bytes] = []
        head = [self._written(output, self.binary if binary is None else binary, parts) for output, binary in chosen]
        body = dump({**self._top(), "outputs": head})
        if not parts:
            return Answer(body)
        headers = [("Inference-Header-Content-Length", str(len(body)))]
        return Answer(b"".join([body, *parts]), content_type="application/octet-stream", headers=headers)

    def _top(self) -> Dict[str, Any]:
        top: Dict[str, Any] = dict(zip(("model_name", "model_version"), self.model))
        if self.ident:
            top["id"] = self.ident
        return top

    @staticmethod
    def _written(output: Output, binary: bool, parts: List[bytes]) -> Dict[str, Any]:
        said: Dict[str, Any] = {"name": output.name, "datatype": output.datatype, "shape": list(output.shape)}
        if binary:
            raw = _packed(output)
            parts.append(raw)
            said["parameters"] = {"binary_data_size": len(raw)}
        elif output.datatype == BYTES:
            said["data"], encoded = _texts(output.data)
            said.update({"parameters": {"content_type": "base64"}} if encoded else {})
        else:
            said["data"] = output.data
        return said


def outputs(result: Any, signature: Signature, method: Any = None) -> List[Output]:
    """A DataFrame gives one output per column, a dict one per key, anything else one. Raises EncodeFault."""
    declared = {spec.name: spec for spec in _specs(signature)}
    if type(result).__name__ == "DataFrame":
        pairs = [(str(name), result.iloc[:, place]) for place, name in enumerate(result.columns)]
    elif isinstance(result, dict):
        pairs = [(str(name), value) for name, value in result.items()]
    else:
        pairs = [(_name(signature, method), result)]
    return [_output(name, value, declared.get(name)) for name, value in pairs]


def _specs(signature: Signature) -> List[TensorSpec]:
    output = signature.output
    if output is not None and isinstance(output.type, Value):
        return list(declared_outputs(output.type).values())
    return output_tensors(signature, {})


def _name(signature: Signature, method: Any) -> str:
    if signature.output is not None and isinstance(signature.output.type, (Tensor, Table)):
        return signature.output.name
    return method if isinstance(method, str) else UNNAMED


def _output(name: str, value: Any, declared: Optional[TensorSpec]) -> Output:
    if value is None or hasattr(value, "__next__") or hasattr(value, "__anext__"):
        raise EncodeFault(f"run() returned a {type(value).__name__} for output {name!r}; v2 needs an array, a list or a scalar.")
    if hasattr(value, "to_numpy"):
        value = value.to_numpy()
    if type(value).__module__.split(".")[0] == "numpy" and hasattr(value, "dtype"):
        output = _of_array(name, sys.modules["numpy"].asarray(value))
    else:
        output = _of_list(name, value)
    return _cast(output, declared.datatype) if declared is not None and declared.datatype != output.datatype else output


def _of_array(name: str, array: Any) -> Output:
    datatype = DATATYPES.get(array.dtype.name)
    if array.dtype.kind == "f" and datatype is None:  # float128
        datatype, array = "FP64", array.astype("float64")
    if array.dtype.kind == "M":
        array = array.astype("datetime64[us]")  # finer ones become integers in a list
    if datatype is None:
        return _of_list(name, array.tolist())
    return Output(name, datatype, array.shape or (1,), array.astype(DTYPES[datatype]).ravel())


def _of_list(name: str, value: Any) -> Output:
    """Shape from the first elements, as deep as the lists are regular; what is deeper is JSON text."""
    shape: List[int] = []
    level: List[Any] = [value]
    while level and all(isinstance(each, (list, tuple)) or hasattr(each, "tolist") for each in level):
        lists = [each.tolist() if hasattr(each, "tolist") else each for each in level]
        if not all(isinstance(each, (list, tuple)) for each in lists):
            level = lists
            break
        if len({len(each) for each in lists}) > 1:
            break
        shape.append(len(lists[0]))
        level = list(chain.from_iterable(lists))
    cells = [None if type(cell).__name__ in ("NAType", "NaTType") else cell for cell in level]
    return Output(name, _datatype(cells), tuple(shape) or (1,), _plain_cells(cells))


def _datatype(cells: Sequence[Any]) -> str:
    kinds = {type(cell) for cell in cells}
    if kinds == {bool}:
        return "BOOL"
    if kinds == {int}:
        low, high = min(cells), max(cells)
        fitting = [name for name in ("int64", "uint64") if INTEGERS[name][0] <= low and high <= INTEGERS[name][1]]
        return DATATYPES[fitting[0]] if fitting else "FP64"
    return "FP64" if kinds <= {int, float, type(None)} and kinds - {type(None)} else BYTES


def _plain_cells(cells: List[Any]) -> List[Any]:
    if _datatype(cells) != BYTES:
        return cells
    return [cell if cell is None or isinstance(cell, (str, bytes)) else _text(cell) for cell in cells]


def _text(cell: Any) -> str:
    if hasattr(cell, "isoformat") and type(cell).__name__ != "NaTType":
        return str(cell.isoformat())
    return dump(cell).decode()


def _cast(output: Output, datatype: str) -> Output:
    """To the declared datatype where that loses no kind: numbers to wider kinds; anything else stays as it is."""
    if BYTES in (datatype, output.datatype) or "BOOL" in (datatype, output.datatype) or (output.datatype.startswith("FP") and "INT" in datatype):
        return output
    if "INT" in datatype and len(output.data):
        low, high = INTEGERS[DTYPES[datatype]]
        if min(output.data) < low or max(output.data) > high:
            return output
    data = output.data.astype(DTYPES[datatype]) if hasattr(output.data, "astype") else [_number(cell, datatype) for cell in output.data]
    return output._replace(datatype=datatype, data=data)


def _number(cell: Any, datatype: str) -> Any:
    return float(cell) if cell is not None and datatype.startswith("FP") else cell


def _packed(output: Output) -> bytes:
    if output.datatype == BYTES:
        cells = [cell if isinstance(cell, bytes) else ("" if cell is None else cell).encode() for cell in output.data]
        return b"".join(LENGTH.pack(len(cell)) + cell for cell in cells)
    if hasattr(output.data, "astype"):
        return bytes(output.data.astype("<" + FORMATS[output.datatype]).tobytes())
    cells = [float("nan") if cell is None else cell for cell in output.data]
    try:
        return struct.pack(f"<{prod(output.shape)}{FORMATS[output.datatype]}", *cells)
    except (struct.error, OverflowError) as fault:
        raise EncodeFault(f"Output {output.name!r} does not fit {output.datatype}: {fault}.") from fault


def _texts(cells: List[Any]) -> Tuple[List[Any], bool]:
    """Cells as JSON can carry them; True when that is base64 throughout, because some are bytes that are no text."""
    try:
        return [cell.decode() if isinstance(cell, bytes) else cell for cell in cells], False
    except UnicodeDecodeError:
        return [base64.b64encode(cell if isinstance(cell, bytes) else (cell or "").encode()).decode() for cell in cells], True
