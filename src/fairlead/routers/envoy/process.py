"""The processes behind a router: a keeper, and the Envoy that it keeps; both outlive whoever started them."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from fairlead.errors import BootFailure
from fairlead.routers.envoy import bootstrap, keeper
from fairlead.routers.envoy.files import write_json
from fairlead.routers.envoy.place import Place

INHERITED = re.compile(r"PATH|HOME|USER|LANG|LC_\w+|TZ|TMPDIR|LD_LIBRARY_PATH")
ENDS_WITHIN = 10.0


def prepare(place: Place, program: Path, concurrency: int) -> None:
    """For the next start; one that runs is left as it is."""
    for file in (place.clusters, place.routes, place.listeners):
        file.ensure()
    write_json(place.bootstrap, bootstrap.bootstrap(place))
    command = bootstrap.command(str(program), place, concurrency)
    write_json(place.keeper, {"command": command, "idle_seconds": bootstrap.DRAIN_SECONDS, "admin": str(place.admin)})


def ensure(place: Place) -> None:
    """A keeper, unless there is one; it starts what is missing. Of two that are started at once, one goes."""
    if place.holder(place.keeper_lock) is not None:
        return
    output = os.open(place.log / "keeper.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        subprocess.run(  # it ends at once, and leaves its child behind
            [sys.executable, "-I", "-S", keeper.__file__, str(place.folder)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={name: value for name, value in os.environ.items() if INHERITED.fullmatch(name)},
            check=True,
            start_new_session=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise BootFailure(f"The router could not be started ({error}); {place.log / 'keeper.log'} may say why.") from error
    finally:
        os.close(output)


def end(place: Place) -> None:
    """Both, whatever they have in hand."""
    give_up = time.monotonic() + ENDS_WITHIN
    for lock in (place.keeper_lock, place.envoy_lock):
        while (pid := place.holder(lock)) is not None:
            if time.monotonic() > give_up:
                raise BootFailure(f"Process {pid} of the router in {place.folder} was told to end and runs on.")
            if pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
            pause(0.02)


def is_running(place: Place) -> bool:
    return place.holder(place.envoy_lock) is not None


def last_words(place: Place, since: float = 0.0) -> str:
    """Of Envoy, when it has ended or cannot read what it was given; "" when it has said nothing since then."""
    try:
        with (place.log / "envoy.log").open("rb") as file:
            if os.fstat(file.fileno()).st_mtime < since:
                return ""
            file.seek(-min(file.seek(0, os.SEEK_END), 8000), os.SEEK_END)
            lines = file.read().decode("utf-8", "replace").strip().splitlines()
    except OSError:
        return ""
    found = [line.rpartition("] ")[2] for line in lines if re.search(r"\[(error|critical|warning)\]\[(?!backtrace|envoy_bug)", line)]
    return found[-1] if found else ""


def pause(seconds: float) -> None:
    """There is nothing to wait on: another process holds a lock."""
    threading.Event().wait(seconds)
