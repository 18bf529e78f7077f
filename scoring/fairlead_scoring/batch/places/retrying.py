"""A store on the network fails for a moment: what is worth another try, how long to wait, and what to say in the end."""

from __future__ import annotations

import errno
import random
import threading
from dataclasses import dataclass
from typing import Callable, Tuple, TypeVar

from fairlead_scoring.batch.places.faults import PlaceFault, Refused, Vanished
from fairlead_scoring.errors import RuntimeFault

PAUSES = (0.1, 0.5, 1.0, 3.0, 6.0)  # seconds; the libraries try again in between, for single requests
_FINAL = (RuntimeFault, FileNotFoundError, FileExistsError, PermissionError, IsADirectoryError, NotADirectoryError, ImportError, TypeError, ValueError)
_NEVER = (errno.EROFS, errno.ENAMETOOLONG)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

T = TypeVar("T")


@dataclass(frozen=True)
class Persistence:
    """what: the subject of the sentence in the end. secrets: never shown, whatever a library writes into its errors."""

    what: str
    secrets: Tuple[str, ...] = ()

    def act(self, act: Callable[[], T]) -> T:
        """Acts until it works: `act` must do the same when done twice. FileExistsError passes unchanged. Raises PlaceFault, Vanished, Refused."""
        for pause in PAUSES:
            try:
                return act()
            except _FINAL as fault:
                raise self.said(fault) from None
            except Exception:  # noqa: BLE001 - each library of stores has errors of its own for a connection that broke
                threading.Event().wait(pause * random.uniform(0.5, 1.5))  # noqa: S311 - so that callers do not come back in step
        return self.act_once(act)

    def act_once(self, act: Callable[[], T]) -> T:
        """As `act`, where another try would not help."""
        try:
            return act()
        except Exception as fault:  # noqa: BLE001 - as above
            raise self.said(fault) from None

    def said(self, fault: Exception) -> Exception:
        if isinstance(fault, (RuntimeFault, FileExistsError, TypeError)):
            return fault
        if isinstance(fault, (FileNotFoundError, NotADirectoryError)):
            return Vanished(f"{self.what} is not there. See to its name; a bucket or container is made beforehand.")
        if isinstance(fault, PermissionError):
            return Refused(f"{self.what} refuses access ({self.line(fault)}). See to its permissions, or to the credentials that are given for it.")
        if isinstance(fault, OSError) and fault.errno in _FULL:
            return PlaceFault(f"No space is left for {self.what} ({fault.strerror}). Free some, and resume.", cause="disk-full")
        if isinstance(fault, OSError) and fault.errno in _NEVER:
            return Refused(f"{self.what} cannot be written ({fault.strerror}). Give another place, or another name.")
        return PlaceFault(f"{self.what} does not answer as it should: {self.line(fault)}. See to its address, its credentials and the network, and resume.")

    def line(self, fault: Exception) -> str:
        """One line without an end, whatever the library wrote."""
        text = " ".join(f"{type(fault).__name__}: {fault}".split())
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text[:300].rstrip(".: ")
