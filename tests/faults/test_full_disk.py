"""D2: no room, a limit on files, a disk that is read-only. A sentence, nothing damaged, and it goes on once there is room."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from fairlead.client import models
from fairlead.client.transport import Transport
from fairlead.errors import StoreFull, Unavailable
from fairlead.schemas.access import NewWorkspace, Workspace
from tests.fairlead.server.registry.given import new, registered, uploaded
from tests.live import FAIRLEAD
from tests.local_home import LocalHome
from tests.waiting import until

ROOM = 6 << 20
LIMIT = 1 << 20
CONTENT = "x" * 300_000


class Disk:
    """Where a server lives. `fill` leaves it no room, `empty` gives it back."""

    def __init__(self, home: LocalHome, fill: Callable[[], None], empty: Callable[[], None]) -> None:
        self.home = home
        self.fill = fill
        self.empty = empty
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> Transport:
        self.process = self.home.begin(sys.executable, "-m", "fairlead.server", "--log-file", "-", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until((self.home.state / "server.json").exists, "the server to say where it is", timeout=60)
        url = json.loads((self.home.state / "server.json").read_text())["url"]
        until(lambda: httpx2.get(f"{url}/v1/readyz", trust_env=False).status_code == 200, "it to be ready")
        return Transport(url, (self.home.state / "owner.token").read_text().strip())

    def stop(self, by: signal.Signals = signal.SIGTERM) -> None:
        assert self.process is not None
        self.process.send_signal(by)
        self.process.communicate(timeout=30)
        (self.home.state / "server.json").unlink(missing_ok=True)

    def use_up(self, owner: Transport) -> str:
        """Writes rows until one finds no room; what is said then."""
        with pytest.raises((StoreFull, Unavailable)) as refused:
            _create_many(owner)
        return str(refused.value)

    @property
    def is_mounted(self) -> bool:
        return self.home.folder.is_mount()

    def fsck(self) -> subprocess.CompletedProcess[str]:
        return self.home.fairlead("server", "fsck", "--deep")


def _create_many(owner: Transport) -> None:
    for number in range(200):
        owner.create(Workspace, "/v1/workspaces", NewWorkspace(name=f"team-{number}", description="z" * 5000))


def _small_file_system(folder: Path) -> bool:
    return os.geteuid() == 0 and subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "none", str(folder)], capture_output=True).returncode == 0


@pytest.fixture
def disk(local_home: LocalHome) -> Iterator[Disk]:
    """A small file system where one can be mounted; elsewhere files of this user may not grow beyond a limit, which a server meets the same way."""
    local_home.folder.mkdir()
    mounted = _small_file_system(local_home.folder)
    filler = local_home.folder / "filler"

    def fill() -> None:
        if mounted:
            with filler.open("wb", buffering=0) as file:
                try:
                    while True:
                        file.write(b"\0" * 4096)
                except OSError:
                    pass
        else:
            _limit(local_home, LIMIT // 8)

    def empty() -> None:
        filler.unlink(missing_ok=True)
        if not mounted:
            _limit(local_home, resource.RLIM_INFINITY)

    made = Disk(local_home, fill, empty)
    try:
        yield made
    finally:
        if made.process is not None and made.process.poll() is None:
            made.process.kill()
            made.process.communicate(timeout=10)
        if mounted:
            subprocess.run(["umount", "--lazy", str(local_home.folder)], check=True)


def _limit(home: LocalHome, size: int) -> None:
    for process in home.servers():
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def test_a_full_disk_is_a_sentence_and_damages_nothing(disk: Disk) -> None:
    with disk.start() as owner:
        first = registered(owner, "kept", tree=uploaded(owner, model=CONTENT))
        disk.fill()
        refused: list[str] = []
        with pytest.raises((StoreFull, Unavailable)) as upload:
            uploaded(owner, model="y" * 600_000)
        refused.append(str(upload.value))
        refused.append(disk.use_up(owner))
        assert all("space" in each or "disk" in each for each in refused), refused
        made = [each.name for each in owner.each(Workspace, "/v1/workspaces")]
        assert models.show_version(owner, "kept:1").id == first.id, "what is there can be read"
        disk.empty()
        again = registered(owner, "kept", tree=uploaded(owner, model="y" * 600_000))
        assert again.version == 2
        assert [each.name for each in owner.each(Workspace, "/v1/workspaces")] == made
    disk.stop()
    checked = disk.fsck()
    assert (checked.returncode, checked.stdout) == (0, ""), checked.stdout


def test_a_server_that_dies_on_a_full_disk_starts_when_there_is_room(disk: Disk) -> None:
    with disk.start() as owner:
        registered(owner, "kept", tree=uploaded(owner, model=CONTENT))
        disk.fill()
        disk.use_up(owner)
        made = [each.name for each in owner.each(Workspace, "/v1/workspaces")]
    disk.stop(by=signal.SIGKILL)
    disk.empty()
    with disk.start() as owner:
        assert [each.name for each in owner.each(Workspace, "/v1/workspaces")] == made
        assert models.register(owner, new(owner, "kept", tree=uploaded(owner, model=CONTENT))).version == 2
    disk.stop()
    assert disk.fsck().returncode == 0


def test_a_backup_that_finds_no_room_leaves_nothing(disk: Disk, tmp_path: Path) -> None:
    with disk.start() as owner:
        registered(owner, "kept", tree=uploaded(owner, model=CONTENT))
    disk.stop()
    disk.fill()
    if disk.is_mounted:  # room for SQLite to read with, and not for another copy of everything
        os.truncate(disk.home.folder / "filler", (disk.home.folder / "filler").stat().st_size - 200_000)
    command: list[str | Path] = [FAIRLEAD, "server", "backup", disk.home.folder / "backup.tar"]
    done = disk.home.run(*([] if disk.is_mounted else ["prlimit", "--fsize=65536"]), *command)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
    assert "cannot be written" in done.stderr
    assert [path.name for path in disk.home.folder.iterdir() if "backup" in path.name] == []
    assert disk.home.fairlead("server", "backup", tmp_path / "backup.tar").returncode == 0


def test_a_read_only_disk_is_a_sentence_at_the_start(disk: Disk) -> None:
    disk.start().close()
    disk.stop()
    serve = (sys.executable, "-m", "fairlead.server")
    if disk.is_mounted:
        subprocess.run(["mount", "-o", "remount,ro", str(disk.home.folder)], check=True)
        done = disk.home.run(*serve)
        subprocess.run(["mount", "-o", "remount,rw", str(disk.home.folder)], check=True)
    else:
        disk.home.state.chmod(0o500)
        done = disk.home.run(*(["setpriv", "--inh-caps=-all", "--bounding-set=-all"] if os.geteuid() == 0 else []), *serve)
        disk.home.state.chmod(0o700)
    assert (done.returncode, "Traceback" in done.stderr) == (3, False), done.stderr
    assert "Read-only file system" in done.stderr or "Permission denied" in done.stderr
    disk.start().close()
    disk.stop()
