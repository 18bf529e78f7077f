"""Builds of environments on this server's machine: begun by whoever asks, gone on with in the background, told from what lies on the disk."""

from __future__ import annotations

import threading
from pathlib import Path

from fairlead.environments.building import Builder
from fairlead.environments.locking import Lock
from fairlead.errors import EnvironmentFailure
from fairlead.schemas.environments import EnvironmentBuild

AT_ONCE = 2
MOST_OF_LOG = 256 * 1024


class Builds:
    """`builder`: of all environments on this machine; what deploys build lies there too, and other processes may build in it."""

    def __init__(self, folder: Path) -> None:
        self.builder = Builder(folder)
        self._begun: set[str] = set()
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(AT_ONCE)

    def begin(self, lock: Lock) -> EnvironmentBuild:
        """Returns at once. Nothing happens when it is built, or being built."""
        with self._lock:
            if self.state(lock.digest).state not in ("built", "building"):
                self._begun.add(lock.digest)
                threading.Thread(target=self._build, args=(lock,), daemon=True, name=f"build-{lock.digest[:12]}").start()
        return self.state(lock.digest)

    def state(self, digest: str, offset: int = 0) -> EnvironmentBuild:
        """With the log from that byte on. What waits for its turn is said to be building."""
        building = digest in self._begun or self.builder.is_building(digest)
        log, following = self.builder.log_since(digest, offset, MOST_OF_LOG)
        told = EnvironmentBuild(state="building" if building else "absent", digest=digest, log=log, next_offset=following)
        kept, failed = self.builder.kept(digest), self.builder.failure(digest)
        if kept is not None:
            return told.model_copy(update={"state": "built", "size": kept.size})
        if failed is not None and not building:
            return told.model_copy(update={"state": "failed", "message": str(failed), "cause": failed.cause})
        return told

    def _build(self, lock: Lock) -> None:
        try:
            with self._places:
                self.builder.build(lock)
        except EnvironmentFailure:
            pass  # the builder keeps it for whoever asks
        finally:
            self._begun.discard(lock.digest)
