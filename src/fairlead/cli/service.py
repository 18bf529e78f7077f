"""`fairlead service`: what runs, how it is, how to change it. Each verb also takes the word `realtime` or `batch`, as the first generation had it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from fairlead.cli.batch_words import WithBatch
from fairlead.cli.deployment import Progress, sample_for, show_service, usage, wait
from fairlead.cli.model_options import Workspace
from fairlead.cli.output import AsJson, Output, Quiet
from fairlead.cli.service_names import Id, Name, Words, find, kind_of
from fairlead.client import services
from fairlead.client.connection import connect
from fairlead.errors import UsageError
from fairlead.schemas.services import Revision, Service

app = typer.Typer(cls=WithBatch, help="What runs, how it is, how to change it.", no_args_is_help=True, rich_markup_mode=None)
LATER = {
    "service_create": ("create",),
    "service_calls": ("run", "logs", "get-logs"),
    "service_changes": ("update", "reload", "scale", "rollback", "delete"),
    "service_access": ("get-keys", "keys", "regen-key", "get-access-token"),
    "service_measures": ("profile",),
    "service_doctor": ("doctor",),
    "batch_services": ("create batch", "list batch", "show batch", "view batch", "delete batch"),
    "batch_jobs": ("run batch", "listjobs batch", "viewjob batch", "showjob batch", "canceljob batch"),
}

Wait = Annotated[bool, typer.Option("--wait", help="First wait until the deployment that is going on is decided.")]
Model = Annotated[str | None, typer.Option("-m", "--model", help="Only those with this model: NAME or NAME:VERSION.")]
State = Annotated[str | None, typer.Option(help="Only those that are so, such as Healthy.")]
Tag = Annotated[list[str] | None, typer.Option("--tag", metavar="KEY[=VALUE]", help="Only those with this tag; may be repeated.")]
Property = Annotated[list[str] | None, typer.Option("--property", metavar="KEY[=VALUE]", help="Only those with this property; may be repeated.")]


@app.command("list")
def list_services(
    words: Annotated[list[str] | None, typer.Argument(metavar="[realtime]", show_default=False, help="A word of the first generation, without effect.")] = None,
    model: Model = None,
    state: State = None,
    tag: Tag = None,
    property: Property = None,  # noqa: A002 - the option's name
    workspace: Workspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """List services.

    \b
    fairlead service list --model churn --state Healthy
    """
    output = Output(as_json=as_json, quiet=quiet)
    if kind_of(words):
        raise UsageError("`service list` takes no name; `fairlead service show NAME` shows one.")
    with connect(workspace=workspace) as transport:
        found = list(services.list_services(transport, model=model, state=state and state.capitalize(), tag=tag or None, property=property or None))
    columns = ("NAME", "STATE", "REV", "MODELS", "WORKERS", "ADDRESS")
    rows = [(each.name, each.state.value, each.revision, each.models, _workers(each), _address(each)) for each in found]
    output.table(found, columns, rows, empty="There are no services; `fairlead deploy MODEL` makes one.")


@app.command()
def show(
    words: Words = None, name: Name = None, identity: Id = None, wait_: Wait = False, workspace: Workspace = None, as_json: AsJson = False, quiet: Quiet = False
) -> None:
    """Show a service.

    \b
    fairlead service show churn
    fairlead service show churn --wait
    """
    output = Output(as_json=as_json, quiet=quiet)
    with connect(workspace=workspace) as transport:
        service = services.show_service(transport, find(transport, words, name, identity))
        if wait_:
            service = wait(transport, service, output, Progress(output))
    output.result(service, short=service.state.value, lines=facts(service))


app.command("view", hidden=True)(show)


@app.command("usage")
def show_usage(words: Words = None, name: Name = None, identity: Id = None, workspace: Workspace = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Show how a service is called: address, keys, a sample call, where its log is.

    \b
    fairlead service usage churn
    """
    output = Output(as_json=as_json, quiet=quiet)
    with connect(workspace=workspace) as transport:
        service = services.show_service(transport, find(transport, words, name, identity))
        sample = sample_for(transport, service)
    if as_json:
        output.result({label.lower().replace(" ", "_"): text for label, text in usage(service, sample)}, short="")
        return
    show_service(service, output, sample=sample)


@app.command()
def revisions(words: Words = None, name: Name = None, identity: Id = None, workspace: Workspace = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """List what a service has been: newest first.

    \b
    fairlead service revisions churn
    """
    output = Output(as_json=as_json, quiet=quiet)
    with connect(workspace=workspace) as transport:
        found = list(services.list_revisions(transport, find(transport, words, name, identity)))
    rows = [(each.number, each.state, each.reason, each.models, each.created_by, each.created_at, _remark(each)) for each in found]
    output.table(found, ("REV", "STATE", "REASON", "MODELS", "BY", "WHEN", ""), rows, empty="There are no revisions.")


@app.command()
def events(words: Words = None, name: Name = None, identity: Id = None, workspace: Workspace = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """List what has happened to a service.

    \b
    fairlead service events churn
    """
    output = Output(as_json=as_json, quiet=quiet)
    with connect(workspace=workspace) as transport:
        found = list(services.list_events(transport, find(transport, words, name, identity)))
    rows = [(each.at, each.revision, each.event, each.message) for each in found]
    output.table(found, ("WHEN", "REV", "EVENT", "MESSAGE"), rows, empty="Nothing has happened yet.")


def facts(service: Service) -> list[tuple[str, Any]]:
    """Label and value, those that are known."""
    failure = service.update_error
    return [
        ("name", service.name),
        ("state", service.state.value + (f", {service.stage.value}" if service.stage and service.state.value in ("Transitioning", "Updating") else "")),
        ("message", service.message if failure is None or failure.message != service.message else None),
        ("revision", f"{service.revision or '-'}" + (f" (wanted: {service.wanted_revision})" if service.wanted_revision != service.revision else "")),
        ("failed at", failure and f"{failure.stage}, {failure.cause}"),
        ("because", failure and failure.message),
        ("models", service.models),
        ("scoring uri", service.scoring_uri),
        ("swagger uri", service.swagger_uri),
        ("auth", service.auth),
        ("workers", _workers(service)),
        ("settings", {name: value for name, value in service.settings.model_dump(exclude_none=True).items() if value not in ({}, [])}),
        ("tags", service.tags),
        ("properties", service.properties),
        ("description", service.description),
        ("target", service.target),
        ("image", service.image),
        ("created", f"{service.created_at:%Y-%m-%d %H:%M:%S} by {service.created_by or '-'}"),
        ("updated", service.updated_at),
        ("id", service.id),
    ]


def _workers(service: Service) -> str:
    return f"{service.workers_ready}/{service.workers_wanted}" if service.workers_wanted is not None else "-"


def _address(service: Service) -> str | None:
    return service.scoring_uri.removesuffix("/score") if service.scoring_uri else None


def _remark(revision: Revision) -> str:
    if revision.failure is not None:
        return f"{revision.failure.stage}: {revision.failure.cause}"
    return f"back to {revision.rollback_of}" if revision.rollback_of is not None else ""
