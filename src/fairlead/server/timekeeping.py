"""Keeps a server's clock by its database's: leases and due times are compared by servers whose machines disagree (DECISIONS 33)."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from fairlead.server import clock
from fairlead.server.db import Database

LOG = logging.getLogger("fairlead.server")
EVERY = 60.0  # seconds
NOTICED = timedelta(seconds=0.1)  # less is left alone: a request to the database takes that long, too
_WORTH_A_WORD = timedelta(seconds=2)
_TRIES = 3


class Timekeeper:
    """For PostgreSQL: looks at its clock at the start and once a minute. A SQLite file has no clock, and no other machine."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._said = timedelta()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="timekeeper", daemon=True)

    def start(self) -> None:
        if not self._database.is_sqlite:
            self.look()
            self._thread.start()

    def stop(self) -> None:
        self._stopping.set()

    def look(self) -> None:
        """A database that does not answer changes nothing."""
        try:
            ahead = self._ahead()
        except SQLAlchemyError as error:
            LOG.warning("the database's clock could not be read: %s", str(error).splitlines()[0])
            return
        clock.follow(ahead if abs(ahead) >= NOTICED else timedelta())
        if abs(ahead - self._said) >= _WORTH_A_WORD:
            seconds = abs(ahead.total_seconds())
            LOG.warning(
                "this machine's clock is %.1f s %s the database's, which counts; set it by NTP", seconds, "behind" if ahead > timedelta() else "ahead of"
            )
            self._said = ahead

    def _ahead(self) -> timedelta:
        """Of several looks the shortest, which can be least wrong."""
        looks: list[tuple[timedelta, timedelta]] = []
        with self._database.reading() as session:
            for _ in range(_TRIES):
                before = clock.of_machine()
                said = session.scalars(select(func.clock_timestamp())).one()
                took = clock.of_machine() - before
                looks.append((took, said - before - took / 2))
        return min(looks)[1]

    def _run(self) -> None:
        while not self._stopping.wait(EVERY):
            self.look()
