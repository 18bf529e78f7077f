"""Joins packed parts into a layer."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fairlead.images.kept import Kept
from fairlead.images.packing import pack
from fairlead.images.streams import IteratorStream
from fairlead.images.tar_writing import END
from fairlead.images.types import Blobs

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """A layer among the blobs. `parts`: keys of what it is joined of."""

    digest: str
    size: int
    diff_id: str
    parts: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {"digest": self.digest, "size": self.size, "diff_id": self.diff_id, "parts": list(self.parts)}

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Joined:
        return cls(digest=said["digest"], size=said["size"], diff_id=said["diff_id"], parts=tuple(said["parts"]))


def join(parts: Sequence[str], diff_id: str, blobs: Blobs, kept: Kept) -> Joined:
    """Puts the layer among the blobs. `diff_id`: of the parts' archives one after the other, and END. Raises FileNotFoundError when a part is gone."""
    put = blobs.put(IteratorStream(_bytes_of(parts, kept)))  # type: ignore[arg-type]
    return Joined(digest=put.digest, size=put.size, diff_id=diff_id, parts=tuple(parts))


def _bytes_of(parts: Iterable[str], kept: Kept) -> Iterator[bytes]:
    for key in parts:
        with kept.open_part(key) as part:
            while chunk := part.read(_CHUNK):
                yield chunk
    end = io.BytesIO()
    pack([END], end)
    yield end.getvalue()
