"""`fairlead dataset`: what is read where, in versions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from fairlead.cli.dataset_file import read_registration
from fairlead.cli.output import AsJson, InWorkspace, Output, Quiet, size
from fairlead.cli.pairs import labels
from fairlead.client import data
from fairlead.client.connection import connect
from fairlead.errors import UsageError
from fairlead.schemas.data import DatasetDefinition, DatasetVersion, NewDatasetVersion, parse_dataset
from fairlead.sdk.dataset_factory import Dataset
from fairlead.sdk.workspace import Workspace

app = typer.Typer(no_args_is_help=True, help="Data sets: files or rows by a name, in versions that never change.")

Reference = Annotated[str, typer.Argument(metavar="NAME[:VERSION]", help="Without a version: the latest.")]


@app.command()
def register(
    file: Annotated[Path | None, typer.Option("--file", "-f", metavar="FILE", help="A registration file (JSON), as Azure ML's command takes it.")] = None,
    name: Annotated[str | None, typer.Option("--name", "-n", help="New or existing; an existing one gets its next version.")] = None,
    path: Annotated[
        list[str] | None, typer.Option("--path", "-p", metavar="PATH|URL", help="datastore:NAME/PATH, a URL or a path of the server. May be repeated.")
    ] = None,
    type_: Annotated[str | None, typer.Option("--type", help="File or Tabular (default: File).")] = None,
    format_: Annotated[str | None, typer.Option("--format", help="Of rows: parquet, csv, tsv, jsonl, arrow, arff (default: by the names).")] = None,
    option: Annotated[
        list[str] | None, typer.Option("--option", metavar="WORD=JSON", help="Of the format: delimiter=';', header=false. May be repeated.")
    ] = None,
    partition_format: Annotated[str | None, typer.Option(help="Columns that paths say: /{at:yyyy/MM/dd}/{shop}/data.csv.")] = None,
    query: Annotated[str | None, typer.Option(help="SQL; --path is then the datastore of a database.")] = None,
    timestamp: Annotated[str | None, typer.Option(help="The column that is the time of a row.")] = None,
    columns: Annotated[str | None, typer.Option(help="Those that are read, with commas between (default: all).")] = None,
    description: Annotated[str | None, typer.Option("--description", "-d", help="In words.")] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", metavar="KEY=VALUE", help="May be repeated, and changed later.")] = None,
    listed: Annotated[bool, typer.Option("--listed", help="Count the files; the digest then changes when one of them does.")] = False,
    new_only: Annotated[bool, typer.Option("--new-only", help="Fail when there is one of this name that says otherwise.")] = False,
    workspace: InWorkspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Register a data set: its next version, or the latest when it says the same.

    \b
    Examples:
    fairlead dataset register -n images --path datastore:workspaceblobstore/images
    fairlead dataset register -f dataset.json
    """
    said: dict[str, Any] = read_registration(file) if file is not None else {"create_new_version": not new_only, "definition": {}}
    definition = {**said["definition"]} | ({"paths": [path_of(each) for each in path]} if path else {})
    definition |= {"kind": _kind(type_, definition.get("kind"), tabular=bool(format_ or query or timestamp or columns))}
    plain = {"format": format_, "query": query, "timestamp": timestamp, "columns": columns.split(",") if columns else None}
    definition |= {word: value for word, value in plain.items() if value is not None}
    definition["options"] = {**definition.get("options", {}), **_options(option), **({"partition_format": partition_format} if partition_format else {})}
    said |= {word: value for word, value in {"name": name, "description": description, "tags": labels(tag, "--tag") or None}.items() if value is not None}
    if "name" not in said or not definition.get("paths"):
        raise UsageError("Which data set? Give --name and --path, or a registration file with -f.")
    new = NewDatasetVersion.of(**{**said, "listed": listed, "definition": DatasetDefinition.of(**definition)})
    output = Output(as_json=as_json, quiet=quiet)
    with connect(workspace=workspace) as transport:
        made = data.register_dataset(transport, new)
    for each in path or ():
        if _is_missing(each):
            output.say(f"Nothing is at {each} on this machine; what reads the data set fails until there is.")
    _show(made, output)


@app.command("list")
def list_(
    name: Annotated[str | None, typer.Argument(help="A data set, whose versions are listed; without it all data sets are.")] = None,
    workspace: InWorkspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """List data sets, or the versions of one.

    Example: fairlead dataset list images
    """
    output = Output(as_json=as_json, quiet=quiet)
    with connect(workspace=workspace) as transport:
        if name is None:
            found = list(data.list_datasets(transport))
            rows = [(each.name, each.latest_version or "-", each.versions, each.updated_at) for each in found]
            output.table(found, ("NAME", "LATEST", "VERSIONS", "CHANGED"), rows, empty="There are no data sets; `fairlead dataset register` makes one.")
            return
        kept = list(data.list_versions(transport, name))
    cells = [(each.reference, each.definition.kind, _places(each), each.created_at, each.created_by) for each in kept]
    output.table(kept, ("VERSION", "TYPE", "PATHS", "CREATED", "BY"), cells, empty=f"{name} has no versions.")


@app.command()
def show(
    reference: Reference,
    files: Annotated[bool, typer.Option("--files", help="List the files that it has now.")] = False,
    workspace: InWorkspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Show one version, or its files.

    Example: fairlead dataset show images:2 --files
    """
    output = Output(as_json=as_json, quiet=quiet)
    with connect(workspace=workspace) as transport:
        if files:
            found = list(data.each_dataset_file(transport, *parse_dataset(reference)))
            output.table(found, ("PATH", "SIZE"), [(each.path, size(each.size)) for each in found], empty="There are no files.")
            return
        version = data.show_dataset(transport, *parse_dataset(reference))
    _show(version, output)


@app.command()
def download(
    reference: Reference,
    target: Annotated[Path, typer.Option("--target", "-t", help="The folder that its files are put into.")] = Path(),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
    workspace: InWorkspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Fetch the files of a data set.

    Example: fairlead dataset download images --target images
    """
    output = Output(as_json=as_json, quiet=quiet)
    with Workspace(workspace) as opened:
        found = Dataset.get_by_name(opened, *parse_dataset(reference)).download(target, overwrite)
    output.result({"files": found}, short=str(target) if quiet else f"Fetched {len(found)} file{'' if len(found) == 1 else 's'}.")


@app.command()
def delete(
    reference: Annotated[str, typer.Argument(metavar="NAME[:VERSION]", help="Without a version: all of it.")],
    workspace: InWorkspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Forget a version, or a data set with all versions; the data stays where it is.

    Example: fairlead dataset delete images:1
    """
    name, version = parse_dataset(reference)
    with connect(workspace=workspace) as transport:
        data.delete_dataset(transport, name, version if ":" in reference else None)
    Output(as_json=as_json, quiet=quiet).result({"deleted": reference}, short=reference if quiet else f"{reference} is deleted; its data is not.")


def path_of(said: str) -> dict[str, str]:
    """`datastore:NAME/PATH`, a URL, or a path, which is made absolute."""
    if said.startswith("datastore:"):
        name, _, below = said.removeprefix("datastore:").partition("/")
        return {"datastore": name, "path": below}
    return {"url": said if "://" in said else str(Path(said).absolute())}


def _is_missing(said: str) -> bool:
    """Only of plain paths of this machine: patterns, URLs and datastores are looked at when they are read."""
    return not (said.startswith("datastore:") or "://" in said or set(said) & set("*?[") or Path(said).exists())


def _kind(said: str | None, known: str | None, *, tabular: bool) -> str:
    if said is None:
        return "Tabular" if tabular else known or "File"
    if said.lower() not in ("file", "tabular"):
        raise UsageError(f"--type {said}: write File or Tabular.")
    return said.capitalize()


def _options(said: list[str] | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for word, text in labels(said, "--option").items():
        try:
            found[word] = json.loads(text)
        except ValueError:
            found[word] = text
    return found


def _places(version: DatasetVersion) -> str:
    return ", ".join(each.url or f"{each.datastore}/{each.path}".rstrip("/") for each in version.definition.paths)


def _show(found: DatasetVersion, output: Output) -> None:
    definition = found.definition
    lines = [
        ("Data set", found.reference),
        ("Type", definition.kind),
        ("Paths", _places(found)),
        ("Format", definition.format),
        ("Options", definition.options),
        ("Query", definition.query),
        ("Timestamp", definition.timestamp),
        ("Files", found.files),
        ("Size", size(found.size) if found.size is not None else None),
        ("Digest", found.digest),
        ("Description", found.description),
        ("Tags", found.tags),
        ("Created", found.created_at),
        ("By", found.created_by),
    ]
    output.result(found, short=found.reference, lines=lines)
