"""Starts Envoy and starts it again: `python -I -S keeper.py FOLDER`, detached, with the standard library alone so that it stays small.

It may end at any time, and so may whoever started it: Envoy runs on, and the next keeper waits for the lock that Envoy holds.
What to start stands in keeper.json and is read at each start, so that another release of Envoy is taken when the old one ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import resource
import signal
import sys
import time

LOOK_SECONDS = 0.1
TEND_SECONDS = 5.0
SETTLED = 5.0  # seconds; by then Envoy has left the addresses that it was told to leave
ANSWERS_WITHIN = 2.0
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 30.0
LASTED = 10.0  # seconds; an Envoy that ran as long has not failed to start
MOST_LOG = 5_000_000  # bytes per file; one older one is kept


def main(folder: str) -> int:
    os.chdir(folder)
    if os.fork():
        os._exit(0)  # whoever started this has no child to look after
    os.setsid()
    lock = take("keeper.lock")
    if lock is None:
        return 0
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    os.close(os.open("envoy.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    keeper = Keeper()
    signal.signal(signal.SIGTERM, keeper.told_to_end)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # of Envoy: two descriptors per request
    return keeper.run()


class Keeper:
    def __init__(self) -> None:
        self.pid = 0  # of the Envoy that lives now
        self.started = self.due = self.tended = 0.0
        self.pause = 0.0
        self.is_over = False

    def told_to_end(self, *_: object) -> None:
        self.is_over = True

    def run(self) -> int:
        try:
            while not self.is_over:
                self.look()
                rest(LOOK_SECONDS)
            end_envoy()
        except FileNotFoundError:  # somebody removes the folder: nobody will ever ask for this router
            end_process(self.pid)
        return 0

    def look(self) -> None:
        lock = take("envoy.lock", os.O_RDWR)
        if lock is None:
            self.pid = self.pid or pid_in("envoy.lock")
        else:
            self.bury()
            if time.monotonic() >= self.due:
                self.started = time.monotonic()
                self.pid = spawn(lock)
            os.close(lock)
        if time.monotonic() - self.tended > TEND_SECONDS:
            self.tended = time.monotonic()
            self.tend()

    def bury(self) -> None:
        """After an Envoy that did not last the next one waits, longer each time."""
        if not self.started or self.due > self.started:
            return
        lasted = time.monotonic() - self.started
        say(f"Envoy has ended after {lasted:.1f} s.")
        self.pid = 0
        self.pause = 0.0 if lasted > LASTED else min(LONGEST_PAUSE, self.pause * 2 or FIRST_PAUSE)
        self.due = time.monotonic() + self.pause

    def tend(self) -> None:
        for name in ("envoy.log", "answers.log", "keeper.log"):
            bound(os.path.join("log", name))
        with open("keeper.json", encoding="utf-8") as file:
            said = json.load(file)
        if is_idle(said["idle_seconds"]) or (is_for(SETTLED) and not is_connected(said.get("admin", "")) and is_idle(SETTLED)):
            self.is_over = True


def spawn(lock: int) -> int:
    """Its process id, 0 when it cannot be started. It holds the lock for as long as it lives, whatever becomes of this process."""
    try:
        with open("keeper.json", encoding="utf-8") as file:
            command = json.load(file)["command"]
        output = os.open(os.path.join("log", "envoy.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.set_inheritable(lock, True)
        try:
            pid = os.posix_spawn(command[0], command, dict(os.environ), file_actions=[(os.POSIX_SPAWN_DUP2, output, 1), (os.POSIX_SPAWN_DUP2, output, 2)])
        finally:
            os.close(output)
    except (OSError, ValueError, KeyError) as error:
        say(f"Envoy cannot be started: {error}")
        return 0
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(pid).encode(), 0)
    say(f"Started as process {pid}: {' '.join(command)}")
    return pid


def end_envoy() -> None:
    fd = os.open("envoy.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    give_up, number = time.monotonic() + 5, signal.SIGTERM
    while not is_free(fd):
        end_process(pid_in("envoy.lock"), number)  # true while the lock is held
        if time.monotonic() > give_up:
            number = signal.SIGKILL
        rest(0.02)
    say("Envoy was told to end, and has.")


def end_process(pid: int, number: int = signal.SIGTERM) -> None:
    with contextlib.suppress(ProcessLookupError):
        if pid:
            os.kill(pid, number)


def pid_in(path: str) -> int:
    with open(path, encoding="utf-8") as file:
        said = file.read().strip()
    return int(said) if said.isdigit() else 0


def is_idle(patience: float) -> bool:
    """Nothing is published, and has not been for so long that nothing can be in flight. From then on a publication waits, and starts another keeper."""
    if is_for(patience):
        changing = os.open("changing.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(changing, fcntl.LOCK_EX)  # until this process ends
        if is_for(patience):  # still: what was published meanwhile may be gone again, and have requests in hand
            return True
        os.close(changing)
    return False


def is_for(seconds: float) -> bool:
    """Nothing has been published for longer."""
    with contextlib.suppress(FileNotFoundError):
        return time.time() - os.stat("idle").st_mtime > seconds
    return False


def is_connected(admin: str) -> bool:
    """A client to Envoy, also one that only rests. True when Envoy does not say."""
    import http.client  # noqa: PLC0415 - large, and needed only near the end
    import socket  # noqa: PLC0415

    connection = http.client.HTTPConnection("localhost")
    try:
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.settimeout(ANSWERS_WITHIN)
        connection.sock.connect(admin)
        connection.request("GET", "/stats?filter=^listener%5C..*downstream_cx_active$")
        said = connection.getresponse().read().decode()
    except (OSError, http.client.HTTPException):
        return True
    finally:
        connection.close()
    lines = said.splitlines()  # this very connection is among them; an Envoy that an earlier release has started does not count
    return not lines or any(not line.endswith(": 0") for line in lines if not line.startswith("listener.admin."))


def bound(path: str) -> None:
    """Whoever writes to it goes on: it was opened for appending."""
    with contextlib.suppress(FileNotFoundError):
        if os.stat(path).st_size > MOST_LOG:
            with open(path, "rb") as old, open(f"{path}.1", "wb") as kept:
                old.seek(-MOST_LOG, os.SEEK_END)
                os.sendfile(kept.fileno(), old.fileno(), old.tell(), MOST_LOG)
            os.truncate(path, 0)


def take(path: str, how: int = os.O_RDWR | os.O_CREAT) -> int | None:
    fd = os.open(path, how | os.O_CLOEXEC, 0o600)
    if not is_free(fd):
        os.close(fd)
        return None
    os.ftruncate(fd, 0)
    os.pwrite(fd, str(os.getpid()).encode(), 0)
    return fd


def is_free(fd: int) -> bool:
    """And from now on held by this process."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def rest(seconds: float) -> None:
    """Reaps its Envoy; one of an earlier keeper is nobody's child here, so its lock is all there is to look at."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    time.sleep(seconds)  # noqa: TID251 - there is nothing to wait on: a lock held by a stranger tells nobody when it is let go


def say(message: str) -> None:
    print(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), message, flush=True)  # noqa: T201 - keeper.log


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
