"""Which files of a folder run code of their author's choosing when a library loads them. Told by content; nothing is executed.

Standard library only, Python 3.8 and later: the packaging side tells the author, the runtime refuses where its configuration denies such files.

What counts: a pickle that imports something, bare or inside joblib's compression, a zip (torch.save, .npz) or a NumPy object array, and Keras
files with a Lambda layer (marshalled bytecode), and stages of a Spark ML pipeline that name a class of somebody's own, or whose SQL calls Java.
What does not: a pickle of plain values, and programs in a framework's own language, which name
no Python: TorchScript and torch.export archives, ONNX, TensorFlow SavedModel. Those can still use memory, time and the files their operators
reach, so take them from people you trust, or run them in a container.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import re
import zipfile
import zlib
from pathlib import Path
from typing import IO, List, NamedTuple, Optional, Tuple, Union

from fairlead_scoring.pickles import imports_of, looks_pickled

EXAMINED = 64 * 2**20  # bytes of one stream that are looked at; what lies beyond counts as unknown, so as unsafe
ZIP, NPY, HDF5 = b"PK\x03\x04", b"\x93NUMPY", b"\x89HDF\r\n\x1a\n"

_COMPRESSED: Tuple[Tuple[bytes, str], ...] = (
    (b"\x1f\x8b", "gzip"), (b"BZh", "bz2"), (b"\xfd7zXZ\x00", "xz"), (b"\x5d\x00\x00", "lzma"),
    (b"\x78\x01", "zlib"), (b"\x78\x5e", "zlib"), (b"\x78\x9c", "zlib"), (b"\x78\xda", "zlib"),
)  # fmt: skip
_SPARK_ML = (b"org.apache.spark.", b"pyspark.")
_SPARK_CALLS = re.compile(rb"(?i)\b(try_)?reflect\s*\(|\bjava_method\s*\(")  # SQL functions that call any static method
_OPAQUE = {b"\x04\x22\x4d\x18": "lz4", b"\x28\xb5\x2f\xfd": "zstandard"}
_BROKEN = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError, RuntimeError)

_TORCH_DATA = re.compile(
    r"__torch__\.|torch\.jit\._pickle\.|torch\._utils\._rebuild_\w*tensor\w*\Z|torch\._utils\._rebuild_parameter\Z|torch\.(\w+Storage|Size|device|[a-z]+\d+|bool)\Z"
    r"|collections\.OrderedDict\Z|torch\.serialization\._get_layout\Z|torch\.storage\.UntypedStorage\Z|_codecs\.encode\Z"
)


_MLFLOW_LOADERS = frozenset("mlflow." + name for name in ("sklearn", "onnx", "xgboost", "lightgbm", "pytorch", "tensorflow", "keras"))


class Finding(NamedTuple):
    """Why a file is unsafe to load. `names`: what its pickle imports, as far as that can be read without running it."""

    path: str
    reason: str
    names: Tuple[str, ...] = ()


def unsafe_files(folder: Union[str, Path]) -> List[Tuple[str, str]]:
    """(path relative to the folder, reason) of every file that runs code when it is loaded; also takes one file."""
    return [(found.path, found.reason) for found in findings(folder)]


def findings(folder: Union[str, Path]) -> List[Finding]:
    """Like `unsafe_files`, with the names that each pickle imports. Sorted by path; links are followed."""
    top = Path(folder)
    if top.is_file():
        return [found for found in [examine(top)] if found]
    paths = sorted(Path(place, name) for place, _, names in os.walk(str(top), followlinks=True) for name in names)
    found = [(path, examine(path)) for path in paths if path.is_file()]
    return [each._replace(path=path.relative_to(top).as_posix()) for path, each in found if each]


def examine(path: Path) -> Optional[Finding]:
    """What makes this file unsafe to load, or None."""
    with open(str(path), "rb") as file:
        if path.name.startswith("part-") and path.parent.name == "metadata":
            found = _spark_ml(file.read(EXAMINED))
        else:
            found = _mlflow(file.read(EXAMINED)) if path.name == "MLmodel" else _stream(file, depth=0)
    return None if found is None else Finding(path.name, found[0], found[1])


def imported_names(path: Path) -> Tuple[str, ...]:
    """ "module.name" of what a pickle in this file imports, compressed or not; empty for other files."""
    found = examine(path)
    return found.names if found else ()


def plain_bytes(path: Path, size: int = EXAMINED) -> bytes:
    """The first bytes of a file, decompressed when it is a compressed stream."""
    with open(str(path), "rb") as file:
        head = file.read(8)
        file.seek(0)
        for magic, name in _COMPRESSED:
            if head.startswith(magic):
                try:
                    return _inflated(file, name, size)
                except _BROKEN:
                    file.seek(0)
        return file.read(size)


_Told = Optional[Tuple[str, Tuple[str, ...]]]


def _stream(file: IO[bytes], depth: int) -> _Told:
    """The file may be seekable or not; `depth` keeps archives in archives from going on for ever."""
    head = file.read(8)
    if head.startswith(ZIP) and file.seekable():
        return _archive(file, depth)
    if head.startswith(HDF5):
        return _keras(head + file.read(EXAMINED))
    if head.startswith(NPY):
        return _array(head + file.read(EXAMINED))
    for magic, name in _COMPRESSED:
        if head.startswith(magic) and depth < 3 and file.seekable():
            return _compressed(file, name, depth)
    if head[:4] in _OPAQUE:
        return f"it is compressed with {_OPAQUE[head[:4]]}, which cannot be looked into here", ()
    return _pickle(head + file.read(EXAMINED)) if looks_pickled(head) else None


def _mlflow(data: bytes) -> _Told:
    """A loader that is not one of MLflow's own for a plain format is code that the folder brings, or names."""
    for loader in re.findall(rb"loader_module:\s*['\"]?([\w.]+)", data):
        if loader.decode() not in _MLFLOW_LOADERS:
            return f"it names the loader {loader.decode()}, which runs code of the model's author", ()
    return None


def _spark_ml(data: bytes) -> _Told:
    """Spark loads a stage by the class that its metadata names, and SQL can call Java."""
    found = re.match(rb'\{"class":\s*"([\w.$]+)"', data)
    if found is None or b'"sparkVersion"' not in data:
        return None
    if not found[1].startswith(_SPARK_ML):
        return f"it is a stage of a Spark ML pipeline of the class {found[1].decode()}, which is not Spark's own", ()
    return ("it is a stage of a Spark ML pipeline whose SQL calls Java", ()) if _SPARK_CALLS.search(data) else None


def _compressed(file: IO[bytes], name: str, depth: int) -> _Told:
    file.seek(0)
    try:
        plain = _inflated(file, name, EXAMINED)
    except _BROKEN:
        return None  # two bytes that happened to look like a compressed stream
    found = _stream(io.BytesIO(plain), depth + 1)
    return None if found is None else (f"{found[0]} (inside {name} compression)", found[1])


def _inflated(file: IO[bytes], name: str, size: int) -> bytes:
    if name == "zlib":
        return zlib.decompressobj().decompress(file.read(size), size)
    if name == "gzip":
        with gzip.GzipFile(fileobj=file) as inside:
            return inside.read(size)
    if name == "bz2":
        with bz2.BZ2File(file) as unpacked:
            return unpacked.read(size)
    with lzma.LZMAFile(file) as opened:
        return opened.read(size)


def _archive(file: IO[bytes], depth: int) -> _Told:
    try:
        with zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                found = _member(archive, member, depth)
                if found:
                    return f"its member {member.filename!r}: {found[0]}", found[1]
    except _BROKEN:
        return "it looks like a zip archive that cannot be read whole", ()
    return None


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, depth: int) -> _Told:
    with archive.open(member) as file:
        if member.filename.endswith("config.json") and _lambda(file.read(EXAMINED)):
            return _LAMBDA
    with archive.open(member) as file:
        head = file.read(4)
        nested = head == ZIP or any(head.startswith(magic) for magic, _ in _COMPRESSED)
        rest = head + file.read(EXAMINED)
    if nested and depth >= 3:
        return "it is an archive inside archives, too deep to look into", ()
    found = _stream(io.BytesIO(rest), depth + 1)
    torch_data = found is not None and found[1] and all(_TORCH_DATA.match(name) for name in found[1])
    return None if torch_data else found


def _array(data: bytes) -> _Told:
    header = data[: 12 + 65536].split(b"\n", 1)[0]
    if not re.search(rb"'descr':[^\n]*'[|<>=]?O\d*'", header):
        return None
    start = data.index(b"\n") + 1
    return "it is a NumPy array of Python objects, which is a pickle", imports_of(data[start:]) or ()


_LAMBDA: Tuple[str, Tuple[str, ...]] = ("it is a Keras model with a Lambda layer, which is Python bytecode", ())


def _keras(data: bytes) -> _Told:
    return _LAMBDA if _lambda(data) else None


def _lambda(data: bytes) -> bool:
    return re.search(rb'"class_name":\s*"(Lambda|__lambda__)"', data) is not None


def _pickle(data: bytes) -> _Told:
    names = imports_of(data)
    if names is None:
        return None
    shown = ", ".join(sorted({name.split(".")[0] for name in names})[:6])
    return "it is a pickle" + (f" that imports {shown}" if shown else " that imports what cannot be read from it"), names
