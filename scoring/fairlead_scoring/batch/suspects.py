"""Which items killed the process that scored them: what its parent remembers of one shard, and tells the next process to try apart."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

from fairlead_scoring.batch.frames import InHand

OUTSIDE = 5  # a SIGKILL from elsewhere (an operator, the kernel out of memory) may hit good rows: only a row of which this is true five times is bad
IDLE = 3  # deaths outside of run(), while a shard is read or published
IDLE_OUTSIDE = 20

Segment = Tuple[int, int, Optional[str]]


class Suspects:
    """max_try: how often a mini-batch is tried before it is halved."""

    def __init__(self, max_try: int) -> None:
        self._max_try = max(1, max_try)
        self._segments: Dict[int, List[Segment]] = {}
        self._deaths: Dict[InHand, int] = {}
        self._whole: Dict[int, int] = {}  # sizes of mini-batches
        self.idle_deaths = 0
        self.tries = 0

    def begun(self, hand: InHand) -> None:
        """The first that is heard of a mini-batch is all of it."""
        self._whole.setdefault(hand.batch, hand.stop)
        self.idle_deaths = 0

    def died(self, hand: Optional[InHand], how: str, *, from_outside: bool) -> bool:
        """False when there is no use in trying again."""
        self.tries += 1
        if hand is None:
            self.idle_deaths += 1
            return self.idle_deaths < (IDLE_OUTSIDE if from_outside else IDLE)
        self._deaths[hand] = self._deaths.get(hand, 0) + 1
        if self._deaths[hand] >= self._allowed(hand, from_outside):
            self._divide(hand, how)
        return True

    def _allowed(self, hand: InHand, from_outside: bool) -> int:
        if from_outside:
            return max(OUTSIDE, self._max_try)
        is_whole = hand.start == 0 and hand.stop == self._whole[hand.batch]
        return self._max_try if is_whole else 1

    def _divide(self, hand: InHand, how: str) -> None:
        """The segment around what was in hand falls into what was before it, its halves, and what was behind it."""
        segments = self._segments.setdefault(hand.batch, [(0, self._whole[hand.batch], None)])
        place = next(place for place, (start, stop, _) in enumerate(segments) if start <= hand.start and hand.stop <= stop)
        start, stop, _ = segments[place]
        middle = (hand.start + hand.stop) // 2
        inner: List[Segment]
        if hand.stop - hand.start == 1:
            inner = [(hand.start, hand.stop, how)]
        else:
            inner = [(hand.start, middle, None), (middle, hand.stop, None)]
        around: List[Segment] = [(start, hand.start, None), *inner, (hand.stop, stop, None)]
        segments[place : place + 1] = [each for each in around if each[0] < each[1]]

    def to_json(self) -> Dict[str, Any]:
        return {str(index): segments for index, segments in self._segments.items()}
