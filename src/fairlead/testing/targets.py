"""A target without processes, for tests of what uses one: it passes the same contract suite as the real ones."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace

from fairlead.errors import UsageError
from fairlead.targets.types import LAST_LINES, Failure, Follow, Observation, Service, State


class FakeTarget:
    """A service starts at its first observation after `apply`, or when `settle` is called if `is_patient`.

    One without an image whose bundle is no folder fails as a real one does; `fail` makes the next start of a handle fail in another way.
    """

    def __init__(self, *, is_patient: bool = False) -> None:
        self.is_patient = is_patient
        self.applied: list[Service] = []  # every call, in order
        self._lock = threading.RLock()
        self._seen: dict[str, Observation] = {}
        self._waiting: dict[str, Service] = {}
        self._last: dict[str, Service] = {}
        self._failures: dict[str, Failure] = {}
        self._lines: dict[str, list[str]] = {}

    def apply(self, workload: Service) -> None:
        if workload.auth.mode == "none" and workload.host not in ("127.0.0.1", "::1", "localhost"):
            raise UsageError(f"{workload.name} would be open to everyone who can reach {workload.host}: ask for keys or tokens, or bind it to 127.0.0.1.")
        with self._lock:
            self.applied.append(workload)
            last, seen = self._last.get(workload.handle), self._seen.get(workload.handle, Observation(state=State.ABSENT))
            runs = seen.state not in (State.ABSENT, State.STOPPED, State.FAILED)
            if last is not None and (last.generation > workload.generation or (runs and last.generation == workload.generation)):
                return
            self._last[workload.handle] = self._waiting[workload.handle] = workload
            state = State.UPDATING if seen.revision else State.STARTING
            endpoint = seen.endpoint or f"http://127.0.0.1:{workload.port or 20_000 + len(self._seen)}"
            wanted = workload.workers * workload.replicas
            self._seen[workload.handle] = replace(seen, state=state, endpoint=endpoint, failure=None, message="", workers_wanted=wanted)

    def observe(self, handle: str) -> Observation:
        if not self.is_patient:
            self.settle(handle)
        return self._seen.get(handle, Observation(state=State.ABSENT))

    def logs(self, handle: str, *, tail: int = 200, revision: str | None = None, request_id: str | None = None, follow: Follow = False) -> Iterator[str]:
        del follow  # nothing is added while nobody calls
        records = [(line, json.loads(line)) for line in self._lines.get(handle, [])]
        fitting = [line for line, said in records if revision in (None, said.get("revision")) and request_id in (None, said.get("request_id"))]
        return iter(fitting[max(0, len(fitting) - tail) :])

    def stop(self, handle: str) -> None:
        with self._lock:
            seen = self._seen.get(handle)
            if seen is not None:
                self._waiting.pop(handle, None)
                stopped = replace(seen, state=State.STOPPED, revision=None, workers_ready=0, workers_wanted=0, failure=None, message="")
                self._seen[handle] = stopped

    # What a test does to it.
    def fail(self, handle: str, failure: Failure) -> None:
        """The next start or update of this handle."""
        self._failures[handle] = failure

    def settle(self, handle: str) -> None:
        """Bring what was applied to its end."""
        with self._lock:
            workload = self._waiting.pop(handle, None)
            if workload is None:
                return
            failure = self._failures.pop(handle, None) or _fault_of(workload)
            if failure is None:
                self._serve(workload)
            else:
                self._refuse(workload, failure)

    def kill(self, handle: str) -> None:
        """As when the machine is switched off."""
        with self._lock:
            if handle in self._seen:
                message = "It has served and nobody ended it: it was killed, or the machine was restarted."
                self._seen[handle] = replace(self._seen[handle], state=State.STOPPED, revision=None, workers_ready=0, message=message)

    def say(self, handle: str, message: str, **fields: str) -> None:
        """A line in its log."""
        self._lines.setdefault(handle, []).append(json.dumps({"level": "info", "source": "print", "message": message, **fields}))

    def _serve(self, workload: Service) -> None:
        seen = self._seen[workload.handle]
        ready = workload.workers * workload.replicas
        self._seen[workload.handle] = replace(
            seen, state=State.RUNNING, revision=workload.revision, generation=workload.generation, workers_ready=ready, workers_wanted=ready
        )
        self.say(workload.handle, f"Revision {workload.revision} serves.", revision=workload.revision)

    def _refuse(self, workload: Service, failure: Failure) -> None:
        seen = self._seen[workload.handle]
        failure = replace(failure, log_lines=failure.log_lines[-LAST_LINES:])
        state = State.RUNNING if seen.revision else State.FAILED
        message = f"Revision {seen.revision} goes on serving; the update failed: {failure.message}" if seen.revision else failure.message
        self._seen[workload.handle] = replace(seen, state=state, generation=workload.generation, failure=failure, message=message)
        self.say(workload.handle, failure.message, cause=failure.cause)


def _fault_of(workload: Service) -> Failure | None:
    if workload.image is not None or (workload.bundle is not None and workload.bundle.is_dir()):
        return None
    return Failure(stage="starting", cause="bundle-damaged", message=f"{workload.bundle} is not a bundle: bundle.json cannot be read.")
