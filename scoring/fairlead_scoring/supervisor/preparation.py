"""What happens between "reload" and new workers: the options are read again, and a command may have to make the bundle anew, while the old one serves."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from dataclasses import fields, replace
from pathlib import Path
from typing import IO

from fairlead_scoring import service_keys
from fairlead_scoring.errors import BootFault, RuntimeFault, UsageFault, cause_of
from fairlead_scoring.supervisor.options import ServeOptions, read

FIXED = ("host", "port", "metrics_port", "log_file", "control", "report", "work")
WITHOUT_WORKERS = frozenset((  # what may change while the same workers go on
    "banner", "cors", "drain_grace", "generation", "keys", "log_max_bytes", "notices", "prefix", "quiet", "says_version",
    "title", "tls_cert", "tls_key",
))  # fmt: skip


def read_again(options: ServeOptions) -> ServeOptions:
    """What the options file says now. Raises UsageFault when it asks for what only a new start can give, BootFault for a keys file that is none."""
    if options.options_file is None:
        return options
    new = read(list(options.arguments), dict(os.environ))
    for name in FIXED:
        old, now = getattr(options, name), getattr(new, name)
        if old != now:
            raise UsageFault(f"{name} cannot change while the service runs (it is {old}, asked for {now}): stop the service and start it again.")
    if (new.tls_cert is None) != (options.tls_cert is None):
        asked = "off" if new.tls_cert is None else "on"
        raise UsageFault(f"TLS cannot be turned {asked} (tls_cert, tls_key) while the service runs: stop the service and start it again.")
    if new.keys is not None:
        service_keys.read(Path(new.keys))
    return new


def needs_workers(serving: ServeOptions, new: ServeOptions, *, fresh: bool) -> bool:
    """Whether workers have to be started anew. `fresh`: also where nothing has changed, for then they are what was asked for."""
    changed = {one.name for one in fields(ServeOptions) if getattr(serving, one.name) != getattr(new, one.name)} - {"generation"}
    same_deadline = serving.limits.get("deadline") == new.limits.get("deadline")
    return (fresh and not changed) or bool(changed - WITHOUT_WORKERS - ({"limits"} if same_deadline else set()))


class Preparation:
    """`start` when asked, `outcome` once it is over: the options to go on with, or what went wrong."""

    def __init__(self, options: ServeOptions) -> None:
        self._options = options
        self._pid: int | None = None
        self._output: IO[bytes] | None = None
        self._again = False
        self._outcome: ServeOptions | RuntimeFault | None = None

    def start(self) -> None:
        if self._pid is not None:
            self._again = True
            return
        try:
            self._options = read_again(self._options)
        except RuntimeFault as fault:
            self._outcome = fault
            return
        if not self._options.prepare:
            self._outcome = self._options
            return
        try:
            self._pid = self._run()
        except OSError as error:
            said = f"The command {self._options.prepare[0]} cannot be started ({error.strerror or error}); see to it, and reload again."
            self._outcome = BootFault(said, cause=cause_of(error))

    def _run(self) -> int:
        """Its process id. Raises OSError."""
        output = tempfile.TemporaryFile()  # noqa: SIM115  (read when the command has ended)
        try:
            process = subprocess.Popen(self._options.prepare, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        except OSError:
            output.close()
            raise
        process.returncode = 0  # reaped by the supervisor itself
        self._output = output
        return process.pid

    def child_ended(self, pid: int, how: str) -> None:
        if pid != self._pid or self._output is None:
            return
        self._pid = None
        self._output.seek(0)
        said = self._output.read().decode("utf-8", "replace").strip()
        self._output.close()
        last = said.splitlines()[-1] if said else ""
        if how == "exited with 0" and os.path.isdir(last):
            self._outcome = replace(self._options, bundle=last)
        else:
            self._outcome = BootFault(said.removeprefix("fairlead: ") or f"`{shlex.join(self._options.prepare)}` {how} and said nothing.")
        if self._again:
            self._again = False
            self.start()

    @property
    def is_busy(self) -> bool:
        return self._pid is not None

    def outcome(self) -> ServeOptions | RuntimeFault | None:
        outcome, self._outcome = self._outcome, None
        return outcome
