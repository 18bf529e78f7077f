"""What all commands that run a batch job have in common: watching it, and saying what came of it."""

from __future__ import annotations

import sys
import time

import typer
from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar
from rich.text import Text

from fairlead.cli.deployment import INTERRUPTED, LOG_LINES, Progress
from fairlead.cli.output import Output
from fairlead.client.transport import Transport
from fairlead.errors import FairleadError
from fairlead.schemas.jobs import Job, JobProgress, JobStage
from fairlead.sdk.job_following import STAGES, fault_of, follow


class Watch:
    """A job on a terminal: stages with their times, and while it scores a bar. Elsewhere a line for each stage; nothing with --json and --quiet."""

    def __init__(self, output: Output) -> None:
        self._progress = Progress(output)
        self._console = Console(stderr=True, highlight=False)
        self._shows_bar = self._console.is_terminal and not (output.as_json or output.quiet)
        self._stage: JobStage | None = None
        self._since = time.monotonic()
        self._bar: Bar | None = None

    def take(self, job: Job) -> None:
        if job.stage is not self._stage:
            self._turn(job.stage)
        if self._bar is not None and job.progress is not None:
            told = _described(job.progress)
            done, total = (job.progress.rows if job.progress.rows.total else job.progress.shards).done, job.progress.rows.total or job.progress.shards.total
            self._bar.update(self._bar.task_ids[0], completed=done, total=total, told=told)

    def stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        self._progress.stop()

    def _turn(self, stage: JobStage | None) -> None:
        ended, seconds = self._stage, time.monotonic() - self._since
        self.stop()
        if ended is not None:
            self._progress.end(STAGES[ended], seconds)
        self._stage, self._since = stage, time.monotonic()
        if stage is JobStage.RUNNING and self._shows_bar:
            columns = (TextColumn("scoring"), BarColumn(bar_width=20), TextColumn("{task.percentage:>3.0f} %"), TextColumn("{task.fields[told]}"))
            self._bar = Bar(*columns, console=self._console, transient=True)
            self._bar.add_task("scoring", total=None, told="")
            self._bar.start()
        elif stage is not None:
            self._progress.begin(STAGES[stage])


def wait(transport: Transport, job: Job, output: Output) -> Job:
    """The job once it has succeeded. Ctrl-C leaves it going; a failure is told with stage, cause and last lines, and raised."""
    watch = Watch(output)
    try:
        for seen in follow(transport, job.id):
            watch.take(seen)
            job = seen
    except KeyboardInterrupt:
        watch.stop()
        print(
            f"\nThe job {job.name} goes on. Follow it with `fairlead job show {_called(job)} --wait`; `fairlead job cancel {_called(job)}` ends it.",
            file=sys.stderr,
        )
        raise typer.Exit(INTERRUPTED) from None
    finally:
        watch.stop()
    fault = fault_of(job)
    if fault is not None:
        _show_fault(job, fault, output)
        raise fault
    return job


def show_end(job: Job, output: Output) -> None:
    """The final block: how many rows, how many failed, where, how fast, and how to go on."""
    if output.as_json or output.quiet:
        output.result(job, short=job.output_url or job.name)
        return
    console = Console(width=None if sys.stdout.isatty() else 80, highlight=False)
    took = f" ({seconds_of(job):.1f} s)" if job.started_at else ""
    console.print(Text(job.name, style="bold") + Text(f" {job.state.value}{took}"))
    console.print()
    for label, text in told_of(job):
        console.print(Text(f"  {label:<11}", style="dim") + Text(text), soft_wrap=True)


def told_of(job: Job) -> list[tuple[str, str]]:
    """Label and text, those that are known."""
    rows, seconds = job.progress.rows if job.progress else None, seconds_of(job)
    scored = rows if job.kind == "score" else None
    unit = job.progress.unit if job.progress else "rows"
    told = [
        (unit.capitalize(), f"{scored.done:,}" if scored else None),
        ("Failed", f"{scored.failed:,}" if scored else None),
        (f"{unit.capitalize()}/s", f"{scored.done / seconds:,.0f}" if scored and seconds and job.state.is_over else None),
        ("Quarantine", f"{(job.output_url or '').rstrip('/')}/_quarantine" if scored and scored.failed and job.output_url else None),
        ("Output", job.output_url),
        ("Fetch it", f"fairlead job outputs {_called(job)} --download DIR" if scored and job.state.is_over and not _is_elsewhere(job) else None),
        ("Logs", f"fairlead job logs {_called(job)}"),
    ]
    return [(label, text) for label, text in told if text]


def seconds_of(job: Job) -> float:
    """Between its start and its end, or the last news of it."""
    end = job.finished_at or job.updated_at
    return max(0.0, (end - job.started_at).total_seconds()) if job.started_at else 0.0


def _called(job: Job) -> str:
    """How commands name it: a name is unique among jobs of no service."""
    return job.name if job.service is None else job.id


def _is_elsewhere(job: Job) -> bool:
    """Whether the caller said where answers go."""
    said = job.request.get("output") or {}
    return bool(said.get("url") or said.get("datastore"))


def _described(progress: JobProgress) -> str:
    """For a bar: at most 45 characters."""
    rate = f"{_short(progress.rows_per_second)} {progress.unit}/s" if progress.rows_per_second else ""
    left = f"{_clock(progress.eta_seconds)} left" if progress.eta_seconds is not None else ""
    failed = f"{_short(progress.rows.failed)} failed" if progress.rows.failed else ""
    return "  ".join(word for word in (f"{_short(progress.rows.done)} {progress.unit}", rate, left, failed) if word)


def _short(count: float) -> str:
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= size:
            return f"{count / size:.1f}{unit}"
    return f"{count:.0f}"


def _clock(seconds: float) -> str:
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def _show_fault(job: Job, fault: FairleadError, output: Output) -> None:
    """On standard error: the sentence itself comes last, from `main`."""
    if output.as_json:
        print(job.model_dump_json())
        return
    console = Console(stderr=True, highlight=False)
    for label, text in [("stage", fault.facts.get("stage")), ("cause", fault.facts.get("cause")), *((label.lower(), text) for label, text in told_of(job))]:
        if text:
            console.print(Text(f"{label:<11}", style="dim") + Text(str(text)), soft_wrap=True)
    for line in (fault.facts.get("log_lines") or [])[-LOG_LINES:]:
        console.print(Text(f"  {line}"), soft_wrap=True)
