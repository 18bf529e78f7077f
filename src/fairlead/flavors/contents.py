"""Telling a model format by the file's content. Nothing is executed; large files are not read whole."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

HEAD = 1 << 16
HDF5 = b"\x89HDF\r\n\x1a\n"
_MODEL_PROTO = frozenset([1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26])  # field numbers of onnx.ModelProto
_GRAPH, _OPSETS = 7, 8


def head(path: Path, size: int = HEAD) -> bytes:
    """The first bytes; empty for a folder."""
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        return file.read(size)


def members(path: Path) -> tuple[str, ...]:
    """The names inside a zip archive; empty when it is none."""
    if not head(path, 4).startswith(b"PK\x03\x04"):
        return ()
    try:
        with zipfile.ZipFile(path) as archive:
            return tuple(archive.namelist())
    except zipfile.BadZipFile:
        return ()


def member(path: Path, ending: str) -> bytes:
    """The content of the archive's first member whose name ends so; empty when there is none."""
    found = [name for name in members(path) if name.endswith(ending)]
    if not found:
        return b""
    with zipfile.ZipFile(path) as archive:
        return archive.read(found[0])


def json_object(path: Path) -> dict[str, object]:
    """The file as a JSON object; empty when it is none."""
    if not head(path, 64).lstrip().startswith(b"{"):
        return {}
    try:
        said = json.loads(path.read_bytes())
    except (ValueError, UnicodeDecodeError):
        return {}
    return said if isinstance(said, dict) else {}


def is_onnx(path: Path) -> bool:
    """The top level walks as a protobuf ModelProto with a graph and operator sets."""
    if not path.is_file():
        return False
    try:
        fields = list(_fields(path))
    except ValueError:
        return False
    return {_GRAPH, _OPSETS} <= set(fields) <= _MODEL_PROTO


def _fields(path: Path) -> Iterator[int]:
    """Field numbers at the top level of a protobuf file, each value stepped over. Raises ValueError when it is none."""
    size = path.stat().st_size
    with path.open("rb") as file:
        while file.tell() < size:
            tag = _varint(file.read)
            number, kind = tag >> 3, tag & 7
            if kind not in (0, 1, 2, 5) or number not in _MODEL_PROTO:
                raise ValueError("not a ModelProto")
            if kind == 0:
                _varint(file.read)
            else:
                file.seek({1: 8, 5: 4}.get(kind) or _varint(file.read), 1)
            if file.tell() > size:
                raise ValueError("a length points past the end")
            yield number


def _varint(read: Callable[[int], bytes]) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = read(1)
        if not byte:
            raise ValueError("ends inside a number")
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise ValueError("a number of more than ten bytes")
