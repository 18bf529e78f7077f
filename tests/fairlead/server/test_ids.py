"""Ids sort by the time they were made, also within one transaction."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

from fairlead.server.ids import first_id_at, handle_of, new_id


def test_ids_sort_by_the_time_they_were_made() -> None:
    before = datetime.now(UTC)
    made = [new_id() for _ in range(10_000)]
    assert made == sorted(made)
    assert len({handle_of(each) for each in made}) > 9990
    assert {(uuid.UUID(each).version, uuid.UUID(each).variant) for each in made} == {(7, uuid.RFC_4122)}
    assert first_id_at(before) <= made[0] <= made[-1] < first_id_at(datetime.now(UTC) + timedelta(milliseconds=1))
