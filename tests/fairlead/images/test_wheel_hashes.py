"""Which wheels a lock's hashes are of: uv is asked once, and a failure is not remembered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fairlead.environments.uv_command import Done
from fairlead.images import wheel_hashes
from fairlead.images.kept import Kept
from fairlead.images.wheel_hashes import wheels_that_fit
from fairlead.images.wheels import Libc, WheelTarget

TARGET = WheelTarget(platform="linux/amd64", python="3.11.2", libc=Libc(kind="glibc", version="2.36"))


def test_a_lock_is_asked_for_once(tmp_path: Path, locked: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    lock, kept = locked("orjson", "threadpoolctl"), Kept(tmp_path)
    wheels = wheels_that_fit(lock, TARGET, kept)
    assert wheels.keys() == {"orjson", "threadpoolctl"}
    assert all(sha256 in lock for offered in wheels.values() for _, sha256 in offered)
    monkeypatch.setattr(wheel_hashes, "run_uv", _fails_the_test)
    assert wheels_that_fit(lock, TARGET, kept) == wheels


def test_no_answer_is_not_remembered(tmp_path: Path, locked: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    lock, kept = locked("orjson"), Kept(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(wheel_hashes, "run_uv", lambda *_, **__: Done(code=2, text="", output="index is away"))
        assert wheels_that_fit(lock, TARGET, kept) == {}
    assert wheels_that_fit(lock, TARGET, kept).keys() == {"orjson"}


def _fails_the_test(*_: object, **__: object) -> Done:
    raise AssertionError("uv is asked again")
