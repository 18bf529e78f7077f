"""R8, R4b and what else can happen to services of this machine and to the program that looks after them."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from fairlead.errors import BootFailure, UsageError
from fairlead.targets.local import LocalTarget
from fairlead.targets.types import Auth, Observation, Service, State
from tests.fairlead.targets.bench import PLAIN, LocalBench, told_to_stop
from tests.fairlead.targets.contract import next_of, settled
from tests.traffic import Ask, Plan, Traffic
from tests.waiting import until

FAULTS = {
    "init-raised": ("def init():\n    raise ValueError('no such column')\n\ndef run(data): return 1\n", "no such column"),
    "package-missing": ("import no_such_package\ndef init(): pass\ndef run(data): return 1\n", "no_such_package"),
    "script-error": ("raise KeyError('no such name')\ndef init(): pass\ndef run(data): return 1\n", "no such name"),
    "worker-ended": ("import os\ndef init(): os._exit(4)\ndef run(data): return 1\n", "exited with 4"),
    "killed": ("import os\ndef init():\n    print('hungry')\n    os.kill(os.getpid(), 9)\ndef run(data): return 1\n", "SIGKILL"),
    "sample-failed": ("def init(): pass\ndef run(data): return 1 / 0\n", "answered with 500"),
    "answer-differs": ("def init(): pass\ndef run(data): return [{'p': 0.25}, {'p': 0.75}]\n", "row 1, field p is 0.75, recorded 0.5"),
}


@pytest.mark.parametrize("cause", FAULTS)
def test_a_start_that_fails_says_why_with_a_cause_and_its_last_lines(local: LocalBench, cause: str) -> None:
    """R8: as the first start, and as an update whose old revision goes on."""
    script, words = FAULTS[cause]
    proof = {"sample": b'{"data": 1}', "expected": b'[{"p": 0.25}, {"p": 0.5}]'}
    bad = local.service(script, **proof)
    local.target.apply(bad)
    first = settled(local.target, bad.handle)
    assert first.state is State.FAILED
    _explains(first, cause, words)
    good = replace(bad, generation=2, bundle=local.bundle(PLAIN.format(version=1)), expected=None, revision="good")
    local.target.apply(good)
    assert settled(local.target, bad.handle).state is State.RUNNING
    local.target.apply(replace(bad, generation=3))
    later = settled(local.target, bad.handle)
    assert (later.state, later.revision) == (State.RUNNING, "good")
    _explains(later, cause, words)
    assert local.request(good, body={"tag": 3}).json() == {"tag": 3, "version": 1}


def _explains(seen: Observation, cause: str, words: str) -> None:
    assert seen.failure is not None
    assert (seen.failure.cause, seen.failure.stage) == (cause, "proving" if cause in ("sample-failed", "answer-differs") else "starting")
    assert words in seen.failure.message
    if cause == "killed":
        assert seen.failure.log_lines == ("hungry",)
    if cause == "init-raised":
        assert seen.failure.log_lines[0].startswith("Traceback")


def test_a_python_that_is_none_is_named(local: LocalBench) -> None:
    service = local.service(python=Path("/no/such/python"))
    local.target.apply(service)
    failure = settled(local.target, service.handle).failure
    assert failure is not None
    assert (failure.cause, "/no/such/python" in failure.message) == ("interpreter-missing", True)


def test_a_damaged_bundle_is_named(local: LocalBench) -> None:
    service = local.service()
    assert service.bundle is not None
    (service.bundle / "code" / "score.py").chmod(0o644)
    (service.bundle / "code" / "score.py").write_text("def init(): pass\ndef run(data): return 'evil'\n")
    local.target.apply(service)
    failure = settled(local.target, service.handle).failure
    assert failure is not None
    assert (failure.cause, "score.py" in failure.message) == ("bundle-damaged", True)


def test_a_port_that_is_taken_is_a_state_and_the_address_stays(local: LocalBench) -> None:
    service = local.service()
    local.target.apply(service)
    port = int(str(settled(local.target, service.handle).endpoint).rpartition(":")[2])
    told_to_stop(local, service.handle)
    with socket.create_server(("127.0.0.1", port)):
        local.target.apply(service)
        seen = settled(local.target, service.handle)
        assert seen.state is State.FAILED
        assert seen.failure is not None
        assert (seen.failure.cause, str(port) in seen.failure.message) == ("port-taken", True)
    local.target.apply(service)
    assert settled(local.target, service.handle).endpoint == f"http://127.0.0.1:{port}"


def test_a_port_that_nobody_knows_yet_is_chosen_anew(local: LocalBench) -> None:
    service = local.service("def init(): raise ValueError\ndef run(data): return 1\n")
    local.target.apply(service)
    port = int(str(settled(local.target, service.handle).endpoint).rpartition(":")[2])
    with socket.create_server(("127.0.0.1", port)):
        local.target.apply(next_of(service, bundle=local.bundle(PLAIN.format(version=1))))
        seen = settled(local.target, service.handle)
        assert seen.state is State.RUNNING
        assert seen.endpoint != f"http://127.0.0.1:{port}"


def test_a_running_service_does_not_move(local: LocalBench) -> None:
    service = local.service()
    local.target.apply(service)
    before = settled(local.target, service.handle)
    with pytest.raises(UsageError, match=r"cannot move to 127\.0\.0\.1:1 while it does"):
        local.target.apply(next_of(service, port=1))
    assert local.target.observe(service.handle) == before


WRITES = """
import os

def init():
    with open("cache.bin", "wb") as file:
        file.write(b"x" * 3_000_000)

def run(data): return 1
"""
LIMITED = """
import resource, sys
from pathlib import Path
from fairlead.targets.local import LocalTarget
from fairlead.targets.types import Service
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]), int(sys.argv[4])))
LocalTarget(Path(sys.argv[1])).apply(Service(handle="fl-0000000a", workspace="w", name="churn", revision="r1", generation=1,
    bundle=Path(sys.argv[2]), python=Path(sys.executable), secrets={"large": b"x" * int(sys.argv[3])}))
"""


def _apply_with_little_room(local: LocalBench, bundle: Path, *, secret: int, limit: int) -> subprocess.CompletedProcess[str]:
    """In a process whose files, and those of all that it starts, cannot grow beyond the limit: what a full disk looks like to a writer."""
    return subprocess.run([sys.executable, "-c", LIMITED, str(local.state), str(bundle), str(secret), str(limit)], capture_output=True, text=True, timeout=60)


def test_a_full_disk_while_a_model_loads_is_named(local: LocalBench) -> None:
    done = _apply_with_little_room(local, local.bundle(WRITES), secret=1, limit=1_000_000)
    assert done.returncode == 0, done.stderr
    failure = settled(local.target, "fl-0000000a").failure
    assert failure is not None
    assert (failure.cause, "File too large" in failure.message) == ("disk-full", True)


def test_a_full_disk_under_the_working_directory_is_named(local: LocalBench) -> None:
    bundle = local.bundle(PLAIN.format(version=1) + f"\n# {'x' * 300_000}\n")
    done = _apply_with_little_room(local, bundle, secret=1, limit=100_000)
    assert done.returncode == 0, done.stderr
    failure = settled(local.target, "fl-0000000a").failure
    assert failure is not None
    assert (failure.cause, "working directory" in failure.message) == ("disk-full", True)


def test_a_full_disk_under_the_state_folder_leaves_what_was_there(local: LocalBench) -> None:
    service = local.service()
    local.target.apply(service)
    before = settled(local.target, service.handle)
    done = _apply_with_little_room(local, local.bundle(PLAIN.format(version=2)).rename(local.folder / "second"), secret=100_000, limit=50_000)
    assert done.returncode == 0, "generation 1 is there already"
    script = LIMITED.replace("generation=1", "generation=2")
    arguments = [str(local.state), str(service.bundle), "100000", "50000"]
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, timeout=60)
    assert f"{BootFailure.__name__}:" in done.stderr
    assert "cannot be written to (File too large)" in done.stderr
    assert local.target.observe(service.handle) == before
    local.target.apply(next_of(service))
    assert settled(local.target, service.handle).revision == "r2"


def test_a_start_that_fails_for_want_of_a_log_leaves_the_service_free_to_start(local: LocalBench) -> None:
    service = local.service()
    output = local.state / "services" / service.handle / "log" / "output.log"
    output.mkdir(parents=True)
    with pytest.raises(BootFailure, match="cannot be written to"):
        local.target.apply(service)
    output.rmdir()
    assert local.target.observe(service.handle).state is State.FAILED
    local.target.apply(service)
    assert settled(local.target, service.handle).state is State.RUNNING


def test_what_else_lies_among_the_services_is_no_service(local: LocalBench) -> None:
    service = local.service()
    local.target.apply(service)
    settled(local.target, service.handle)
    for stranger in (strangers := [local.state / "services" / name for name in ("lost+found", ".DS_Store")]):
        stranger.touch()
    assert local.target.handles() == [service.handle]
    assert local.target.resume() == []
    other = replace(service, handle="fl-0000000b")
    local.target.apply(other)
    assert settled(local.target, other.handle).state is State.RUNNING
    for stranger in strangers:
        stranger.unlink()


APPLIES = """
import sys, threading
from pathlib import Path
from fairlead.targets.local import LocalTarget
from fairlead.targets.types import Service
LocalTarget(Path(sys.argv[1])).apply(Service(handle="fl-0000000a", workspace="w", name="churn", revision="r1", generation=1,
    bundle=Path(sys.argv[2]), python=Path(sys.executable)))
print("applied", flush=True)
threading.Event().wait()
"""


def test_a_service_outlives_the_program_that_started_it_and_is_adopted(local: LocalBench) -> None:
    """R4b: its whole process group is killed with -9, as a terminal or a cgroup would."""
    server = subprocess.Popen(
        [sys.executable, "-c", APPLIES, str(local.state), str(local.bundle(PLAIN.format(version=1)))],
        stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    with server:
        assert server.stdout is not None
        assert server.stdout.readline() == "applied\n"
        settled(local.target, "fl-0000000a")
        with Traffic(Plan(port=local.port("fl-0000000a"), rate=100, connections=4, seconds=30)) as traffic:
            until(lambda: traffic.answered() > 20, "traffic")
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()
            until(lambda: traffic.answered() > 80, "traffic afterwards")
    assert not traffic.record().failed(), traffic.record().explain()
    heir = LocalTarget(local.state)
    assert heir.handles() == ["fl-0000000a"]
    assert heir.observe("fl-0000000a").state is State.RUNNING
    service = local.service(generation=2, revision="r2")
    heir.apply(service)
    assert settled(heir, service.handle).revision == "r2"


def test_after_a_reboot_what_should_run_is_started_again_with_its_secrets(local: LocalBench) -> None:
    script = "import os\ndef init(): pass\ndef run(data): return open(os.path.join(os.environ['FAIRLEAD_SECRETS_DIR'], 'a')).read()\n"
    wanted = local.service(script, secrets={"a": b"hidden"})
    stopped = replace(wanted, handle="fl-0000000b")
    for service in (wanted, stopped):
        local.target.apply(service)
        settled(local.target, service.handle)
    local.target.stop(stopped.handle)
    settled(local.target, stopped.handle)
    endpoint = local.target.observe(wanted.handle).endpoint
    _pull_the_plug(local)
    heir = LocalTarget(local.state)
    assert heir.observe(wanted.handle).state is State.STOPPED
    assert "nobody ended it" in heir.observe(wanted.handle).message
    assert heir.resume() == [wanted.handle]
    assert settled(heir, wanted.handle).endpoint == endpoint
    assert local.request(wanted, body=1).json() == "hidden"
    assert heir.observe(stopped.handle).state is State.STOPPED
    assert heir.resume() == []


def test_killed_while_it_starts(local: LocalBench) -> None:
    service = local.service("import time\ndef init(): time.sleep(60)\ndef run(data): return 1\n")
    local.target.apply(service)
    until(lambda: len(local.processes()) >= 3, "supervisor, front and worker")
    assert local.target.observe(service.handle).state is State.STARTING
    _pull_the_plug(local)
    seen = local.target.observe(service.handle)
    assert seen.state is State.FAILED
    assert seen.failure is not None
    assert seen.failure.cause == "killed"


def test_stopping_removes_the_secrets_after_the_last_answer(local: LocalBench) -> None:
    script = "import os, time\ndef init(): pass\ndef run(data):\n    time.sleep(1)\n    return open(os.environ['FAIRLEAD_SECRETS_DIR'] + '/a').read()\n"
    keys = Auth(mode="key", key_hashes={"primary": hashlib.sha256(b"k").hexdigest()})
    service = local.service(script, secrets={"a": b"hidden"}, auth=keys)
    local.target.apply(service)
    settled(local.target, service.handle)
    (secret,) = local.state.rglob("secrets/a")
    assert (secret.stat().st_mode & 0o777, secret.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    bearer = {"authorization": "Bearer k"}

    def ask(tag: int) -> Ask:
        return Ask(tag=tag, body=b"1", headers=tuple(bearer.items()))

    with Traffic(Plan(port=local.port(service.handle), connections=1, requests=1, ask=ask)) as traffic:
        until(lambda: local.request(service, "/status", headers=bearer).json()["queue"]["in_flight"] == 1, "the request to run")
        local.target.stop(service.handle)
        record = traffic.wait()
    assert not record.failed(), record.explain()
    until(lambda: not local.processes(), "the end")
    assert not list(local.state.rglob("secrets/*"))
    assert not list(local.state.rglob("keys.json")), "of tokens, it has the secret"
    assert local.target.handles() == []


def test_neither_tokens_nor_paths_of_whoever_starts_it_reach_a_service(local: LocalBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRLEAD_TOKEN", "secret")
    monkeypatch.setenv("FAIRLEAD_MASTER_KEY", "secret")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    service = local.service("import os\ndef init(): pass\ndef run(data): return dict(os.environ)\n", environment={"MODE": "fast"})
    local.target.apply(service)
    settled(local.target, service.handle)
    seen = local.request(service, body={}).json()
    assert seen["MODE"] == "fast"
    assert not {"FAIRLEAD_TOKEN", "FAIRLEAD_MASTER_KEY", "PYTHONPATH"} & seen.keys()


def test_a_state_folder_with_a_long_path(local: LocalBench, tmp_path: Path) -> None:
    """A Unix socket's path has about 100 bytes; two programs that look at the same folder agree on the place."""
    local.state = tmp_path / ("long" * 20) / ("folder" * 10)
    local.target = LocalTarget(local.state)
    service = local.service()
    local.target.apply(service)
    assert settled(LocalTarget(local.state), service.handle).state is State.RUNNING


def test_no_zombie_stays(local: LocalBench) -> None:
    before = _zombies()  # of other tests, whose targets are gone
    service = local.service()
    local.target.apply(service)
    settled(local.target, service.handle)
    told_to_stop(local, service.handle)

    def is_reaped() -> bool:
        local.target.observe(service.handle)
        return _zombies() <= before

    until(is_reaped, "it to be reaped")


def _zombies() -> set[psutil.Process]:
    return {child for child in psutil.Process().children() if child.status() == psutil.STATUS_ZOMBIE}


@pytest.mark.parametrize("handle", ["", "../up", "a/b", "A", "x" * 41, "fl.1"])
def test_a_handle_that_is_a_path_is_refused(local: LocalBench, handle: str) -> None:
    with pytest.raises(UsageError, match="no handle"):
        local.target.observe(handle)


BAD = [
    ({"workers": 0}, "at least one worker"),
    ({"secrets": {"../up": b""}}, "no name of a secret"),
    ({"environment": {"A=B": "c"}}, "no environment variable"),
]


@pytest.mark.parametrize(("change", "words"), BAD)
def test_what_can_never_run_is_refused_and_writes_nothing(local: LocalBench, change: dict[str, Any], words: str) -> None:
    service: Service = local.service(**change)
    with pytest.raises(UsageError, match=words):
        local.target.apply(service)
    assert not local.state.exists()


def _pull_the_plug(local: LocalBench) -> None:
    """Everything of it ends at the same moment, without a word."""
    left = local.processes()
    for process in left:
        process.suspend()  # else the front brings the supervisor back
    for process in left:
        process.kill()
    until(lambda: not local.processes(), "all to be gone")
