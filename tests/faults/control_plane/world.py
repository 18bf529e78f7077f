"""A control plane that is killed at chosen points, and what a client of it remembers to have been told."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from fairlead.client.transport import Transport
from fairlead.errors import Unavailable
from fairlead.server import sealing
from fairlead.server.db import Database
from fairlead.server.maintenance.checking import check
from fairlead.server.maintenance.findings import Finding, Ground
from fairlead.server.settings import Settings
from fairlead.stores import open_store
from tests.containers import BASE_OF_IMAGES
from tests.control_plane import ControlPlane, ControlPlanes
from tests.waiting import until

RESTART_WITHIN = 5.0


@dataclass(frozen=True)
class Write:
    """`do` makes it so, whether a broken attempt came before or not; `holds` says whether it is so, and raises when it is so by half.

    undoes: writes before it in its scenario that hold no more once it was tried.
    """

    name: str
    do: Callable[[World], None]
    holds: Callable[[World], bool]
    undoes: tuple[str, ...] = ()


@dataclass
class World:
    """One server that outlives many kills. `round` makes names of its own for each pass over the writes."""

    planes: ControlPlanes
    folder: Path
    round: str = field(default_factory=lambda: uuid.uuid4().hex[:6])

    def __post_init__(self) -> None:
        self._fault_file = self.folder / "fault"
        self.plane: ControlPlane = self.planes(env={"FAIRLEAD_FAULT_FILE": str(self._fault_file), **BASE_OF_IMAGES})
        self.restarts: list[float] = []

    def owner(self) -> Transport:
        return self.plane.transport()

    def name(self, of: str) -> str:
        return f"{of}-{self.round}"

    def reached_by(self, writes: tuple[Write, ...]) -> Counter[str]:
        """Which points the server passes while these are done, and how often."""
        note = Path(f"{self._fault_file}.reached")
        note.unlink(missing_ok=True)
        self.run(writes, "?")
        return Counter(note.read_text().split() if note.exists() else [])

    def killed_at(self, point: str, count: int, writes: tuple[Write, ...]) -> None:
        """Does the writes with a kill on the way; afterwards all that was acknowledged is there, and the rest can be done."""
        self._begin_round(f"{point}:{count} {uuid.uuid4()}")
        done = self._until_killed(writes)
        assert done is not None, f"The writes {[each.name for each in writes]} never reached {point}:{count}."
        self._fault_file.write_text("")
        self.restart()
        undone = {name for each in writes[: done + 1] for name in each.undoes}
        lost = [each.name for each in writes[:done] if each.name not in undone and not each.holds(self)]
        assert not lost, f"Killed at {point}:{count}, the server forgot what it had acknowledged: {lost}"
        self._finish(writes[done:])
        findings = self.fsck()
        assert not findings, f"After a kill at {point}:{count}: {findings}"

    def run(self, writes: tuple[Write, ...], fault: str = "") -> None:
        self._begin_round(fault)
        self._finish(writes)
        self._fault_file.write_text("")

    def _begin_round(self, fault: str) -> None:
        """Names of its own, and a server that lives, whatever an earlier test left."""
        self._fault_file.write_text("")
        if self.plane.process.poll() is not None:
            self.plane.restart()
        self.round = uuid.uuid4().hex[:6]
        self._fault_file.write_text(fault)

    def _finish(self, writes: tuple[Write, ...]) -> None:
        for each in writes:
            each.do(self)
            assert each.holds(self), each.name

    def restart(self) -> None:
        """By its own CPU time: on a machine that is busy with other things, the clock says little."""
        self.plane.restart()
        spent = psutil.Process(self.plane.process.pid).cpu_times()
        self.restarts.append(spent.user + spent.system)

    def fsck(self) -> list[Finding]:
        """In this process, beside the running server."""
        settings = Settings(state_dir=self.plane.state, cache_dir=self.plane.home / "cache", local=True)
        database = Database(settings.database, called="fsck")
        seal = sealing.Seal(key) if (key := sealing.key_of(settings)) else None
        try:
            with database.engine.connect() as connection:
                ground = Ground(settings=settings, database=database, store=open_store(settings.store), seal=seal, connection=connection, deep=True)
                return check(ground, lambda _: None, repair=False).findings
        finally:
            database.close()

    def _until_killed(self, writes: tuple[Write, ...]) -> int | None:
        """How many were acknowledged before it died; None when it lives."""
        for number, each in enumerate(writes):
            acknowledged = False
            try:
                each.do(self)
                acknowledged = True
                assert each.holds(self), each.name
            except Unavailable:
                until(lambda: self.plane.process.poll() is not None, f"the server to die during {each.name}")
                return number + acknowledged
        return len(writes) if self._is_dead() else None

    def _is_dead(self) -> bool:
        """What happens by itself may come a moment after the answer."""
        try:
            return until(lambda: self.plane.process.poll() is not None, "the server to die", timeout=5)
        except AssertionError:
            return False


def folder_with(world: World, name: str, **files: str) -> Path:
    """Of this round; `driver__py` is driver.py."""
    folder = world.folder / world.name(name)
    folder.mkdir(exist_ok=True)
    for file, content in files.items():
        (folder / file.replace("__", ".")).write_text(content)
    return folder
