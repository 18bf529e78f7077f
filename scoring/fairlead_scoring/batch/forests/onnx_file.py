"""A compiled model's file, cut at its one TreeEnsemble: just enough of protobuf to read the node, and to write what is before and behind it as models.

Field numbers are those of onnx.proto. The file was loaded by ONNX Runtime before; it is not checked again.
"""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from fairlead_scoring.batch.forests.unfit import Unfit

GRAPH = 7  # of a ModelProto
NODE, INITIALIZER, INPUT, OUTPUT = 1, 5, 11, 12  # of a GraphProto
FLOAT, DOUBLE = 1, 11  # of a TensorProto's data_type
DTYPES = {FLOAT: "float32", 2: "uint8", DOUBLE: "float64"}
NEEDED = frozenset(
    [
        "aggregate_function", "leaf_targetids", "leaf_weights", "n_targets", "nodes_falseleafs", "nodes_falsenodeids", "nodes_featureids", "nodes_modes",
        "nodes_splits", "nodes_trueleafs", "nodes_truenodeids", "post_transform", "tree_roots",
    ]
)  # fmt: skip
KNOWN = NEEDED | {"nodes_missing_value_tracks_true"}
_TAG_OF_INTS = 8 << 3

Field = Tuple[int, Any, memoryview]  # number, value: an int or a memoryview, all of it as it was written


class Node(NamedTuple):
    written: memoryview
    operator: str
    inputs: List[str]
    outputs: List[str]
    attributes: Dict[str, memoryview]


class Cut(NamedTuple):
    """before: a model from the rows to `source`, None where the rows are the source. is_rounded: to float32, before the trees. behind: from `sums` on."""

    before: Optional[bytes]
    source: str
    is_rounded: bool
    trees: Dict[str, Any]
    sums: str
    behind: bytes


def cut(content: bytes) -> Cut:
    """Raises Unfit."""
    fields = list(_fields(memoryview(content)))
    graph = list(_fields(next(value for number, value, _ in fields if number == GRAPH)))
    nodes = [_node(value, written) for number, value, written in graph if number == NODE]
    places = [place for place, node in enumerate(nodes) if node.operator == "TreeEnsemble"]
    if len(places) != 1:
        raise Unfit(f"it has {len(places)} nodes TreeEnsemble")
    trees = nodes[places[0]]
    if not NEEDED <= trees.attributes.keys() <= KNOWN:
        raise Unfit("its trees are of a kind that is not known here")
    before, behind = nodes[: places[0]], nodes[places[0] + 1 :]
    others = [written for number, _, written in fields if number != GRAPH]
    constants = {_text(value, 8): written for number, value, written in graph if number == INITIALIZER}
    _refuse_bypass(behind, trees.outputs[0], constants)
    attributes = {name: _attribute(value) for name, value in trees.attributes.items()}
    source, casts = _without_casts(before, trees.inputs[0])
    rows = [written for number, _, written in graph if number == INPUT]
    ends = [written for number, _, written in graph if number == OUTPUT]
    sums = _declared(trees.outputs[0], FLOAT if attributes["leaf_weights"].dtype == "float32" else DOUBLE, attributes["n_targets"])
    return Cut(
        before=_model(others, before[: len(before) - len(casts)], constants, rows, [_bytes(OUTPUT, _bytes(1, source.encode()))])
        if len(before) > len(casts)
        else None,
        source=source,
        is_rounded=FLOAT in casts,
        trees=attributes,
        sums=trees.outputs[0],
        behind=_model(others, behind, constants, [_bytes(INPUT, sums)], ends),
    )


def _refuse_bypass(behind: Sequence[Node], sums: str, constants: Dict[str, memoryview]) -> None:
    known = {sums, "", *constants}
    for node in behind:
        if not known.issuperset(node.inputs):
            raise Unfit("what is behind its trees needs more than their sums")
        known.update(node.outputs)


def _without_casts(before: Sequence[Node], source: str) -> Tuple[str, List[int]]:
    """What the last casts before the trees are given, and the types that they cast to."""
    casts = []
    for node in reversed(before):
        if node.operator != "Cast" or node.outputs != [source]:
            break
        casts.append(_attribute(node.attributes["to"]))
        source = node.inputs[0]
    return source, casts


# Reading


def _fields(buffer: memoryview) -> Iterator[Field]:
    at = 0
    while at < len(buffer):
        start = at
        tag, at = _varint(buffer, at)
        kind = tag & 7
        if kind == 0:
            value: Any
            value, at = _varint(buffer, at)
        else:
            size, at = _varint(buffer, at) if kind == 2 else ({1: 8, 5: 4}[kind], at)
            value, at = buffer[at : at + size], at + size
        yield tag >> 3, value, buffer[start:at]


def _varint(buffer: memoryview, at: int) -> Tuple[int, int]:
    value = shift = 0
    while buffer[at] & 128:
        value |= (buffer[at] & 127) << shift
        shift, at = shift + 7, at + 1
    return value | buffer[at] << shift, at + 1


def _text(buffer: memoryview, wanted: int) -> str:
    return next((bytes(value).decode() for number, value, _ in _fields(buffer) if number == wanted), "")


def _node(buffer: memoryview, written: memoryview) -> Node:
    found: Dict[int, List[Any]] = {1: [], 2: [], 4: [], 5: []}
    for number, value, _ in _fields(buffer):
        found.setdefault(number, []).append(value)
    inputs, outputs, operators = ([bytes(each).decode() for each in found[number]] for number in (1, 2, 4))
    return Node(written, operators[0], inputs, outputs, {_text(each, 1): each for each in found[5]})


def _attribute(buffer: memoryview) -> Any:
    """An int, a tensor or a list of ints, as an array."""
    size, at = _varint(buffer, 1)  # the name comes first
    rest = buffer[at + size :]
    if rest[0] == _TAG_OF_INTS:
        return _ints(rest)
    for number, value, _ in _fields(rest):
        if number == 3:  # i
            return value
        if number == 5:  # t
            return _tensor(value)
    raise Unfit("its trees are written in a way that is not known here")


def _ints(buffer: memoryview) -> Any:
    """Each is a tag and a number, and both are varints; there are too many for a loop."""
    raw = np.frombuffer(buffer, np.uint8)
    ends = np.flatnonzero(raw < 128)
    starts = np.concatenate([[0], ends[:-1] + 1])
    shifts = 7 * (np.arange(len(raw)) - np.repeat(starts, ends - starts + 1))
    numbers = np.add.reduceat((raw & 127).astype(np.int64) << shifts, starts)
    return numbers[1::2][numbers[::2] == _TAG_OF_INTS]


def _tensor(buffer: memoryview) -> Any:
    found = {number: value for number, value, _ in _fields(buffer)}
    if found.get(2) not in DTYPES or 9 not in found:
        raise Unfit("its numbers are written in a way that is not known here")
    return np.frombuffer(found[9], np.dtype(DTYPES[found[2]]).newbyteorder("<"))


# Writing


def _model(others: Sequence[memoryview], nodes: Sequence[Node], constants: Dict[str, memoryview], rows: Sequence[Any], ends: Sequence[Any]) -> bytes:
    used = dict.fromkeys(name for node in nodes for name in node.inputs if name in constants)
    parts = [*(node.written for node in nodes), _bytes(2, b"fairlead"), *(constants[name] for name in used), *rows, *ends]
    return b"".join([*others, _bytes(GRAPH, b"".join(parts))])


def _declared(name: str, kind: int, width: int) -> bytes:
    """A ValueInfoProto: (rows, width) of that type."""
    shape = _bytes(1, b"") + _bytes(1, _number(1, width))
    return _bytes(1, name.encode()) + _bytes(2, _bytes(1, _number(1, kind) + _bytes(2, shape)))


def _bytes(number: int, content: Union[bytes, memoryview]) -> bytes:
    return _varint_of(number << 3 | 2) + _varint_of(len(content)) + bytes(content)


def _number(number: int, value: int) -> bytes:
    return _varint_of(number << 3) + _varint_of(value)


def _varint_of(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
