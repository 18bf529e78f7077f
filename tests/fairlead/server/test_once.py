"""Answers kept for idempotency keys are forgotten when nobody will ask again."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from fairlead.server import once
from fairlead.server.clock import now
from fairlead.server.db import Database
from fairlead.server.tables.access import IdempotencyRow
from tests.control_plane import ControlPlane


def test_answers_are_forgotten_after_a_week(control_plane: ControlPlane, database_url: str) -> None:
    for name in ("old", "new"):
        control_plane.request("POST", "/v1/workspaces", json={"name": f"team-{name}"}, headers={"idempotency-key": name})
    database = Database(database_url)
    with database.writing() as session:
        session.scalars(select(IdempotencyRow).where(IdempotencyRow.key == "old")).one().created_at = now() - timedelta(days=7, seconds=1)
    with database.writing() as session:
        assert (once.forget(session), once.forget(session)) == (1, 0)
        assert session.scalars(select(IdempotencyRow.key)).all() == ["new"]
    database.close()
