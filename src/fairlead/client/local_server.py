"""The server of this user on this machine: found by the file that it writes, started when it is not there, replaced when it is older than we are."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from packaging.version import Version

from fairlead import __version__, places
from fairlead.client import pinned_python
from fairlead.errors import BootFailure, FairleadError, Unavailable

if sys.platform != "win32":
    import fcntl

START_SECONDS = 60.0
STOP_SECONDS = 30.0
HELD_SECONDS = 10.0
START_LOG = "server.start.log"


@dataclass(frozen=True, kw_only=True)
class LocalServer:
    """A server that answers. `managed_by`: what starts it again by itself; it is not ours to replace."""

    url: str
    token: str
    version: str
    pid: int
    python: str = ""
    started_at: str = ""
    managed_by: str = ""
    tls_cert: str = ""

    @property
    def is_older(self) -> bool:
        return Version(self.version) < Version(__version__)


def ensure() -> LocalServer:
    """The running one, else a new one. One that is older is replaced, a newer one never. Raises Unavailable with what it said last."""
    found = find()
    if found is not None and not _is_to_be_replaced(found):
        return found
    with _starting() as state:
        found = find()  # another process may have started it while we waited for our turn
        if found is not None and not _is_to_be_replaced(found):
            return found
        if found is not None:
            _stop(state)
        return _start(state, [])


def start(flags: Sequence[str]) -> tuple[LocalServer, bool]:
    """With these flags, which are remembered; False: it was running already, and was left as it is."""
    with _starting() as state:
        found = find()
        if found is not None:
            return found, False
        return _start(state, ["--remember", *flags]), True


def find() -> LocalServer | None:
    """The one that answers now."""
    state = places.state_dir()
    try:
        told: dict[str, Any] = json.loads((state / "server.json").read_text(encoding="utf-8"))
        token = (state / "owner.token").read_text(encoding="ascii").strip() if (state / "owner.token").exists() else ""
        known = {name: told[name] for name in ("url", "version", "pid", "python", "started_at", "managed_by", "tls_cert") if name in told}
        found = LocalServer(token=token, **known)
        answered = httpx2.get(f"{found.url}/v1/livez", timeout=5, trust_env=False, verify=trust(found) or True).status_code == 200
    except (OSError, ValueError, KeyError, TypeError, httpx2.TransportError):
        return None
    return found if answered else None


def stop() -> bool:
    """False when there is none. Its services go on serving. Raises Unavailable when it does not end."""
    return _stop(places.state_dir())


def holder() -> int | None:
    """The process that has the state folder, whether it answers or not."""
    return _holder(places.state_dir())


def trust(server: LocalServer) -> ssl.SSLContext | None:
    """Of a server with TLS, exactly the certificate that it was given: it is found through a file of ours, not by its name."""
    if not server.tls_cert:
        return None
    context = ssl.create_default_context(cafile=server.tls_cert)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _is_to_be_replaced(server: LocalServer) -> bool:
    return server.is_older and not server.managed_by


@contextmanager
def _starting() -> Iterator[Path]:
    """One process at a time starts, replaces or waits."""
    if sys.platform == "win32":
        raise Unavailable("There is no local server on Windows; run fairlead in WSL2, or set FAIRLEAD_URL and FAIRLEAD_TOKEN to a server elsewhere.")
    state = places.state_dir()
    try:
        network = places.network_filesystem(state)
        if network:
            raise Unavailable(
                f"The state folder {state} is on {network}, where a server's database would break; set FAIRLEAD_HOME to a folder on this machine."
            )
        places.make_private(state)
        handle = os.open(state / "starting.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Unavailable(
            f"The local server needs the folder {state}, which cannot be written ({error.strerror or error}); "
            "set FAIRLEAD_HOME to a folder of yours, or FAIRLEAD_URL and FAIRLEAD_TOKEN to a server elsewhere."
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield state
    finally:
        os.close(handle)


def _start(state: Path, flags: Sequence[str]) -> LocalServer:
    pid = _holder(state)
    if pid is not None:
        return _wait_for(state, pid)
    python = pinned_python.choose(state)
    with (state / START_LOG).open("wb") as sink:
        command = [python, "-m", "fairlead.server", "--local", *flags]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True, cwd="/", env=_environment(python))
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        found = find()
        if found is not None:
            pinned_python.pin(state, found.python or python, found.version)
            return found
        try:
            process.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
        if python != sys.executable and b"fairlead server: " not in (state / START_LOG).read_bytes():
            pinned_python.unpin(state)  # it did not get as far as our own sentences: its environment has lost what it had
            return _start(state, flags)
        raise _not_started(state, process.returncode)
    process.kill()
    raise Unavailable(f"The local server did not answer within {START_SECONDS:g} s (process {process.pid}); see `fairlead server logs`.")


def _wait_for(state: Path, pid: int) -> LocalServer:
    """Somebody started it by hand, and it is about to answer or to end; or it hangs."""
    deadline = time.monotonic() + HELD_SECONDS
    while time.monotonic() < deadline:
        found = find()
        if found is not None:
            return found
        if _holder(state) is None:
            return _start(state, [])
        time.sleep(0.1)  # noqa: TID251 - no event tells of a file that another process will write
    raise Unavailable(
        f"The local server (process {pid}) has its state folder {state} and does not answer; see `fairlead server logs`, or end it with `kill -9 {pid}`."
    )


def _not_started(state: Path, code: int) -> FairleadError:
    said = (state / START_LOG).read_text(encoding="utf-8", errors="replace").strip().splitlines()
    last = said[-1].removeprefix("fairlead server: ") if said else f"it ended with exit code {code} and said nothing"
    kind = BootFailure if code == BootFailure.exit_code else Unavailable
    return kind(f"The local server did not start: {last}")


def _environment(python: str) -> dict[str, str]:
    """Ours, less what is the caller's alone; another interpreter gets none of our modules."""
    dropped = {"FAIRLEAD_TOKEN", "FAIRLEAD_URL", "FAIRLEAD_WORKSPACE"} | ({"PYTHONPATH", "PYTHONHOME"} if python != sys.executable else set())
    return {name: value for name, value in os.environ.items() if name not in dropped}


def _stop(state: Path) -> bool:
    pid = _holder(state)
    if pid is None:
        return False
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return True
    except PermissionError:
        raise Unavailable(f"The server of {state} is process {pid} of another user; ask them, or an administrator, to end it.") from None
    deadline = time.monotonic() + STOP_SECONDS
    while _holder(state) == pid:
        if time.monotonic() > deadline:
            raise Unavailable(f"The server (process {pid}) did not end within {STOP_SECONDS:g} s; see `fairlead server logs`, or end it with `kill -9 {pid}`.")
        time.sleep(0.05)  # noqa: TID251 - no event tells of the end of a process that is not our child
    return True


def _holder(state: Path) -> int | None:
    """Who holds the folder's lock wrote its process id into it."""
    if sys.platform == "win32":
        return None
    try:
        handle = os.open(state / "server.lock", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return int(os.pread(handle, 20, 0).strip() or 0) or None
    finally:
        os.close(handle)
    return None
