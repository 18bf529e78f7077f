"""How many items of a job may fail."""

from __future__ import annotations

from typing import Optional

from fairlead_scoring.batch.job import Limits


def most_failed(limits: Limits) -> Optional[int]:
    """None: any number, or only a part of all. An error_threshold of 0 is what nobody has said, where one of the others is said."""
    says_more = limits.allowed_failed_count is not None or limits.allowed_failed_percent is not None
    said = [limits.allowed_failed_count]
    if limits.error_threshold > 0 or (limits.error_threshold == 0 and not says_more):
        said.append(limits.error_threshold)
    known = [each for each in said if each is not None and each >= 0]
    return min(known) if known else None


def exceeded(limits: Limits, failed: int, items: Optional[int], unit: str) -> Optional[str]:
    """A sentence once too many have failed. items: all of the job's, None while nobody knows how many there are."""
    most = most_failed(limits)
    if most is not None and failed > most:
        return f"{_counted(failed, unit)} failed, and {most or 'none'} may."
    percent = limits.allowed_failed_percent
    if percent is not None and items and failed > items * percent / 100:
        return f"{failed} of {_counted(items, unit)} failed ({failed / items:.2%}), and {percent:g} % may."
    return None


def _counted(number: int, unit: str) -> str:
    return f"{number} {unit[:-1] if number == 1 else unit}"
