"""Long polls: an answer as soon as there is something new, so that clients see each phase without asking all the time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Literal, TypeVar

from starlette.concurrency import run_in_threadpool

from fairlead.server.context import Context

T = TypeVar("T")
Until = Literal["changed", "settled"]
OTHERS = 0.5  # seconds after which changes made by another server are seen


async def wait_for(parts: Context, read: Callable[[], T], seconds: float, has_come: Callable[[T], bool]) -> T:
    """What `read` answers, once it is as asked for, or when the time is over. Raises what `read` raises."""
    deadline = time.monotonic() + seconds
    with parts.news.expecting() as arrived:
        while True:
            arrived.clear()
            found = await run_in_threadpool(read)
            left = deadline - time.monotonic()
            if left <= 0 or has_come(found) or parts.news.is_over:
                return found
            try:
                await asyncio.wait_for(arrived.wait(), min(OTHERS, left))
            except TimeoutError:
                continue
