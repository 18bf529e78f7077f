"""What the driver asks and tells, wherever the ledger is kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Any, Dict, Mapping, Optional, Type, TypeVar

from fairlead_scoring.batch.shards import Outcome

L = TypeVar("L", bound="Ledger")


class Ledger(ABC):
    """One job's, held by one driver until close().

    plan: as make_plan() gave it, in this try or an earlier one; empty when `finished`. finished: the manifest of a committed job, with which nothing is to do.
    """

    plan: Mapping[str, Any]
    finished: Optional[Dict[str, Any]] = None

    @abstractmethod
    def done(self) -> Dict[int, Outcome]:
        """Shards that are published and whole. One that is noted, but whose files are not there any more, is to be done again."""

    @abstractmethod
    def note(self, outcome: Outcome) -> None:
        """The shard is done, and stays so. Raises PlaceFault; Refused when another driver has taken the output over."""

    @abstractmethod
    def commit(self, manifest: Mapping[str, Any]) -> None:
        """The job is done. What only a resume would need is removed."""

    @abstractmethod
    def close(self) -> None:
        """Lets another driver have the output."""

    def __enter__(self: L) -> L:  # noqa: PYI019 - Python 3.8 has no Self
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], fault: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        self.close()
