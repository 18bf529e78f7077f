"""A store on the network fails for a moment: what is worth another try, how long to wait, and what to say in the end."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import TypeVar

from fairlead.errors import FairleadError, StoreUnavailable

_PAUSES = (0.2, 1.0, 3.0)  # seconds; the libraries try again in between, for single requests
_FINAL = (FairleadError, FileNotFoundError, PermissionError, IsADirectoryError, ImportError, TypeError, ValueError)

T = TypeVar("T")


def persist(act: Callable[[], T], what: str) -> T:
    """Acts until it works: `act` must do the same when done twice. `what` is the subject of the sentence in the end.

    FileNotFoundError and Fairlead's own errors pass unchanged. Raises StoreUnavailable.
    """
    for pause in _PAUSES:
        try:
            return act()
        except _FINAL as fault:
            raise _said(fault, what) from fault
        except Exception:  # noqa: BLE001 - each library of stores has errors of its own for a connection that broke
            threading.Event().wait(pause * random.uniform(0.5, 1.5))  # noqa: S311 - so that callers do not come back in step
    return act_once(act, what)


def act_once(act: Callable[[], T], what: str) -> T:
    """As `persist`, where another try would not help."""
    try:
        return act()
    except Exception as fault:
        raise _said(fault, what) from fault


def _said(fault: Exception, what: str) -> Exception:
    if isinstance(fault, (FairleadError, FileNotFoundError)):
        return fault
    if isinstance(fault, PermissionError):
        return StoreUnavailable(f"{what} refuses access ({_line(fault)}). See to the credentials in this machine's environment or configuration.")
    return StoreUnavailable(f"{what} does not answer as it should: {_line(fault)}. See to its address, its credentials and the network, and try again.")


def _line(fault: Exception) -> str:
    """One line without an end, whatever the library wrote."""
    return " ".join(f"{type(fault).__name__}: {fault}".split())[:300].rstrip(".: ")
