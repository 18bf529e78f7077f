"""`range: bytes=…` (RFC 9110, section 14): one range; what is no range, or several, is answered with everything, as the RFC allows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from starlette.responses import Response, StreamingResponse

from fairlead.errors import NotSatisfiable

_CHUNK = 256 * 1024
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Range:
    """Bytes start..end, end excluded."""

    start: int
    end: int
    is_part: bool


def read_range(header: str | None, size: int) -> Range:
    """Raises NotSatisfiable when not one byte of it exists."""
    found = _RANGE.fullmatch((header or "").replace(" ", ""))
    if found is None or not (found[1] or found[2]):
        return Range(0, size, is_part=False)
    if not found[1]:
        start, end = max(0, size - int(found[2])), size
    else:
        start, end = int(found[1]), min(size, int(found[2]) + 1 if found[2] else size)
    if found[1] and found[2] and int(found[2]) < start:
        return Range(0, size, is_part=False)
    if start >= size or end <= start:
        raise NotSatisfiable(f"The range {header} lies outside of the {size} bytes that there are.", size=size)
    return Range(start, end, is_part=True)


def answer_bytes(begin: Callable[[int], BinaryIO], size: int, asked: str | None, headers: Mapping[str, str] | None = None) -> Response:
    """All of it, or the part that `asked`, the header, names. `begin`: opens the content at a byte. Raises NotSatisfiable, and what `begin` raises."""
    part = read_range(asked, size)
    told = {**(headers or {}), "accept-ranges": "bytes", "content-length": str(part.end - part.start)}
    if part.is_part:
        told["content-range"] = f"bytes {part.start}-{part.end - 1}/{size}"
    stream = begin(part.start)  # before the answer begins: what is missing is a problem, not a cut body
    return StreamingResponse(_pieces(stream, part), 206 if part.is_part else 200, told, "application/octet-stream")


def _pieces(stream: BinaryIO, part: Range) -> Iterator[bytes]:
    left = part.end - part.start
    with stream:
        while left and (piece := stream.read(min(left, _CHUNK))):
            yield piece
            left -= len(piece)
