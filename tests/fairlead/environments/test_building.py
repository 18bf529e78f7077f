"""Real environments, built by the real uv: once per digest, whoever asks and whatever is killed."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from fairlead.environments import python_versions
from fairlead.environments.building import Builder
from fairlead.environments.checking import check
from fairlead.environments.locking import Lock, lock, locked
from fairlead.environments.pythons import find_python
from fairlead.environments.spec import EnvironmentSpec
from fairlead.errors import EnvironmentFailure
from tests.fairlead.conftest import Wheel
from tests.waiting import until

BUILD = textwrap.dedent("""
    import sys
    from pathlib import Path
    from fairlead.environments.building import Builder
    from fairlead.environments.locking import locked
    def say(line):
        print(line, flush=True)
        if line.startswith(sys.argv[4]):
            print("HELD", flush=True)
            sys.stdin.readline()
    built = Builder(Path(sys.argv[1])).build(locked(Path(sys.argv[2]).read_text(), sys.argv[3]), say)
    print("made" if built.made else "found", flush=True)
""")


@pytest.fixture
def alpha(wheel: Wheel) -> Lock:
    wheel("alpha", "1.0", requires=("beta",))
    wheel("beta", "2.0")
    return lock(EnvironmentSpec(requirements=("alpha",)))


@pytest.fixture
def builder(tmp_path: Path) -> Builder:
    return Builder(tmp_path / "environments")


def test_builds_once_and_holds_what_was_locked(alpha: Lock, builder: Builder) -> None:
    said: list[str] = []
    first = builder.build(alpha, said.append)
    again = builder.build(alpha, said.append)
    assert (first.made, again.made, first.python) == (True, False, again.python)
    assert not check(first.python, alpha.requirements)
    answer = subprocess.run([str(first.python), "-c", "import alpha; print(alpha.version)"], capture_output=True, text=True, check=True)
    assert answer.stdout == "1.0\n"
    assert said[0].startswith(f"Making an environment with Python {alpha.python}")
    assert "Installing 2 packages" in said
    assert " + alpha==1.0" in builder.log(alpha.digest)


def test_packages_from_an_index(tmp_path: Path, builder: Builder) -> None:
    made = lock(EnvironmentSpec(requirements=("six==1.16.0", "iniconfig")), kept=tmp_path / "locks")
    built = builder.build(made)
    assert not check(built.python, ["six==1.16.0", "iniconfig"])


def test_an_older_python_for_old_models(wheel: Wheel, builder: Builder) -> None:
    wheel("alpha", "1.0")
    try:
        find_python("3.8")
    except EnvironmentFailure:
        with pytest.raises(EnvironmentFailure, match=r"There is no Python 3\.8"):
            builder.build(lock(EnvironmentSpec(requirements=("alpha",), python="3.8")))
        return
    built = builder.build(lock(EnvironmentSpec(requirements=("alpha",), python="3.8")))
    assert not check(built.python, ["alpha==1.0; python_version == '3.8'"])
    assert check(built.python, ["beta; python_version == '3.8'", "gamma; python_version > '3.8'"])[0].package == "beta"


def test_an_empty_environment_is_one_too(builder: Builder) -> None:
    assert builder.build(lock(EnvironmentSpec())).python.exists()


def test_packages_are_installed_without_running_them(wheel: Wheel, builder: Builder, tmp_path: Path) -> None:
    wheel("alpha", "1.0", body=f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    builder.build(lock(EnvironmentSpec(requirements=("alpha",))))
    assert not (tmp_path / "ran").exists()


def test_a_wheel_that_changed_since_it_was_locked_is_not_installed(
    alpha: Lock, wheel: Wheel, builder: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "another cache"))
    wheel("beta", "2.0", body="evil = True\n")
    with pytest.raises(EnvironmentFailure, match=r"the index gave for beta==2\.0 is not what was locked") as caught:
        builder.build(alpha)
    assert caught.value.cause == "hash-mismatch"
    assert builder.python(alpha.digest) is None
    assert not builder.debris()
    assert "Hash mismatch" in builder.log(alpha.digest)


def test_a_package_for_other_platforms_only_is_named(wheel: Wheel, builder: Builder) -> None:
    wheel("alpha", "1.0", tag=f"cp{python_versions.own().replace('.', '')}-none-win_amd64")
    with pytest.raises(EnvironmentFailure, match=r"alpha==1\.0 has no wheel for Python") as caught:
        builder.build(lock(EnvironmentSpec(requirements=("alpha",))))
    assert caught.value.cause == "no-wheel"


def test_a_lock_without_a_hash_for_a_dependency_is_refused(alpha: Lock, builder: Builder) -> None:
    first = "\n".join(alpha.text.splitlines()[:2]) + "\n"
    with pytest.raises(EnvironmentFailure, match=r"The lock has no hash for beta,"):
        builder.build(locked(first, alpha.python))


def test_a_python_that_is_not_here_is_told_with_the_cure(builder: Builder) -> None:
    with pytest.raises(EnvironmentFailure, match=r"There is no Python 3\.99 on this machine. Run `uv python install 3\.99`") as caught:
        builder.build(locked("", "3.99"))
    assert caught.value.cause == "no-python"


def test_two_processes_build_the_same_environment_once(alpha: Lock, builder: Builder, tmp_path: Path) -> None:
    first = build_elsewhere(builder, alpha, tmp_path, hold="Installing")
    assert wait_line(first, "HELD")
    second = build_elsewhere(builder, alpha, tmp_path, hold="never")
    assert wait_line(second, "Another process builds this environment")
    assert first.communicate("go on\n", timeout=60)[0].splitlines()[-1] == "made"
    assert second.communicate(timeout=60)[0].splitlines()[-1] == "found"
    assert not check(builder.build(alpha).python, alpha.requirements)


def test_a_build_that_was_killed_is_made_anew(alpha: Lock, builder: Builder, tmp_path: Path) -> None:
    process = build_elsewhere(builder, alpha, tmp_path, hold="Installing")
    assert wait_line(process, "HELD")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert builder.python(alpha.digest) is None
    assert builder.debris() == [alpha.digest]
    built = builder.build(alpha)
    assert built.made
    assert not check(built.python, alpha.requirements)
    assert not builder.debris()


def test_a_uv_that_outlives_its_killed_parent_is_waited_for(alpha: Lock, builder: Builder, tmp_path: Path) -> None:
    """The lock goes with the descriptor that uv inherited: nobody clears the folder while it still writes."""
    slow = tmp_path / "bin"
    slow.mkdir()
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    (slow / "uv").write_text(f"#!/bin/sh\nread line < {fifo}\n")
    (slow / "uv").chmod(0o755)
    process = build_elsewhere(builder, alpha, tmp_path, hold="never", path=f"{slow}{os.pathsep}{os.environ['PATH']}", isolated=slow)
    assert wait_line(process, "Making an environment")
    writer = until(lambda: open_for_writing(fifo), "the stand-in for uv")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with (builder.folder / f"{alpha.digest}.lock").open("w") as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert not builder.remove(alpha.digest)
    os.close(writer or 0)
    assert builder.build(alpha).made


def test_an_environment_whose_python_is_gone_is_made_anew(alpha: Lock, builder: Builder) -> None:
    python = builder.build(alpha).python
    python.unlink()
    python.symlink_to("/nowhere/python")
    assert builder.python(alpha.digest) is None
    assert builder.build(alpha).made


def test_what_nobody_used_for_long_can_be_removed(wheel: Wheel, builder: Builder) -> None:
    digests = []
    for age, version in enumerate(("1.0", "2.0", "3.0")):
        wheel("alpha", version)
        digests.append(builder.build(lock(EnvironmentSpec(requirements=(f"alpha=={version}",)))).digest)
        os.utime(builder.folder / digests[-1] / "fairlead.json", (time.time() - 3600 * (3 - age),) * 2)
    assert [each.digest for each in builder.all()] == digests
    assert [each.digest for each in builder.unused(older_than=5400, keep={digests[0]})] == [digests[1]]
    size = builder.all()[0].size
    assert size > 0
    assert [each.digest for each in builder.beyond(2 * size + 100, keep={digests[0]})] == [digests[1]]
    assert builder.remove(digests[1])
    assert [each.digest for each in builder.all()] == [digests[0], digests[2]]
    assert not (builder.folder / digests[1]).exists()
    assert builder.remove("f" * 64), "what is not there is removed"


def test_nothing_built_is_nothing_to_clear(builder: Builder) -> None:
    assert (builder.all(), builder.debris(), builder.remove("a"), builder.log("a")) == ([], [], True, "")


def build_elsewhere(builder: Builder, made: Lock, folder: Path, *, hold: str, path: str | None = None, isolated: Path | None = None) -> subprocess.Popen[str]:
    """A process that builds, and stops when it says a line that begins with `hold` until it reads a line."""
    (folder / "lock.txt").write_text(made.text)
    code = BUILD
    if isolated is not None:  # the uv on the PATH, not the one beside the interpreter
        code = f"import sysconfig\nsysconfig.get_path = lambda name: {str(isolated)!r}\n{BUILD}"
    command = [sys.executable, "-c", code, str(builder.folder), str(folder / "lock.txt"), made.python, hold]
    environment = {**os.environ, "PATH": path or os.environ["PATH"]}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def wait_line(process: subprocess.Popen[str], begins: str) -> bool:
    assert process.stdout is not None
    return any(line.startswith(begins) for line in iter(process.stdout.readline, ""))


def open_for_writing(fifo: Path) -> int | None:
    """None until somebody reads there."""
    try:
        return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return None


def test_uv_is_here() -> None:
    assert shutil.which("uv", path=str(Path(sys.executable).parent)), "the tests run with the uv that fairlead[server] installs"
