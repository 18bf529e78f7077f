"""Trying a mini-batch, and finding the items that spoil it: again as often as is allowed, then in halves until they are alone (DECISIONS 41)."""

from __future__ import annotations

from typing import Any, Callable, List, NamedTuple, Optional, Sequence, Tuple

from fairlead_scoring.errors import RuntimeFault

Attempt = Callable[[int, int], Any]
Report = Callable[[BaseException], str]


class Segment(NamedTuple):
    """A run of items of a mini-batch, as an earlier process that died over it has left it: to be tried, or given up for a reason."""

    start: int
    stop: int
    reason: Optional[str] = None


class Tried(NamedTuple):
    done: List[Tuple[int, int, Any]]  # start, stop, what the attempt gave; in order
    given_up: List[Tuple[int, str]]  # item, why; in order
    tries: int  # beyond the first


class TooMany(Exception):
    """More items have failed than the whole job may lose; there is no use in looking at the others. `item`: the last that failed."""

    def __init__(self, reason: str, item: int) -> None:
        super().__init__(reason)
        self.item = item


class Trials:
    """most_failed: None for any number."""

    def __init__(self, attempt: Attempt, report: Report, max_try: int, most_failed: Optional[int] = None) -> None:
        self._attempt = attempt
        self._report = report
        self._max_try = max(1, max_try)
        self._most_failed = most_failed
        self.tried = Tried([], [], 0)
        self._runs = 0
        self._wanted = 0

    def go_through(self, segments: Sequence[Segment]) -> Tried:
        """Raises TooMany."""
        is_whole = len(segments) == 1
        for segment in segments:
            if segment.reason is not None:
                self._give_up(segment.start, segment.reason)
            elif segment.stop > segment.start:
                self._wanted += 1
                self._try(segment.start, segment.stop, self._max_try if is_whole else 1)
        return self.tried._replace(tries=max(0, self._runs - self._wanted))

    def _try(self, start: int, stop: int, times: int) -> None:
        reason = ""
        for _ in range(self._max_try if stop - start == 1 else times):
            self._runs += 1
            try:
                found = self._attempt(start, stop)
            except RuntimeFault:
                raise  # the input as a whole is not what the script takes
            except BaseException as error:  # noqa: BLE001  (what user code raises is data here, asyncio's CancelledError and sys.exit() too)
                reason = self._report(error)
            else:
                self.tried.done.append((start, stop, found))
                return
        if stop - start == 1:
            self._give_up(start, reason)
            return
        middle = (start + stop) // 2
        self._try(start, middle, 1)
        self._try(middle, stop, 1)

    def _give_up(self, item: int, reason: str) -> None:
        self.tried.given_up.append((item, reason))
        if self._most_failed is not None and len(self.tried.given_up) > self._most_failed:
            raise TooMany(reason, item)
