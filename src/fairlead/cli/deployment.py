"""What all commands that deploy have in common: watching it come up, saying what came of it, and how to go on."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import typer
from rich.console import Console
from rich.text import Text

from fairlead.cli.output import Output
from fairlead.client import services
from fairlead.client.connection import connect
from fairlead.client.transport import Transport
from fairlead.errors import BootFailure, FairleadError
from fairlead.schemas.services import Service
from fairlead.sdk.following import Step, follow
from fairlead.sdk.scoring import sample_of

LOG_LINES = 15  # of a failed deployment; `service logs` shows the rest
LONGEST_SAMPLE = 300  # characters in a command that a person is to read
INTERRUPTED = 130
NOTICEABLE = 1.0  # seconds


class Progress:
    """Stages with their times: a spinner on a terminal, a line each elsewhere, nothing with --json and --quiet."""

    def __init__(self, output: Output) -> None:
        self._silent = output.quiet or output.as_json
        self._console = Console(stderr=True, highlight=False)
        self._began = time.monotonic()
        self._status = self._console.status("") if self._console.is_terminal and not self._silent else None

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Something that this program does itself."""
        began = time.monotonic()
        self.begin(name)
        try:
            yield
        except BaseException:
            self.stop()
            raise
        self.end(name, time.monotonic() - began)

    def begin(self, name: str) -> None:
        if self._status is not None:
            self._status.update(Text(f"{name} ..."))
            self._status.start()

    def end(self, name: str, seconds: float) -> None:
        self.stop()
        if not self._silent:
            self._console.print(Text("✓ " if self._console.is_terminal else "", style="green") + Text(f"{name:<22}") + Text(f"{seconds:6.1f} s", style="dim"))

    def take(self, step: Step) -> None:
        """One that somebody else does."""
        if step.seconds is None:
            self.begin(step.name)
        else:
            self.end(step.name, step.seconds)

    def note(self, line: str) -> None:
        """In the midst of a stage, which goes on."""
        if not self._silent:
            self._console.print(Text(f"  {line}"), soft_wrap=True)

    def stop(self) -> None:
        if self._status is not None:
            self._status.stop()


@contextmanager
def connected(progress: Progress, workspace: str | None) -> Iterator[Transport]:
    """The server; that the local one is started first is shown, because it takes a moment."""
    began = time.monotonic()
    progress.begin("connecting")
    try:
        transport = connect(workspace=workspace)
    finally:
        progress.stop()
    if time.monotonic() - began > NOTICEABLE:
        progress.end("starting the server", time.monotonic() - began)
    with transport:
        yield transport


def wait(transport: Transport, service: Service, output: Output, progress: Progress, *, timeout: float | None = None) -> Service:
    """The service once the deployment is decided. Ctrl-C leaves it going; a failure is told with stage, cause and last lines, and raised."""
    try:
        return _watch(transport, service, progress, timeout)
    except KeyboardInterrupt:
        progress.stop()
        print(f"\n{service.name}: the deployment goes on. Follow it with `fairlead service show {service.name} --wait`.", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    except BootFailure as failure:
        progress.stop()
        if output.as_json:
            print(services.show_service(transport, service.name).model_dump_json())
        else:
            _show_failure(failure)
        raise BootFailure(f"{failure} {_next_step(service.name, failure)}", **failure.facts) from failure
    finally:
        progress.stop()


def show_service(service: Service, output: Output, progress: Progress | None = None, *, sample: str | None = None) -> None:
    """The final block: where it is, how to enter, how to call it, where its log is."""
    if output.as_json or output.quiet:
        output.result(service, short=service.scoring_uri or service.name)
        return
    console = Console(width=None if sys.stdout.isatty() else 80, highlight=False)
    took = f", {progress.seconds:.1f} s" if progress else ""
    console.print(
        Text(service.name, style="bold") + Text(f" is {service.state.value}") + Text(f" (revision {service.revision or service.wanted_revision}{took})")
    )
    console.print()
    for label, text in usage(service, sample):
        first, *more = text.split("\n")
        console.print(Text(f"  {label:<13}", style="dim") + Text(first), soft_wrap=True)
        for line in more:
            console.print(Text(" " * 15 + line), soft_wrap=True)


def usage(service: Service, sample: str | None) -> list[tuple[str, str]]:
    """Label and text, in the order of the seeds' usage; a text may have several lines."""
    name = service.name
    told: list[tuple[str, str | None]] = [
        ("Scoring URI", service.scoring_uri),
        ("Swagger", service.swagger_uri),
        ("Keys", f"fairlead service get-keys {name}" if service.auth == "key" else None),
        ("Token", f"fairlead service get-access-token {name}" if service.auth == "token" else None),
        ("Try it", f"fairlead service run {name}{'' if sample else ' -d @request.json'}" if service.scoring_uri else None),
        ("With curl", _curl(service, sample) if service.scoring_uri else None),
        ("Logs", f"fairlead service logs {name}"),
        ("Update", f"fairlead service update {name} -m MODEL:VERSION"),
    ]
    return [(label, text) for label, text in told if text]


def sample_for(transport: Transport, service: Service) -> str | None:
    """What the service gives as a sample, on one line; None when it has none, or does not answer now."""
    if service.scoring_uri is None:
        return None
    try:
        credential = credential_of(transport, service)
        headers = {"authorization": f"Bearer {credential}"} if credential else {}
        with httpx2.Client(timeout=5, trust_env=False, headers=headers) as client:
            return json.dumps(sample_of(service.scoring_uri, client))
    except FairleadError:
        return None


def credential_of(transport: Transport, service: Service) -> str | None:
    """A key or token, as the service wants it."""
    if service.auth == "key":
        return services.show_keys(transport, service.name).primary
    return services.make_access_token(transport, service.name).access_token if service.auth == "token" else None


def _watch(transport: Transport, service: Service, progress: Progress, timeout: float | None) -> Service:
    for each in follow(transport, service.name, timeout=timeout):
        if not isinstance(each, Step):
            return each
        progress.take(each)
    raise AssertionError("following ends with the service")


def _show_failure(failure: BootFailure) -> None:
    """On standard error: the sentence itself comes last, from `main`."""
    console = Console(stderr=True, highlight=False)
    facts = failure.facts
    lines = [line for line in facts.get("log_lines") or [] if line.strip() not in str(failure)]
    for label in ("stage", "cause"):
        if facts.get(label):
            console.print(Text(f"{label:<7}", style="dim") + Text(str(facts[label])))
    if lines:
        console.print(Text("last lines of its log" if len(lines) > LOG_LINES else "log", style="dim"))
    for line in lines[-LOG_LINES:]:
        console.print(Text(f"  {line}"), soft_wrap=True)


def _next_step(name: str, failure: BootFailure) -> str:
    what = "Correct the requirements" if failure.facts.get("stage") == "environment" else "Correct it"
    return f"{what} and try again; `fairlead service logs {name}` shows more."


def _curl(service: Service, sample: str | None) -> str:
    key = {"key": ' \\\n  -H "Authorization: Bearer $FAIRLEAD_KEY"', "token": ' \\\n  -H "Authorization: Bearer $TOKEN"'}.get(service.auth, "")
    data = shlex.quote(sample) if sample and len(sample) <= LONGEST_SAMPLE else "@request.json"
    return f"curl {service.scoring_uri}{key} \\\n  -H 'Content-Type: application/json' -d {data}"
