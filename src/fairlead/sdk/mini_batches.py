"""How much one `run()` gets, as people write it: 10MB, 10000rows, 5files, or a bare number."""

from __future__ import annotations

from fairlead.errors import UsageError
from fairlead.schemas.jobs import MiniBatch, parse_mini_batch


def mini_batch(said: str | int | None, *, over_files: bool) -> MiniBatch:
    """A bare number: files where those are scored, else bytes, as Azure ML counts. None: the driver's default. Raises UsageError."""
    if said is None:
        return MiniBatch()
    text = str(said).strip()
    try:
        return parse_mini_batch(f"{text}b" if text.isdecimal() and not over_files else text)
    except ValueError as fault:
        raise UsageError(f"{str(fault)[:1].upper()}{str(fault)[1:]}.") from None
