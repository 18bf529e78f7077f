"""One try to serve something, the start or a reload, and what became of it: for /status, the control socket and the report file."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fairlead_scoring.errors import RuntimeFault
from fairlead_scoring.lines import utc_now

LAST_LINES = 50
TRYING, OK, FAILED = "trying", "ok", "failed"


@dataclass(kw_only=True)
class Attempt:
    """`serial` counts tries, `generation` is the caller's number for what was wanted. Stage, cause and message say why it failed."""

    serial: int
    generation: int = 0
    revision: str = ""
    began: str = field(default_factory=utc_now)
    ended: str = ""
    outcome: str = TRYING
    stage: str = ""
    cause: str = ""
    message: str = ""
    log_lines: list[str] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        return self.outcome != TRYING

    def succeed(self, revision: str) -> None:
        self.outcome, self.revision, self.ended = OK, revision, utc_now()

    def fail(self, failure: dict[str, Any]) -> None:
        """`failure`: as failure_of() makes it, or as a worker tells it."""
        self.outcome, self.ended = FAILED, utc_now()
        self.stage, self.cause = failure.get("stage", "starting"), failure.get("cause", "start-failed")
        self.message = failure["message"]
        self.log_lines = [*failure.get("last_lines", []), *failure.get("frames", "").splitlines()][-LAST_LINES:]

    def told(self) -> dict[str, Any]:
        return asdict(self)


def failure_of(fault: RuntimeFault) -> dict[str, Any]:
    return {"message": str(fault), "stage": fault.stage, "cause": fault.cause, "exit_code": fault.exit_code}


class Report:
    """The last attempt in a file, for whoever comes when this process has ended. Without a path, nothing."""

    def __init__(self, path: str | None) -> None:
        self._path = Path(path) if path else None

    def write(self, attempt: Attempt) -> None:
        if self._path is None:
            return
        text = json.dumps(attempt.told())
        new = self._path.with_name(self._path.name + ".new")
        try:
            new.write_text(text, encoding="utf-8")
            new.replace(self._path)
        except OSError:  # no room for a second file: in the place of the first
            with contextlib.suppress(OSError):
                new.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                self._overwrite(text.encode())

    def _overwrite(self, text: bytes) -> None:
        assert self._path is not None
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.write(fd, text.ljust(os.fstat(fd).st_size))
        finally:
            os.close(fd)
