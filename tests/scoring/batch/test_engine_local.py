"""Engine `local`, where one of its threads raises what it should not."""

from __future__ import annotations

import errno
import threading
from typing import Any

import pytest
from fairlead_scoring.batch import engine_local, workplace
from fairlead_scoring.batch.engines import Crew, Event, Lost
from fairlead_scoring.batch.job import Order
from fairlead_scoring.batch.shards import Outcome, Shard


class Unclosable:
    def __init__(self, task: Any) -> None:
        pass

    def run(self, shard: Shard, _stop: Any) -> Outcome:
        return Outcome(shard.number)

    def take_interruptions(self) -> list[Event]:
        return []

    def close(self, *, at_once: bool = False) -> None:
        raise PermissionError("the working directory cannot be removed")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_runner_that_cannot_be_closed_does_not_keep_the_driver_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_local, "ShardRunner", Unclosable)
    found: list[Event] = []
    events = engine_local.LocalEngine().run(Crew({}, processes=2), [Shard(0, ()), Shard(1, ())], lambda: False)
    listener = threading.Thread(target=lambda: found.extend(events), daemon=True)
    listener.start()
    listener.join(10)
    assert not listener.is_alive()
    assert len(found) == 2


def test_memory_is_kept_between_mini_batches_unless_the_user_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIMALLOC_PURGE_DELAY", "10")
    monkeypatch.delenv("MALLOC_MMAP_THRESHOLD_", raising=False)
    place = workplace.Workplace("/app", None, None, {}, None)
    found = workplace.environment(place, Order("1", "job", "/bundle", variables={"MALLOC_TRIM_THRESHOLD_": "7"}), {}, {})
    assert found["MIMALLOC_PURGE_DELAY"] == "10"
    assert found["MALLOC_MMAP_THRESHOLD_"] == str(32 << 20)
    assert found["MALLOC_TRIM_THRESHOLD_"] == "7"


def test_a_full_disk_is_said_as_the_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_runner: Any, _shard: Shard, _stop: Any) -> Outcome:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Unclosable, "run", fail)
    monkeypatch.setattr(Unclosable, "close", lambda *_args, **_said: None)
    monkeypatch.setattr(engine_local, "ShardRunner", Unclosable)
    [event] = engine_local.LocalEngine().run(Crew({}, processes=1), [Shard(0, ())], lambda: False)
    assert isinstance(event, Lost)
    assert event.cause == "disk-full"
