"""Takes over the layers of a base: checked against digest and diff_id, compressed where they are not, looked into once."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from fairlead.errors import DigestMismatch, UsageError
from fairlead.images.base_files import BaseFiles, BasePython
from fairlead.images.documents import GZIP_LAYERS, PLAIN_LAYERS
from fairlead.images.kept import Kept, key_of
from fairlead.images.packing import COMPRESSOR, pack, unpacked
from fairlead.images.streams import IteratorStream
from fairlead.images.types import LAYER, Blobs, Descriptor, Layer, Say

MOST_BYTES = 32 << 30  # of all layers of a base, unpacked
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One layer where it comes from. `digest`: of what `open` gives, None where nobody says."""

    open: Callable[[], BinaryIO]
    media_type: str
    diff_id: str
    digest: str | None = None

    @property
    def is_plain(self) -> bool:
        return self.media_type in PLAIN_LAYERS


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """`libraries`: names such as libgomp.so.1."""

    pythons: tuple[BasePython, ...]
    libraries: frozenset[str]


def take_layers(sources: Sequence[Source], blobs: Blobs, kept: Kept, say: Say) -> tuple[Layer, ...]:
    """Puts each layer among the blobs. Raises DigestMismatch, UsageError for a kind of layer that Docker and registries do not all read."""
    for source in sources:
        if source.media_type not in GZIP_LAYERS | PLAIN_LAYERS:
            raise UsageError(
                f"A layer of the base is {source.media_type}, which cannot be read here. Copy the base with gzip layers first: "
                "skopeo copy --dest-compress-format gzip FROM oci:FOLDER"
            )
    return tuple(_compressed(source, blobs, kept, say) if source.is_plain else _copied(source, blobs) for source in sources)


def look_into(layers: Sequence[Layer], path: Sequence[str], blobs: Blobs, kept: Kept, most: int = MOST_BYTES) -> Seen:
    """The Pythons in these folders, and the system's libraries. Reads every layer to its end, once. Raises DigestMismatch, UsageError."""
    key = key_of({"seen": 2, "layers": [layer.descriptor.digest for layer in layers], "diff_ids": [layer.diff_id for layer in layers], "path": list(path)})
    known = kept.facts("facts", key)
    if known is None:
        files, left = BaseFiles(), most
        for layer in layers:
            with blobs.open(layer.descriptor.digest) as stream:
                reading = _Checked(unpacked(stream), left)
                files.add_layer(reading.read, f"The base's layer sha256:{layer.descriptor.digest}")
                left = reading.finish(layer.diff_id)
        known = {"pythons": [each.to_json() for each in files.pythons(path)], "libraries": files.libraries()}
        kept.remember("facts", key, known)
    return Seen(pythons=tuple(BasePython.from_json(each) for each in known["pythons"]), libraries=frozenset(known["libraries"]))


class _Checked:
    """An uncompressed layer as it is read; at its end it must be the one that the configuration names."""

    def __init__(self, pieces: Iterator[bytes], most: int) -> None:
        self._hasher = hashlib.sha256()
        self._left = most
        self._stream = IteratorStream(self._counted(pieces))

    def read(self, size: int) -> bytes:
        return self._stream.read(size)

    def finish(self, diff_id: str) -> int:
        """How many bytes may still come in the layers above. Raises DigestMismatch."""
        while self._stream.read(_CHUNK):
            pass
        if self._hasher.hexdigest() != diff_id:
            raise DigestMismatch(f"A layer of the base unpacks to sha256:{self._hasher.hexdigest()}, not to its diff_id sha256:{diff_id}. Copy the base again.")
        return self._left

    def _counted(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        try:
            for piece in pieces:
                self._left -= len(piece)
                if self._left < 0:
                    raise UsageError(f"The base unpacks to more than {MOST_BYTES >> 30} GiB; that is no base but a bomb. Take another one.")
                self._hasher.update(piece)
                yield piece
        except (zlib.error, EOFError) as fault:
            raise DigestMismatch(f"A layer of the base is damaged ({fault}). Copy the base again.") from fault


def _copied(source: Source, blobs: Blobs) -> Layer:
    assert source.digest is not None
    if blobs.size(source.digest) is None:
        with source.open() as stream:
            blobs.put(stream, expect=source.digest)
    size = blobs.size(source.digest) or 0
    return _layer(source.digest, size, source.diff_id)


def _compressed(source: Source, blobs: Blobs, kept: Kept, say: Say) -> Layer:
    """The same archive gives the same blob, and is compressed once on a machine."""
    key = key_of({"tar": source.diff_id, "packed": COMPRESSOR})
    known = kept.facts("base-layers", key)
    if known is not None and blobs.size(known["digest"]) is not None:
        return _layer(known["digest"], known["size"], source.diff_id)
    say("Compressing the base")
    with kept.room() as room:
        path = room / "layer"
        with path.open("wb") as out, source.open() as stream:
            packed = pack(_chunks(stream), out)
        if packed.tar_digest != source.diff_id:
            raise DigestMismatch(
                f"A layer of the base is sha256:{packed.tar_digest}, not sha256:{source.diff_id} as its configuration says. Copy the base again."
            )
        _put(blobs, path, packed.digest)
    kept.remember("base-layers", key, {"digest": packed.digest, "size": packed.size})
    return _layer(packed.digest, packed.size, source.diff_id)


def _put(blobs: Blobs, path: Path, digest: str) -> None:
    with path.open("rb") as stream:
        blobs.put(stream, expect=digest)


def _layer(digest: str, size: int, diff_id: str) -> Layer:
    return Layer(descriptor=Descriptor(media_type=LAYER, digest=digest, size=size), diff_id=diff_id, what="base")


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    while chunk := stream.read(_CHUNK):
        yield chunk
