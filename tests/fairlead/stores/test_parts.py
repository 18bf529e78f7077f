"""Which bytes an upload has when its parts overlap, repeat or leave gaps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.stores.parts import Part, cover, part_name, read_part


def part(start: int, end: int) -> Part:
    return Part(start, end, f"uploads/u/{part_name(start, end)}")


@pytest.mark.parametrize(
    ("parts", "reach"),
    [
        ([], 0),
        ([(0, 5)], 5),
        ([(1, 5)], 0),
        ([(0, 5), (5, 9)], 9),
        ([(0, 5), (6, 9)], 5),
        ([(0, 5), (0, 8), (5, 7)], 8),
        ([(0, 8), (0, 5), (5, 13)], 13),
        ([(0, 5), (3, 9), (4, 12), (12, 13)], 13),
        ([(0, 0), (0, 1)], 1),
    ],
)
def test_parts_reach_as_far_as_there_is_no_gap(parts: list[tuple[int, int]], reach: int) -> None:
    segments = cover(part(*each) for each in parts)
    assert (segments[-1].end if segments else 0) == reach


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)).filter(lambda each: each[0] < each[1]), max_size=12))
def test_segments_follow_one_another_and_lie_in_their_parts(parts: list[tuple[int, int]]) -> None:
    segments = cover(part(*each) for each in parts)
    at = 0
    for segment in segments:
        assert segment.part.start <= segment.start == at < segment.end <= segment.part.end
        at = segment.end
    known = {byte for start, end in parts for byte in range(start, end)}
    assert at == next(byte for byte in range(30) if byte not in known)


def test_names_of_parts_say_what_they_hold() -> None:
    assert read_part(part(7, 10**12).path) == part(7, 10**12)
    assert [read_part(path) for path in ("uploads/u/", "uploads/u/5", "uploads/u/a-b", "uploads/u/1-2-3")] == [None] * 4
