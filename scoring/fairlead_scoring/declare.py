"""What a scoring script may say about its own `run()`: decorators that only leave a note on the function."""

from __future__ import annotations

from typing import Any, Callable, TypeVar

NOTE = "__fairlead__"

Run = TypeVar("Run", bound=Callable[..., Any])


def typed(run: Run) -> Run:
    """Let the annotations of `run()` declare its inputs: body keys are parameter names, checked before `run()` is entered."""
    return _note(run, typed=True)


def batched(*, max_rows: int = 256, max_wait_ms: float = 0.0) -> Callable[[Run], Run]:
    """Score requests that wait together with one `run()`.

    Needs a declared array, DataFrame or list parameter and as many output rows as input rows; start-up fails otherwise.
    Opting in declares `run()` free of side effects: a failing batch is run again in halves.

    max_rows: rows in one `run()` at most. max_wait_ms: how long a request may wait for company while the service is busy.
    """
    if max_rows < 1:
        raise ValueError(f"batched: max_rows is {max_rows}, it must be at least 1.")
    if max_wait_ms < 0:
        raise ValueError(f"batched: max_wait_ms is {max_wait_ms}, it must not be negative.")
    return lambda run: _note(run, batched={"max_rows": max_rows, "max_wait_ms": float(max_wait_ms)})


def _note(run: Run, **said: Any) -> Run:
    note = dict(getattr(run, NOTE, {}))
    note.update(said)
    setattr(run, NOTE, note)
    return run
