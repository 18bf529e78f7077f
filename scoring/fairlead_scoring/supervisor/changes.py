"""From "reload" to its outcome: options are read again, prepared, and given to workers or to the front alone. The last one asked for wins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fairlead_scoring.errors import RuntimeFault
from fairlead_scoring.lines import LineWriter, utc_now
from fairlead_scoring.supervisor.attempt import Attempt, Report, failure_of
from fairlead_scoring.supervisor.crew import Crew
from fairlead_scoring.supervisor.options import ServeOptions
from fairlead_scoring.supervisor.preparation import Preparation, needs_workers
from fairlead_scoring.supervisor.watch import Watch

Begin = Callable[[ServeOptions], None]


class Changes:
    """`options`: those that serve. `begin` starts workers for others, `configured` hears of those that serve from now on."""

    def __init__(self, options: ServeOptions, lines: LineWriter, crew: Crew, begin: Begin, configured: Begin) -> None:
        self.options = options
        self.last = Attempt(serial=1, generation=options.generation, revision=options.revision or "")
        self.serving: dict[str, Any] = {}  # revision, generation, since
        self._lines = lines
        self._crew = crew
        self._begin = begin
        self._configured = configured
        self._report = Report(options.report)
        self._preparation = Preparation(options)
        self._fresh = False
        self._watch = Watch(options) if options.reload else None
        crew.switched = self._switched
        crew.refused = self._refused

    def start(self) -> None:
        """The first generation. Raises RuntimeFault."""
        self._report.write(self.last)
        self._begin(self.options)

    def take_over(self, last: dict[str, Any], serving: dict[str, Any]) -> None:
        """What an earlier supervisor told of last. What it was trying ended with it, and is tried again."""
        self.serving = serving
        if last:
            self.last = Attempt(**last)
        if not self.last.is_over:
            self.ask()

    def ask(self, *, fresh: bool = True) -> int:
        """Read, prepare and serve again. `fresh`: with new workers also where nothing has changed. Its serial."""
        self._fresh = fresh or (self._fresh and not self.last.is_over)
        self.last = Attempt(serial=self.last.serial + 1, generation=self.last.generation)
        self._preparation.start()
        return self.last.serial

    def child_ended(self, pid: int, how: str) -> None:
        self._preparation.child_ended(pid, how)

    def look_after(self) -> None:
        if self._watch is not None and self._crew.active and self._watch.has_changed():
            self._lines.say("info", "supervisor", f"{self._watch.changed} has changed; new workers are started.")
            self.ask()
        outcome = self._preparation.outcome()
        if outcome is None:
            return
        try:
            if isinstance(outcome, RuntimeFault):
                raise outcome
            self._try(outcome)
        except RuntimeFault as fault:
            self._crew.reload_failed(failure_of(fault))

    def _try(self, options: ServeOptions) -> None:
        self.last.generation = options.generation
        self.last.revision = options.revision or ""
        self._report.write(self.last)
        if self._crew.active and not needs_workers(self.options, options, fresh=self._fresh):
            self._crew.go_on(options)
            self._switched(options, self.serving.get("revision", ""))
        else:
            self._begin(options)

    def _switched(self, options: ServeOptions, revision: str) -> None:
        self.options = options
        self.serving = {"revision": revision, "generation": options.generation, "since": utc_now()}
        self._configured(options)
        if not self.last.is_over and not self._preparation.is_busy:
            self.last.succeed(revision)
            self._report.write(self.last)

    def _refused(self, failure: dict[str, Any]) -> None:
        if not self._preparation.is_busy:
            self.boot_failed(failure)

    def boot_failed(self, failure: dict[str, Any]) -> None:
        self.last.fail(failure)
        self._report.write(self.last)

    @property
    def is_settled(self) -> bool:
        return self.last.is_over and not self._preparation.is_busy
