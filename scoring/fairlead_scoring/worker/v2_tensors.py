"""Tensors of the Open Inference Protocol v2 as they come: JSON data flat or nested, or raw bytes after the JSON head.

Contract: KServe's open inference protocol (REST), and Triton's binary tensor data extension.
"""

from __future__ import annotations

import struct
from itertools import chain
from math import isfinite, prod
from typing import Any, Dict, Iterator, List, NamedTuple, NoReturn, Tuple, Union

from fairlead_scoring.schema.check import shorten
from fairlead_scoring.schema.open_inference import BYTES, DTYPES
from fairlead_scoring.schema.scalars import FLOATS, INTEGERS, Scalar
from fairlead_scoring.worker.arguments import optional
from fairlead_scoring.worker.exchange import BadInput

FORMATS = {  # of struct and, with a "<" before it, of numpy
    "BOOL": "?", "UINT8": "B", "UINT16": "H", "UINT32": "I", "UINT64": "Q", "INT8": "b", "INT16": "h", "INT32": "i", "INT64": "q",
    "FP16": "e", "FP32": "f", "FP64": "d",
}  # fmt: skip
SIZES = {datatype: struct.calcsize("<" + code) for datatype, code in FORMATS.items()}
MOST_DIMENSIONS = 32  # of a numpy array before 2.0
LENGTH = struct.Struct("<I")
CLAIMED = {datatype: Scalar(dtype, nullable=True) for datatype, dtype in (*DTYPES.items(), (BYTES, "str"))}
CONTENT_TYPES = (None, "", "np", "pd", "str", "datetime")  # of MLServer; these say nothing that the declaration does not


class Received(NamedTuple):
    """data: row-major; a list, or a numpy array of one dimension when it came as bytes."""

    name: str
    shape: Tuple[int, ...]
    data: Any


def received(said: Any, raw: Raw) -> Received:
    """One entry of `inputs`. Takes its bytes from `raw`. Raises BadInput."""
    name, shape, datatype = _head(said)
    parameters = parameters_of(said, f"input {name!r}")
    if parameters.get("content_type") not in CONTENT_TYPES:
        _refuse(name, "content_type {} is not read here; leave it out".format(shorten(parameters["content_type"])))
    if "shared_memory_region" in parameters:
        _refuse(name, "shared memory is not available here; send the data")
    size = parameters.get("binary_data_size")
    if size is None:
        return Received(name, shape, _from_json(name, shape, datatype, said))
    if "data" in said:
        _refuse(name, "has both data and binary_data_size; send one of them")
    return Received(name, shape, _from_bytes(name, shape, datatype, raw.take(name, size)))


class Raw:
    """The bytes after the JSON head, taken in the order of the inputs."""

    def __init__(self, body: Union[bytes, memoryview]) -> None:
        self._body = memoryview(body)
        self._at = 0

    def take(self, name: str, size: Any) -> memoryview:
        if type(size) is not int or size < 0:
            _refuse(name, f"binary_data_size {shorten(size)} is no number of bytes")
        if size > len(self._body) - self._at:
            _refuse(name, f"binary_data_size is {size}, but {len(self._body) - self._at} bytes are left after the JSON head")
        self._at += size
        return self._body[self._at - size : self._at]

    def finish(self) -> None:
        if self._at < len(self._body):
            raise BadInput(f"{len(self._body) - self._at} bytes follow that no input's binary_data_size speaks of.")


def parameters_of(said: Dict[str, Any], where: str) -> Dict[str, Any]:
    parameters = said.get("parameters")
    if parameters is None:
        return {}
    if type(parameters) is not dict:
        raise BadInput(f"{where}: parameters must be an object, got {shorten(parameters)}.")
    return parameters


def fits(cell: Scalar, data: Any) -> bool:
    """True when every value certainly fits; False asks for a closer look."""
    if isinstance(data, list):
        return cell.admits(data)
    if cell.chosen is not None or not data.size:
        return False
    kind = data.dtype.kind
    if cell.dtype in FLOATS and kind in "iuf":
        return _in_range(cell, data, FLOATS[cell.dtype])
    if cell.dtype in INTEGERS and kind in "iu":
        return _in_range(cell, data, float("inf"))
    return bool(cell.dtype == "bool" and kind == "b")


def shape_fits(declared: Any, shape: Tuple[int, ...]) -> bool:
    if declared is None:
        return True
    return len(declared) == len(shape) and all(size == want if want >= 0 else size > 0 for want, size in zip(declared, shape))


def _head(said: Any) -> Tuple[str, Tuple[int, ...], str]:
    if type(said) is not dict:
        raise BadInput(f"inputs: each must be an object, got {shorten(said)}.")
    name, shape, datatype = said.get("name"), said.get("shape"), said.get("datatype")
    if type(name) is not str:
        raise BadInput(f"inputs: each needs a name, got {shorten(said)}.")
    if type(shape) is not list or any(type(size) is not int or size < 1 for size in shape) or len(shape) > MOST_DIMENSIONS:
        _refuse(name, f"shape must be a list of sizes from 1 up, got {shorten(shape)}")
    if datatype == "BF16":
        _refuse(name, "datatype BF16 is not supported; send FP32, which holds every BF16 value")
    if datatype not in CLAIMED:
        _refuse(name, "datatype {} is unknown; send one of {}".format(shorten(datatype), ", ".join(CLAIMED)))
    return name, tuple(shape), datatype


def _from_json(name: str, shape: Tuple[int, ...], datatype: str, said: Dict[str, Any]) -> List[Any]:
    data = said.get("data")
    if type(data) is not list:
        _refuse(name, f"needs data, a list of values, got {shorten(data)}")
    if data and type(data[0]) is list:
        data = _flattened(name, shape, data)
    if len(data) != prod(shape):
        _refuse(name, f"shape {list(shape)} holds {prod(shape)} values, data has {len(data)}")
    cell = CLAIMED[datatype]
    if not cell.admits(data):
        for place, value in enumerate(data):
            expected = cell.refusal(value)
            if expected is not None:
                _refuse(name, "element {} is {}, {} holds {}".format(place, shorten(value), datatype, expected.replace(" or null", "")))
    return data


def _flattened(name: str, shape: Tuple[int, ...], data: List[Any]) -> List[Any]:
    level = [data]
    for size in shape:
        if any(type(part) is not list or len(part) != size for part in level):
            _refuse(name, f"the nested lists of data do not have shape {list(shape)}")
        level = list(chain.from_iterable(level))
    return level


def _from_bytes(name: str, shape: Tuple[int, ...], datatype: str, raw: memoryview) -> Any:
    count = prod(shape)
    if datatype == BYTES:
        found = list(_elements(name, raw))
        if len(found) != count:
            _refuse(name, f"shape {list(shape)} holds {count} elements, {len(found)} came")
        return found
    if len(raw) != count * SIZES[datatype]:
        _refuse(name, f"{datatype} of shape {list(shape)} takes {count * SIZES[datatype]} bytes, binary_data_size is {len(raw)}")
    if datatype == "BOOL" and bytes(raw).strip(b"\x00\x01"):
        _refuse(name, "each byte of a BOOL is 0 or 1")
    numpy = optional("numpy")
    if numpy is None:
        return list(struct.unpack(f"<{count}{FORMATS[datatype]}", raw))
    return numpy.frombuffer(raw, dtype="<" + FORMATS[datatype]).astype(DTYPES[datatype])  # a copy: the frame's memory is not the script's


def _elements(name: str, raw: memoryview) -> Iterator[str]:
    at = 0
    while at < len(raw):
        end = at + LENGTH.size + (LENGTH.unpack_from(raw, at)[0] if len(raw) - at >= LENGTH.size else len(raw))
        if end > len(raw):
            _refuse(name, f"the element at byte {at} ends after the data; each element is a 4-byte length and its bytes")
        try:
            yield str(raw[at + LENGTH.size : end], "utf-8")
        except UnicodeDecodeError:
            _refuse(name, f"the element at byte {at} is not UTF-8")
        at = end


def _in_range(cell: Scalar, data: Any, widest: float) -> bool:
    low, high = data.min().item(), data.max().item()
    if not (isfinite(low) and isfinite(high)):  # NaN or Infinity among them: no limit can be compared with that
        return bool(cell.nullable and cell.low is None and cell.high is None and data.dtype == cell.dtype)
    if cell.low is not None and low < cell.low:
        return False
    return (cell.high is None or bool(high <= cell.high)) and max(abs(low), abs(high)) <= widest


def _refuse(name: str, what: str) -> NoReturn:
    raise BadInput(f"input {name[:80]!r}: {what}.")
