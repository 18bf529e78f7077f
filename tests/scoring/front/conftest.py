"""Fixtures of the front's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.scoring.front.wire import Wire


@pytest.fixture
def hold() -> Iterator[Callable[[Wire], Wire]]:
    """`hold(wire(...))`: ended with the test, which must have given back every byte that was counted as held."""
    held: list[Wire] = []

    def keep(one: Wire) -> Wire:
        held.append(one)
        return one

    yield keep
    for one in held:
        one.close()
        assert one.front.buffered == 0
