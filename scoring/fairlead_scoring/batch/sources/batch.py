"""What one `run()` gets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, List, Optional, Tuple

from fairlead_scoring.batch.shards import Bad


@dataclass(frozen=True)
class Batch:
    """Either a pyarrow.Table or paths on this machine, which are there until the next one is asked for. index: in its shard, from 0.

    origins: (url, number of a row in its file or None, how many rows follow it), in the order of the rows, or one for each path. bad: items that could
    not be read; they are in `items` as well. urls: of paths, as the order has them. group: values of the partition keys.
    """

    index: int
    table: Any = None
    paths: Optional[List[str]] = None
    urls: List[str] = field(default_factory=list)
    origins: List[Tuple[str, Optional[int], int]] = field(default_factory=list)
    bad: List[Bad] = field(default_factory=list)
    items: int = 0
    group: Tuple[str, ...] = ()

    def origin(self, number: int) -> Tuple[str, Optional[int]]:
        """Where the row or path with that number (from 0, in this batch) comes from."""
        for url, first, count in self.origins:
            if number < count:
                return url, None if first is None else first + number
            number -= count
        raise IndexError(number)
