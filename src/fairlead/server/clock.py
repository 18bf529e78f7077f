"""Now, as it is stored: UTC, aware, by the database's clock where servers of several machines share one (`timekeeping`)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_ahead = timedelta()


def now() -> datetime:
    return of_machine() + _ahead


def of_machine() -> datetime:
    return datetime.now(UTC)


def follow(ahead: timedelta) -> None:
    """`ahead`: how much later it is by the clock to be followed than by this machine's."""
    global _ahead  # noqa: PLW0603 - a process serves one database
    _ahead = ahead
