"""`fairlead service run|listjobs|viewjob|canceljob batch`: runs of a batch service, in the words of the first generation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any

import typer

from fairlead.cli import job_watch
from fairlead.cli.batch_services import called, place_of
from fairlead.cli.batch_words import given
from fairlead.cli.deployment import Progress, connected
from fairlead.cli.output import AsJson, Output, Quiet
from fairlead.cli.pairs import labels
from fairlead.client import jobs
from fairlead.client.connection import connect
from fairlead.client.transport import Transport
from fairlead.errors import UsageError
from fairlead.schemas.batch_services import BatchService, NewServiceJob
from fairlead.schemas.jobs import Job
from fairlead.sdk.batch_data import Way, by_the_shortest

Name = Annotated[str | None, typer.Option("-n", "--name", help="The service's name.")]
Word = Annotated[str | None, typer.Argument(metavar="[SERVICE]", help="The service's name.", show_default=False)]
JobId = Annotated[str | None, typer.Option("-j", "--job", help="The job's id, which you choose; default: the time, such as 2026-01-31_235959.")]
WhichJob = Annotated[str | None, typer.Option("-j", "--job", help="The job's id.")]
In = Annotated[list[str] | None, typer.Option("--in", "-i", metavar="--X:VALUE", help="What an input is this time: a file or URL.")]
Out = Annotated[list[str] | None, typer.Option("--out", "-o", metavar="--Y:VALUE", help="Where an output goes this time: a path or URL.")]
Param = Annotated[list[str] | None, typer.Option("--param", "-p", metavar="--P:VALUE", help="What a parameter is this time.")]
Credentials = Annotated[
    list[str] | None, typer.Option("--credentials", metavar="--X=SECRET", help="The secret of the workspace that opens an input or output that lies elsewhere.")
]
Wait = Annotated[bool, typer.Option("-w", "--wait", help="Watch it until it is over.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Say what each input and output became, and what the driver printed.")]
Workspace = Annotated[str | None, typer.Option("--workspace", help="Workspace (default: the configured one).")]  # -w waits here


def add_to(app: typer.Typer) -> None:
    commands: dict[str, Callable[..., None]] = {"run batch": run, "listjobs batch": list_jobs, "viewjob batch": view_job, "canceljob batch": cancel_job}
    for name, command in commands.items():
        app.command(name)(command)
    app.command("showjob batch", hidden=True)(view_job)


def run(
    word: Word = None,
    name: Name = None,
    job: JobId = None,
    in_: In = None,
    out: Out = None,
    param: Param = None,
    credentials: Credentials = None,
    wait: Wait = False,
    verbose: Verbose = False,
    tag: Annotated[list[str] | None, typer.Option("--tag", metavar="NAME=VALUE", help="Label of the job; may be repeated.")] = None,
    workspace: Workspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Run a batch service: a job of its own, which goes on when this command ends.

    \b
    fairlead service run batch -n inspector --in=--data:today.csv --out=--scores:scores.csv -w
    """
    output = Output(as_json=as_json, quiet=quiet)
    said = {option: given(words, option) for option, words in (("--in", in_), ("--out", out), ("--param", param))}
    progress = Progress(output)
    with connected(progress, workspace) as transport:
        service = jobs.show_service(transport, called(word, name))
        _check(service, said)
        with progress.stage("uploading"):
            identity = job or f"{datetime.now():%Y-%m-%d_%H%M%S}"  # noqa: DTZ005 - the caller's own clock
            told = {"credentials": _flags(labels(credentials, "--credentials")), "tags": labels(tag, "--tag")}

            def ask(way: Way) -> Job:
                parameters = _parameters(way, said, output if verbose else Output(quiet=True))
                return jobs.run_service(transport, service.name, identity, NewServiceJob.of(parameters=parameters, **told))

            made = by_the_shortest(transport, ask)
        if not wait:
            view = f"fairlead service viewjob batch -n {service.name} -j {made.name}"
            output.result(made, short=made.name, lines=[("job", made.name), ("state", made.state.value), ("follow", view)])
            return
        job_watch.show_end(job_watch.wait(transport, made, output), output)


def list_jobs(word: Word = None, name: Name = None, workspace: Workspace = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """List the jobs of a batch service.

    \b
    fairlead service listjobs batch -n inspector
    """
    with connect(workspace=workspace) as transport:
        service = called(word, name)
        found = list(jobs.list_service_jobs(transport, service))
    rows = [(each.name, each.updated_at, each.state.value) for each in found]
    Output(as_json=as_json, quiet=quiet).table(found, ("NAME", "CHANGED", "STATE"), rows, empty=f"{service} has no jobs yet.")


def view_job(word: Word = None, name: Name = None, job: WhichJob = None, workspace: Workspace = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Show a job of a batch service: its state, and where its log is.

    \b
    fairlead service viewjob batch -n inspector -j 2026-01-31_235959
    """
    output = Output(as_json=as_json, quiet=quiet)
    with connect(workspace=workspace) as transport:
        found = _find(transport, called(word, name), job)
    if as_json or quiet:
        output.result(found, short=found.state.value)
        return
    print(f"Name: {found.service}\nJobId: {found.name}\nDriverLogFile: user/driver.txt (`fairlead job logs {found.id}`)\nState: {found.state.value}")
    if found.failure is not None:
        print(f"Message: {found.failure.message}")


def cancel_job(word: Word = None, name: Name = None, job: WhichJob = None, workspace: Workspace = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """End a job of a batch service.

    \b
    fairlead service canceljob batch -n inspector -j 2026-01-31_235959
    """
    output = Output(as_json=as_json, quiet=quiet)
    with connect(workspace=workspace) as transport:
        found = _find(transport, called(word, name), job)
        jobs.cancel_service_job(transport, str(found.service), found.name)
        with output.phase(f"ending {found.name}"):
            found = jobs.wait_over(transport, found.id)
    output.result(found, short=found.name, lines=[("job", found.name), ("state", found.state.value)])


def _find(transport: Transport, service: str, job: str | None) -> Job:
    if job is None:
        raise UsageError(f"Which job? Say its id, -j JOB; `fairlead service listjobs batch -n {service}` shows those there are.")
    return jobs.show_service_job(transport, service, job)


def _check(service: BatchService, said: Mapping[str, Mapping[str, str]]) -> None:
    """Before anything is uploaded. Raises UsageError."""
    options = {("Reference", "Input"): "--in", ("Reference", "Output"): "--out", ("Value", "Input"): "--param"}
    known = {each.id: options[each.kind, each.direction] for each in service.parameters}
    for option, values in said.items():
        for flag in values:
            if flag not in known:
                raise UsageError(f"{service.name} has no {flag}. Usage: {service.usage}")
            if known[flag] != option:
                raise UsageError(f"{flag} of {service.name} is given with {known[flag]}, not with {option}.")
    for each in service.parameters:
        if each.default is None and not any(each.id in values for values in said.values()):
            raise UsageError(f"Must provide value for service parameter {each.id}: {known[each.id]}={each.id}:VALUE.")


def _parameters(way: Way, said: Mapping[str, Mapping[str, str]], output: Output) -> dict[str, Any]:
    """Everything that was said, as the server is told it."""
    made = dict(said["--param"])
    for option, direction in (("--in", "Input"), ("--out", "Output")):
        made |= {flag: place_of(way, flag, value, direction=direction, say=output.say) for flag, value in said[option].items()}
    return made


def _flags(said: Mapping[str, str]) -> dict[str, str]:
    return {name if name.startswith("-") else f"--{name}": secret for name, secret in said.items()}
