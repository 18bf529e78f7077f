"""Builds environments: one folder per lock's digest, made once on a machine, whoever asks and however often it is interrupted.

FOLDER/<digest>/               the virtual environment, made in place because its scripts know where they are
FOLDER/<digest>/fairlead.json  written last, by rename: without it the folder is debris
FOLDER/<digest>.lock           flock of who builds or removes; uv inherits it, so debris is not cleared under the feet of a uv that outlived its parent
FOLDER/<digest>.log            what uv said
FOLDER/<digest>.failed         why the latest build failed
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fairlead.environments.failures import failure
from fairlead.environments.locking import Lock
from fairlead.environments.pythons import find_python
from fairlead.environments.uv_command import WHEELS_ONLY, run_uv
from fairlead.errors import EnvironmentFailure

Say = Callable[[str], None]
_COMPLETE = "fairlead.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """`python`: its interpreter. `made`: this call built it; False when it was there."""

    python: Path
    digest: str
    made: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """An environment on this machine, for whoever clears up. `used`: seconds since the epoch."""

    digest: str
    used: float
    size: int


class Builder:
    """All environments of one folder. Processes may share the folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def build(self, lock: Lock, say: Say = lambda _line: None) -> Built:
        """Returns at once when it is there. No code of the user or of a package runs. Raises EnvironmentFailure."""
        if self._complete(lock.digest):
            return self._used(lock.digest, made=False)
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._held(lock.digest, say) as descriptor:
            if self._complete(lock.digest):
                return self._used(lock.digest, made=False)
            self._make(lock, say, descriptor)
        return self._used(lock.digest, made=True)

    def python(self, digest: str) -> Path | None:
        """The interpreter of a built environment."""
        return self._python(digest) if self._complete(digest) else None

    def log(self, digest: str) -> str:
        """What the latest build said; empty when there was none."""
        return self.log_since(digest, 0)[0]

    def log_since(self, digest: str, offset: int, most: int = -1) -> tuple[str, int]:
        """What was said after that many bytes, and how many there are then."""
        try:
            with self._log(digest).open("rb") as log:
                log.seek(offset)
                said = log.read(most)
        except FileNotFoundError:
            return "", 0
        return said.decode(errors="replace"), offset + len(said)

    def is_building(self, digest: str) -> bool:
        """Whether some process on this machine builds it now."""
        if not self._lock(digest).exists():
            return False
        with _try_lock(self._lock(digest)) as descriptor:
            return descriptor is None

    def failure(self, digest: str) -> EnvironmentFailure | None:
        """Why the latest build failed; None when it did not, or was never tried."""
        try:
            said = json.loads(self._failure(digest).read_text())
            return EnvironmentFailure(said["message"], cause=said["cause"], log=self.log(digest))
        except (OSError, ValueError, KeyError):
            return None

    def kept(self, digest: str) -> Kept | None:
        """None when it is not built."""
        marker = self._place(digest) / _COMPLETE
        try:
            if self._complete(digest):
                return Kept(digest=digest, used=marker.stat().st_mtime, size=int(json.loads(marker.read_text())["size"]))
        except (OSError, ValueError, KeyError):
            pass  # removed at this moment
        return None

    def all(self) -> list[Kept]:
        """Every built environment, the longest unused first."""
        found = [self.kept(marker.parent.name) for marker in self.folder.glob(f"*/{_COMPLETE}")]
        return sorted((each for each in found if each is not None), key=lambda each: each.used)

    def unused(self, *, older_than: float, keep: set[str]) -> list[Kept]:
        """Those not asked for in the last `older_than` seconds, less what is in use."""
        border = time.time() - older_than
        return [each for each in self.all() if each.used < border and each.digest not in keep]

    def beyond(self, quota: int, *, keep: set[str]) -> list[Kept]:
        """The longest unused ones that have to go until the rest fits into `quota` bytes; what is in use counts but stays."""
        every = self.all()
        over = sum(each.size for each in every) - quota
        chosen = []
        for each in every:
            if over > 0 and each.digest not in keep:
                chosen.append(each)
                over -= each.size
        return chosen

    def remove(self, digest: str) -> bool:
        """False when it is being built at this moment. What is not there is removed."""
        if not self.folder.is_dir():
            return True
        with _try_lock(self._lock(digest)) as descriptor:
            if descriptor is None:
                return False
            (self._place(digest) / _COMPLETE).unlink(missing_ok=True)  # first: nobody takes half a folder for whole
            shutil.rmtree(self._place(digest), ignore_errors=True)
            self._log(digest).unlink(missing_ok=True)
            self._failure(digest).unlink(missing_ok=True)
        return True

    def debris(self) -> list[str]:
        """Digests whose build was interrupted and never tried again."""
        return [place.name for place in self.folder.glob("*/") if not (place / _COMPLETE).exists()]

    def _make(self, lock: Lock, say: Say, descriptor: int) -> None:
        place = self._place(lock.digest)
        shutil.rmtree(place, ignore_errors=True)
        self._failure(lock.digest).unlink(missing_ok=True)
        begun = time.monotonic()
        with self._log(lock.digest).open("w", buffering=1) as log:
            try:
                _install(lock, place, _Voice(say, log.write), descriptor)
            except EnvironmentFailure as fault:
                log.write(f"{fault}\n")
                self._failure(lock.digest).write_text(json.dumps({"cause": fault.cause, "message": str(fault)}))
                shutil.rmtree(place, ignore_errors=True)
                raise
        facts = {"digest": lock.digest, "python": lock.python, "size": _size(place), "seconds": round(time.monotonic() - begun, 1)}
        beside = place / f".{_COMPLETE}"
        beside.write_text(json.dumps(facts) + "\n")
        beside.rename(place / _COMPLETE)

    def _complete(self, digest: str) -> bool:
        """A marker alone does not do: the interpreter it was made from may be gone from the machine."""
        return (self._place(digest) / _COMPLETE).is_file() and self._python(digest).exists()

    def _used(self, digest: str, *, made: bool) -> Built:
        try:
            os.utime(self._place(digest) / _COMPLETE)
        except OSError:
            pass  # a folder that is read-only here is cleared up elsewhere
        return Built(python=self._python(digest), digest=digest, made=made)

    @contextmanager
    def _held(self, digest: str, say: Say) -> Iterator[int]:
        with _try_lock(self._lock(digest)) as descriptor:
            if descriptor is not None:
                yield descriptor
                return
        say("Another process builds this environment; waiting for it")
        with self._lock(digest).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file.fileno()

    def _place(self, digest: str) -> Path:
        return self.folder / digest

    def _python(self, digest: str) -> Path:
        return self.folder / digest / "bin" / "python"

    def _lock(self, digest: str) -> Path:
        return self.folder / f"{digest}.lock"

    def _log(self, digest: str) -> Path:
        return self.folder / f"{digest}.log"

    def _failure(self, digest: str) -> Path:
        return self.folder / f"{digest}.failed"


class _Voice:
    """To the log goes everything, to the person what moves."""

    def __init__(self, say: Say, write: Callable[[str], object]) -> None:
        self._say = say
        self._write = write

    def __call__(self, line: str) -> None:
        self._write(line + "\n")
        if line and not line.startswith((" ", "Using ", "warning:")):
            self._say(line)


def _install(lock: Lock, place: Path, say: Say, descriptor: int) -> None:
    python = find_python(lock.python)
    say(f"Making an environment with Python {lock.python} ({python})")
    _run(["venv", "--quiet", "--no-project", "--no-config", "--python", str(python), str(place)], lock, say, descriptor)
    requirements = place / "requirements.lock"
    requirements.write_text(lock.text)
    if not lock.text.strip():
        return
    say(f"Installing {len(lock.requirements)} packages")
    arguments = ["pip", "install", "--python", str(place / "bin" / "python"), "--require-hashes", "--compile-bytecode", "--requirements", str(requirements)]
    _run(arguments if lock.source_builds else [*arguments, *WHEELS_ONLY], lock, say, descriptor)


def _run(arguments: list[str], lock: Lock, say: Say, descriptor: int) -> None:
    done = run_uv(arguments, folder=Path("/"), say=say, kept_open=(descriptor,))
    if done.code:
        raise failure(done.output, lock.python)


@contextmanager
def _try_lock(path: Path) -> Iterator[int | None]:
    """The descriptor that holds the lock, or None when somebody else does."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield file.fileno()


def _size(place: Path) -> int:
    return sum(each.lstat().st_size for each in place.rglob("*") if not each.is_dir())
