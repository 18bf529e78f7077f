"""`fairlead job`: batch jobs, how far they are, what they left, what happened to them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from fairlead.cli import job_logs, job_watch
from fairlead.cli.model_options import Workspace
from fairlead.cli.output import AsJson, Output, Quiet, shown, size
from fairlead.client import jobs
from fairlead.client.connection import connect
from fairlead.client.transport import Transport
from fairlead.errors import UsageError
from fairlead.schemas.jobs import Job, JobState
from fairlead.sdk import job_outputs

app = typer.Typer(help="Batch jobs: how far they are, what they left, what happened.", no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(metavar="JOB", help="The job's name or id.", show_default=False)]
Service = Annotated[str | None, typer.Option("--service", "-s", help="The batch service that it is a job of, where JOB is its name there.")]
Wait = Annotated[bool, typer.Option("--wait", help="Watch it until it is over; what failed ends this command with an error.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Return when the server has taken it on.")]
State = Annotated[str | None, typer.Option(help="Only those that are so: NotStarted, InProgress, Succeeded, Failed or Cancelled.")]


@app.command("list")
def list_jobs(
    state: State = None,
    service: Annotated[str | None, typer.Option("--service", "-s", help="Only jobs of this batch service.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-l", min=1, help="At most so many, the newest.")] = 100,
    workspace: Workspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """List jobs, the newest first.

    \b
    fairlead job list --state Failed
    """
    with connect(workspace=workspace) as transport:
        wanted = None if state is None else state_of(state)
        found = [job for _, job in zip(range(limit), jobs.list_jobs(transport, state=wanted, service=service), strict=False)]
    rows = [(each.name, shown_state(each), each.service or ", ".join(each.models), rows_of(each), each.created_at) for each in found]
    columns = ("NAME", "STATE", "WHAT", "ROWS", "WHEN")
    Output(as_json=as_json, quiet=quiet).table(found, columns, rows, empty="There are no jobs; `fairlead batch run MODEL --in FILES` makes one.")


@app.command()
def show(name: Name, service: Service = None, wait: Wait = False, workspace: Workspace = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Show a job.

    \b
    fairlead job show nightly
    fairlead job show nightly --wait
    """
    output = Output(as_json=as_json, quiet=quiet)
    with connect(workspace=workspace) as transport:
        job = find(transport, name, service)
        if wait:
            job_watch.show_end(job_watch.wait(transport, job, output), output)
            return
    output.result(job, short=job.state.value, lines=facts(job))


@app.command()
def events(name: Name, service: Service = None, workspace: Workspace = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """List what has happened to a job: stages, tries, workers and nodes that came and went, the end.

    \b
    fairlead job events nightly
    """
    with connect(workspace=workspace) as transport:
        found = list(jobs.list_events(transport, find(transport, name, service).id))
    rows = [(each.at, each.event, each.state, each.node, each.message) for each in found]
    Output(as_json=as_json, quiet=quiet).table(found, ("WHEN", "EVENT", "STATE", "NODE", "MESSAGE"), rows, empty="Nothing has happened yet.")


@app.command()
def cancel(name: Name, service: Service = None, workspace: Workspace = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """End a job within seconds; the pieces that it has published stay whole.

    \b
    fairlead job cancel nightly
    """
    output = Output(as_json=as_json, quiet=quiet)
    with connect(workspace=workspace) as transport:
        job = jobs.cancel_job(transport, find(transport, name, service).id)
        with output.phase(f"ending {job.name}"):
            job = jobs.wait_over(transport, job.id)
    output.result(job, short=job.name, lines=[("job", job.name), ("state", job.state.value)])


@app.command()
def delete(name: Name, service: Service = None, workspace: Workspace = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Delete a job that is over: its logs, and answers that the server keeps. Its records stay.

    \b
    fairlead job delete nightly
    """
    with connect(workspace=workspace) as transport:
        job = find(transport, name, service)
        jobs.delete_job(transport, job.id)
    Output(as_json=as_json, quiet=quiet).result({"deleted": job.name, "id": job.id}, short=job.name, lines=[("deleted", job.name)])


@app.command()
def rerun(
    name: Name,
    service: Service = None,
    new_name: Annotated[str | None, typer.Option("--name", "-n", help="Of the new job; default: the time.")] = None,
    no_wait: NoWait = False,
    workspace: Workspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Run a job once more, with the models and packages of then. Into the same output, what is published already is not done again.

    \b
    fairlead job rerun nightly
    """
    output = Output(as_json=as_json, quiet=quiet)
    with connect(workspace=workspace) as transport:
        job = jobs.rerun_job(transport, find(transport, name, service).id, new_name)
        if not no_wait:
            job_watch.show_end(job_watch.wait(transport, job, output), output)
            return
    output.result(job, short=job.name, lines=[("job", job.name), ("state", job.state.value), ("again", job.rerun_of)])


@app.command()
def query(
    sql: Annotated[str, typer.Argument(metavar="SELECT", help="Read-only SQL over the table job_events.", show_default=False)],
    workspace: Workspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Ask the records of jobs: one SELECT over job_events (TimeGenerated, EventType, JobId, JobName, ExecutionState, NodeId, ErrorDetails, …).

    \b
    fairlead job query "select JobName, ErrorDetails from job_events where ExecutionState = 'Failed'"
    """
    output = Output(as_json=as_json, quiet=quiet)
    with connect(workspace=workspace) as transport:
        found = jobs.query_jobs(transport, sql)
    output.table([dict(zip(found.columns, row, strict=True)) for row in found.rows], found.columns, found.rows, empty="No record fits.")
    if found.more:
        output.say("There are more; narrow it down, or say LIMIT and OFFSET.")


@app.command()
def outputs(
    name: Name,
    service: Service = None,
    download: Annotated[Path | None, typer.Option("--download", "-d", metavar="FOLDER", help="Fetch them into a folder; each is checked.")] = None,
    workspace: Workspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """List the files that a job has published, or fetch them.

    \b
    fairlead job outputs nightly
    fairlead job outputs nightly --download scores
    """
    output = Output(as_json=as_json, quiet=quiet)
    with connect(workspace=workspace) as transport:
        job = find(transport, name, service)
        found = list(jobs.list_outputs(transport, job.id))
        if download is not None:
            with output.transfer(f"Fetching {size(sum(each.bytes for each in found))}", sum(each.bytes for each in found)) as progress:
                job_outputs.download(transport, job.id, found, download, progress)
    rows = [(each.path, each.rows, size(each.bytes), each.kind) for each in found]
    output.table(found, ("PATH", "ROWS", "SIZE", "KIND"), rows, empty="Nothing is published yet.")


def find(transport: Transport, name: str, service: str | None) -> Job:
    """By name, by id, or by the name that it has in a batch service. Raises NotFound."""
    return jobs.show_job(transport, name) if service is None else jobs.show_service_job(transport, service, name)


def state_of(said: str) -> str:
    """As it is written. Raises UsageError."""
    found = next((each.value for each in JobState if each.value.lower() == said.lower().replace(" ", "")), None)
    if found is None:
        raise UsageError(f"--state {said}: say {', '.join(JobState)}.")
    return found


def shown_state(job: Job) -> str:
    """With what it is doing."""
    return f"{job.state.value}, {job.stage.value}" if job.stage is not None and not job.state.is_over else job.state.value


def rows_of(job: Job) -> str:
    if job.progress is None or job.kind != "score":
        return "-"
    return f"{job.progress.rows.done:,}" + (f" of {job.progress.rows.total:,}" if job.progress.rows.total and not job.state.is_over else "")


def facts(job: Job) -> list[tuple[str, Any]]:
    """Label and value, those that are known."""
    failure = job.failure
    return [
        ("name", job.name),
        ("state", shown_state(job)),
        ("message", job.message if failure is None else None),
        ("failed at", failure and f"{failure.stage}, {failure.cause}"),
        ("because", failure and failure.message),
        ("service", job.service),
        ("models", job.models),
        ("parameters", job.parameters),
        ("engine", job.engine),
        *((label.lower(), text) for label, text in job_watch.told_of(job)),
        ("environment", job.environment),
        ("restarts", job.restarts or None),
        ("again", job.rerun_of),
        ("tags", job.tags),
        ("description", job.description),
        ("created", f"{job.created_at:%Y-%m-%d %H:%M:%S} by {job.created_by or '-'}"),
        ("started", job.started_at and shown(job.started_at)),
        ("finished", job.finished_at and shown(job.finished_at)),
        ("id", job.id),
    ]


job_logs.add_to(app)
