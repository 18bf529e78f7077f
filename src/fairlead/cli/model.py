"""`fairlead model`: register, find, change and fetch versions of models."""

from __future__ import annotations

from itertools import islice
from typing import Annotated, Any

import typer

from fairlead.cli import model_aliases, pairs
from fairlead.cli.model_options import (
    Asked,
    Cores,
    Datasets,
    Description,
    Devices,
    Memory,
    Metrics,
    ModelId,
    Name,
    PropertyFilter,
    SampleInput,
    SampleOutput,
    TagFilter,
    Version,
    Workspace,
    reference_of,
    resources_of,
    text_of,
)
from fairlead.cli.model_shown import SHOWN, difference_lines, version_lines
from fairlead.cli.output import AsJson, Output, Quiet, size
from fairlead.client import models
from fairlead.client.connection import connect
from fairlead.errors import UsageError
from fairlead.schemas.models import ModelChange
from fairlead.schemas.references import parse_reference
from fairlead.schemas.search import Search

app = typer.Typer(no_args_is_help=True, help="Models: named, versioned, with what is known about them.")
app.add_typer(model_aliases.app, name="alias", help="Names that move from version to version, such as churn@champion.")
LATER = {"model_register": ("register",), "model_deploy": ("deploy", "profile", "package"), "model_download": ("download",)}


@app.command("list")
def list_(
    name: Annotated[str | None, typer.Argument(help="A name, or the beginning of names with * behind it.")] = None,
    named: Name = None,
    where: Annotated[str | None, typer.Option(metavar="EXPRESSION", help="Such as \"metrics.auc > 0.9 and tags.stage = 'prod'\".")] = None,
    tag: TagFilter = None,
    property: PropertyFilter = None,  # noqa: A002 - the option's name
    framework: Annotated[str | None, typer.Option("--model-framework", "--framework", help="Of this framework, such as ScikitLearn.")] = None,
    run_id: Annotated[str | None, typer.Option(help="Which this run made.")] = None,
    dataset: Annotated[str | None, typer.Option("--dataset-id", "--dataset", help="Which came from a data set of this name or digest.")] = None,
    latest: Annotated[bool, typer.Option("--latest", "-l", help="Only the newest version of each name.")] = False,
    archived: Annotated[bool | None, typer.Option("--archived/--with-archived", help="Only archived ones, or those too; they are left out by default.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="How many at most; default: 100 in a table, all with --json or --quiet.")] = None,
    workspace: Workspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """List versions, the newest first.

    Where: name, version, framework, framework_version, flavor, run_id, stage, size, created_at, created_by, metrics.NAME, tags.NAME, properties.NAME;
    =, !=, <, <=, >, >=, like; and, or, not, brackets.

    Example: fairlead model list --where "metrics.auc > 0.9 and tags.stage = 'prod'" --latest
    """
    output = Output(as_json=as_json, quiet=quiet)
    asked = Search(
        name=name or named,
        tags=tag or (),
        properties=property or (),
        framework=framework,
        run_id=run_id,
        dataset=dataset,
        latest=latest,
        archived={None: False, True: True, False: None}[archived],
        where=where,
    )
    most = limit or (None if as_json or quiet else SHOWN)
    with connect(workspace=workspace) as transport:
        found = list(islice(models.search(transport, asked), most))
    rows = [(each.reference, each.framework, each.stage, each.aliases, each.tags, each.created_at) for each in found]
    narrowed = asked != Search(archived=False)
    none = "No version is like that; `fairlead model list` shows all." if narrowed else "There are no models yet; `fairlead model register FILE` makes one."
    output.table(found, ("MODEL", "FRAMEWORK", "STAGE", "ALIASES", "TAGS", "CREATED"), rows, empty=none)
    if most and len(found) == most and limit is None:
        output.say(f"These are the newest {most}; --limit shows more.")


@app.command()
def names(
    name: Annotated[str | None, typer.Argument(help="The beginning of names with * behind it.")] = None,
    workspace: Workspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """List the names, each with its latest version.

    Example: fairlead model names
    """
    output = Output(as_json=as_json, quiet=quiet)
    with connect(workspace=workspace) as transport:
        found = list(models.each_model(transport, name))
    rows = [(each.name, each.latest_version or None, each.versions, each.aliases, each.updated_at) for each in found]
    output.table(found, ("NAME", "LATEST", "VERSIONS", "ALIASES", "CHANGED"), rows, empty="There are no models; `fairlead model register` makes one.")


@app.command()
def versions(name: Annotated[str, typer.Argument(help="Of the model.")], workspace: Workspace = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """List all versions of a name, archived ones too.

    Example: fairlead model versions churn
    """
    output = Output(as_json=as_json, quiet=quiet)
    with connect(workspace=workspace) as transport:
        found = list(models.each_version(transport, parse_reference(name).name))
    rows = [(each.version, each.stage, each.aliases, each.metrics, each.tags, each.created_at, each.created_by) for each in found]
    columns = ("VERSION", "STAGE", "ALIASES", "METRICS", "TAGS", "CREATED", "BY")
    output.table(found, columns, rows, empty=f"{name} has no versions left.")


@app.command()
def show(
    asked: Asked = None,
    model_id: ModelId = None,
    name: Name = None,
    version: Version = None,
    workspace: Workspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Show one version: what it is, where it came from, what is said of it.

    Example: fairlead model show churn:3
    """
    with connect(workspace=workspace) as transport:
        found = models.show_version(transport, reference_of(asked, model_id, name, version))
    Output(as_json=as_json, quiet=quiet).result(found, short=found.reference, lines=version_lines(found))


@app.command()
def diff(
    first: Annotated[str, typer.Argument(metavar="NAME[:VERSION]", help="The version that callers know.")],
    second: Annotated[str, typer.Argument(metavar="VERSION|NAME:VERSION", help="The other: 4, latest, @champion, or with a name.")],
    workspace: Workspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Show what differs between two versions, and whether callers of the first can call the second.

    Example: fairlead model diff churn:3 4
    """
    one = parse_reference(first)
    has_name = ":" in second or "@" in second[1:]
    with connect(workspace=workspace) as transport:
        found = models.difference(transport, one, parse_reference(second) if has_name else parse_reference(one.name, second))
    Output(as_json=as_json, quiet=quiet).result(found, short=found.compatibility, lines=difference_lines(found))


@app.command("update", hidden=True)  # the seeds' word
@app.command()
def edit(
    asked: Asked = None,
    model_id: ModelId = None,
    name: Name = None,
    version: Version = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", "--add-tag", metavar="KEY=VALUE", help="Set a tag; may be repeated.")] = None,
    remove_tag: Annotated[list[str] | None, typer.Option("--remove-tag", metavar="KEY", help="Remove a tag; may be repeated.")] = None,
    property: Annotated[  # noqa: A002 - the option's name
        list[str] | None, typer.Option("--property", "--add-property", metavar="KEY=VALUE", help="Add a property; may be repeated.")
    ] = None,
    metric: Metrics = None,
    dataset: Datasets = None,
    description: Description = None,
    sample_input: SampleInput = None,
    sample_output: SampleOutput = None,
    cc: Cores = None,
    gb: Memory = None,
    gc: Devices = None,
    archive: Annotated[bool | None, typer.Option("--archive/--unarchive", help="Hide it from lists and from `latest`, or bring it back.")] = None,
    workspace: Workspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Change what is said of a version. Properties can be added, not changed.

    Example: fairlead model edit churn:3 --tag stage=prod --remove-tag trial
    """
    tags: dict[str, str | None] = {**pairs.labels(tag, "--tag"), **dict.fromkeys(remove_tag or ())}
    said: dict[str, Any] = {
        "tags": tags or None,
        "properties": pairs.labels(property, "--property") or None,
        "metrics": pairs.numbers(metric, "--metric") or None,
        "datasets": pairs.datasets(dataset, "--dataset") or None,
        "description": description,
        "sample_input": text_of(sample_input),
        "sample_output": text_of(sample_output),
        "resources": resources_of(cc, gb, gc),
        "archived": archive,
    }
    changes = ModelChange.of(**{name: value for name, value in said.items() if value is not None})
    if not changes.model_fields_set:
        raise UsageError("What should change? Give --tag, --property, --description, --archive or another option.")
    with connect(workspace=workspace) as transport:
        found = models.change_version(transport, reference_of(asked, model_id, name, version), changes)
    Output(as_json=as_json, quiet=quiet).result(found, short=found.reference, lines=version_lines(found))


@app.command()
def delete(
    asked: Asked = None,
    model_id: ModelId = None,
    name: Name = None,
    version: Version = None,
    all_versions: Annotated[bool, typer.Option("--all-versions", help="The name with all its versions.")] = False,
    workspace: Workspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Delete a version, or a name with all its versions; refused while a service uses it.

    Example: fairlead model delete churn:1
    """
    reference = reference_of(asked, model_id, name, version)
    is_said = version is not None or str(reference) in (asked, model_id)
    if is_said == all_versions:
        raise UsageError(f"Say which version, such as {reference.name}:1, or --all-versions for the whole name; not both.")
    with connect(workspace=workspace) as transport:
        if all_versions:
            models.delete_model(transport, reference.name)
        else:
            models.delete_version(transport, reference)
    gone = reference.name if all_versions else str(reference)
    Output(as_json=as_json, quiet=quiet).result({"deleted": gone}, short=gone, lines=[("Deleted", gone)])


@app.command()
def files(asked: Asked = None, model_id: ModelId = None, workspace: Workspace = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """List the files of a version.

    Example: fairlead model files churn:3
    """
    with connect(workspace=workspace) as transport:
        found = list(models.each_file(transport, reference_of(asked, model_id, None, None)))
    rows = [(each.path, size(each.size), each.sha256[:12]) for each in found]
    Output(as_json=as_json, quiet=quiet).table(found, ("PATH", "SIZE", "SHA-256"), rows, empty="It has no files.")


@app.command()
def uses(
    asked: Annotated[str, typer.Argument(metavar="NAME[:VERSION]", help="A name with all its versions, or one version.")],
    all_: Annotated[bool, typer.Option("--all", help="Also where it was used before.")] = False,
    workspace: Workspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Show where a model is deployed.

    Example: fairlead model uses churn:3
    """
    reference, current = parse_reference(asked), None if all_ else True
    with connect(workspace=workspace) as transport:
        whole = reference.name == asked
        found = list(models.each_model_use(transport, asked, current=current) if whole else models.each_use(transport, reference, current=current))
    rows = [(each.name, each.kind, each.revision, f"{reference.name}:{each.version}", each.since, each.until) for each in found]
    Output(as_json=as_json, quiet=quiet).table(found, ("NAME", "KIND", "REVISION", "MODEL", "SINCE", "UNTIL"), rows, empty=f"Nothing uses {asked}.")


@app.command()
def history(
    asked: Annotated[str, typer.Argument(metavar="NAME[:VERSION]", help="A name with all its versions, or one version.")],
    workspace: Workspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Show what happened to a model: registered, deployed, changed, archived, its aliases moved.

    Example: fairlead model history churn
    """
    reference = parse_reference(asked)
    with connect(workspace=workspace) as transport:
        found = list(models.each_model_event(transport, asked) if reference.name == asked else models.each_event(transport, reference))
    model_aliases.show_events(Output(as_json=as_json, quiet=quiet), found)
