"""The parts that appends left in an object store, and the bytes that they make together.

Two servers may have taken the same bytes of one upload, cut at different places: parts may overlap. What they hold is decided by the digest in the end.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """Bytes start..end of an upload, in the object at path."""

    start: int
    end: int
    path: str


@dataclass(frozen=True, slots=True)
class Segment:
    """Bytes start..end of an upload, taken from a part."""

    start: int
    end: int
    part: Part


def cover(parts: Iterable[Part]) -> list[Segment]:
    """Segments without a gap from byte 0 as far as the parts reach."""
    segments: list[Segment] = []
    at = 0
    best: Part | None = None
    for part in sorted(parts):
        if part.start > at and best is not None and best.end > at:
            segments.append(Segment(at, best.end, best))
            at = best.end
        if part.start > at:
            return segments
        if best is None or part.end > best.end:
            best = part
    if best is not None and best.end > at:
        segments.append(Segment(at, best.end, best))
    return segments


def part_name(start: int, end: int) -> str:
    """Names in order of their bytes."""
    return f"{start:020d}-{end:020d}"


def read_part(path: str) -> Part | None:
    """What the object's name says; None for an object that is not ours."""
    start, _, end = path.rpartition("/")[2].partition("-")
    return Part(int(start), int(end), path) if start.isdecimal() and end.isdecimal() else None
