"""The two ways in which a driver ends before its job is done."""

from __future__ import annotations

from typing import Optional

from fairlead_scoring.batch.progress import Failure


class JobEnded(Exception):
    """The job is over: failed, or canceled."""

    def __init__(self, state: str, message: str, failure: Optional[Failure] = None) -> None:
        super().__init__(message)
        self.state = state
        self.failure = failure


class Stopped(Exception):
    """This driver is to end, and not the job."""
