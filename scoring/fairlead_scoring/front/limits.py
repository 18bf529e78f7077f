"""What the front accepts, waits for and holds, with its defaults (ADR 4)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Sizes in bytes, times in seconds."""

    body: int = 100 * 1024 * 1024
    headers: int = 64 * 1024
    header_count: int = 200
    header_time: float = 10.0
    body_rate: int = 1024  # per second, looked at after header_time
    keep_alive: float = 75.0
    write_stall: float = 60.0
    linger: float = 10.0  # for the rest of a request that was refused before all of it was here
    connections: int = 10_000
    pipelined: int = 16
    buffered: int = 512 * 1024 * 1024  # bodies of all requests together
    expansion: int = 100  # of a gzip body, times its size
    waiting: int = 64  # per worker
    wait: float = 10.0
    deadline: float = 60.0
    chunk_wait: float = 60.0  # between the chunks of a streamed answer
