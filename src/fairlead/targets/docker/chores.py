"""What takes longer than a look may: loading an image, and waiting for a container to end. Each once at a time, in a thread of its own.

Nothing is lost with the process: whoever looks next sees that it is not done, and begins again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from fairlead.errors import BootFailure, FairleadError


class Chores:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[str, str] = {}
        self._failed: dict[str, FairleadError] = {}

    def start(self, key: str, act: Callable[[Callable[[str], None]], None]) -> None:
        """Unless it runs. `act` is given a function that notes how far it is."""
        with self._lock:
            if key in self._running:
                return
            self._running[key] = ""
            self._failed.pop(key, None)
        threading.Thread(target=self._run, args=(key, act), name=f"chore-{key[:40]}", daemon=True).start()

    def progress(self, key: str) -> str | None:
        """None when it does not run."""
        return self._running.get(key)

    def take_failure(self, key: str) -> FairleadError | None:
        """Once."""
        with self._lock:
            return self._failed.pop(key, None)

    def _run(self, key: str, act: Callable[[Callable[[str], None]], None]) -> None:
        failure: FairleadError | None = None
        try:
            act(lambda said: self._running.__setitem__(key, said))
        except FairleadError as error:
            failure = error
        except Exception as error:  # noqa: BLE001 - it becomes the failure of whatever waits for it
            failure = BootFailure(f"{type(error).__name__}: {error}")
        with self._lock:
            if failure is not None:
                self._failed[key] = failure
            del self._running[key]
