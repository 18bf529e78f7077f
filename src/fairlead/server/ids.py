"""Identities: UUIDv7, so that ids sort by the time they were made (RFC 9562, section 5.7), to a quarter of a microsecond (section 6.2, method 3)."""

from __future__ import annotations

import secrets
import time
import uuid
from datetime import datetime


def new_id() -> str:
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    return _id(milliseconds, rest * 4096 // 1_000_000, secrets.randbits(62))


def first_id_at(moment: datetime) -> str:
    """No id that was made at that moment or later is below it: times as bounds of an index over ids."""
    return _id(int(moment.timestamp() * 1000), 0, 0)


def handle_of(service_id: str) -> str:
    """The workload's name on its target (DECISIONS 25): from the random end of the id, not from its clock."""
    return f"fl-{service_id[-8:]}"


def _id(milliseconds: int, fraction: int, random: int) -> str:
    number = (milliseconds & (2**48 - 1)) << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62 | random
    return str(uuid.UUID(int=number))
