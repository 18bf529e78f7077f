"""`fairlead datastore`: named places of data, and their files."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from fairlead.cli.output import AsJson, InWorkspace, Output, Quiet, size
from fairlead.cli.pairs import labels
from fairlead.client import data
from fairlead.client.connection import connect
from fairlead.errors import UsageError
from fairlead.schemas.data import Datastore, NewDatastore
from fairlead.sdk.datastore import Datastore as Store
from fairlead.sdk.workspace import Workspace

app = typer.Typer(no_args_is_help=True, help="Places of data: folders, buckets, containers, databases. Credentials are given once, and never shown.")

Name = Annotated[str, typer.Argument(help="The datastore.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Letters, digits and . _ -, 100 at most.")],
    url: Annotated[str, typer.Argument(metavar="PATH|URL", help="A folder of the server; s3, gs, abfs(s), wasb(s), http(s), postgresql, sqlite.")],
    credentials_file: Annotated[
        Path | None, typer.Option("--credentials-file", "-f", metavar="FILE", help='JSON, such as {"key": …, "secret": …}; - is standard input.')
    ] = None,
    credentials_env: Annotated[
        list[str] | None,
        typer.Option("--credentials-env", metavar="WORD=VARIABLE", help="Take it from this variable: account_key=ACCOUNT_KEY. May be repeated."),
    ] = None,
    secret: Annotated[str | None, typer.Option(help="A secret of the workspace that holds the credentials.")] = None,
    anonymous: Annotated[bool, typer.Option("--anonymous", help="Everybody may read it.")] = False,
    description: Annotated[str, typer.Option("--description", "-d", help="In words.")] = "",
    tag: Annotated[list[str] | None, typer.Option("--tag", metavar="KEY=VALUE", help="May be repeated.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Change the one of this name; its credentials stay unless others are given.")] = False,
    workspace: InWorkspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Register a place. Credentials are never arguments, which other users of the machine could read.

    \b
    Examples:
    fairlead datastore create lake s3://my-bucket/raw --credentials-file lake.json
    fairlead datastore create blobs https://myaccount.blob.core.windows.net/data --credentials-env account_key=ACCOUNT_KEY
    """
    given = _credentials(credentials_file, credentials_env)
    said: dict[str, Any] = {"credentials": given} if given is not None else {}
    new = NewDatastore.of(
        name=name,
        url=url if "://" in url else str(Path(url).absolute()),
        secret=secret,
        anonymous=anonymous,
        description=description,
        tags=labels(tag, "--tag"),
        overwrite=overwrite,
        **said,
    )
    with connect(workspace=workspace) as transport:
        made = data.create_datastore(transport, new)
    _show(made, Output(as_json=as_json, quiet=quiet))


@app.command("list")
def list_(
    name: Annotated[str | None, typer.Argument(help="A datastore, whose files are listed; without it all datastores are.")] = None,
    path: Annotated[str, typer.Argument(help="Below it: a file, a folder, or a pattern with *, ? and **.")] = "",
    workspace: InWorkspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """List datastores, or the files of one.

    \b
    Examples:
    fairlead datastore list
    fairlead datastore list lake '2024/*.csv'
    """
    output = Output(as_json=as_json, quiet=quiet)
    with connect(workspace=workspace) as transport:
        if name is None:
            found = list(data.list_datastores(transport))
            rows = [(each.name, each.kind, each.url, "default" if each.is_default else "") for each in found]
            output.table(found, ("NAME", "KIND", "PLACE", ""), rows, empty="There are none.")
            return
        files = list(data.each_store_file(transport, name, path))
    output.table(files, ("PATH", "SIZE"), [(each.path, size(each.size)) for each in files], empty="There are no files.")


@app.command()
def show(name: Name, workspace: InWorkspace = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Show one datastore, without its credentials.

    Example: fairlead datastore show lake
    """
    with connect(workspace=workspace) as transport:
        found = data.show_datastore(transport, name)
    _show(found, Output(as_json=as_json, quiet=quiet))


@app.command("set-default")
def set_default(name: Name, workspace: InWorkspace = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Choose the datastore that is used where nobody names one.

    Example: fairlead datastore set-default lake
    """
    with connect(workspace=workspace) as transport:
        found = data.set_default(transport, name)
    Output(as_json=as_json, quiet=quiet).result(found, short=found.name if quiet else f"The default datastore is {found.name!r}.")


@app.command()
def upload(
    files: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files, and folders with all that is in them.")],
    name: Annotated[str | None, typer.Option("--datastore", "-n", help="The datastore (default: the default one).")] = None,
    target_path: Annotated[str, typer.Option("--target-path", "-t", help="The folder below it that they go to.")] = "",
    overwrite: Overwrite = False,
    workspace: InWorkspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Put files into a datastore. What travels goes on after a cut; what is there already stays, unless --overwrite.

    Example: fairlead datastore upload data/*.csv --target-path raw
    """
    output = Output(as_json=as_json, quiet=quiet)
    strange = next((each for each in files if not each.exists()), None)
    if strange is not None:
        raise UsageError(f"{strange} does not exist; nothing was uploaded.")
    with Workspace(workspace) as opened:
        store = Store.get(opened, name) if name else Store.get_default(opened)
        with output.phase(f"Uploading to {store.name}"):
            for each in files:
                put = store.upload if each.is_dir() else lambda path, *how: store.upload_files([path], None, *how)
                put(each, target_path, overwrite, False)
        where = f"{store.name}/{target_path.strip('/')}".rstrip("/")
    output.result({"datastore": store.name, "path": target_path.strip("/")}, short=where if quiet else f"The files are in {where}.")


@app.command()
def download(
    name: Name,
    path: Annotated[str, typer.Argument(help="Below it: a file, a folder, or a pattern.")] = "",
    target: Annotated[Path, typer.Option("--target", "-t", help="The folder that they are put into.")] = Path(),
    overwrite: Overwrite = False,
    workspace: InWorkspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Fetch files of a datastore, under their paths; those that are there stay, unless --overwrite.

    Example: fairlead datastore download lake 2024 --target here
    """
    output = Output(as_json=as_json, quiet=quiet)
    with Workspace(workspace) as opened:
        count = Store.get(opened, name).download(target, path, overwrite, False)
    output.result({"files": count, "target": str(target)}, short=str(target) if quiet else f"Fetched {count} file{'' if count == 1 else 's'}.")


@app.command()
def delete(name: Name, workspace: InWorkspace = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Forget a datastore and its credentials; the data stays where it is.

    Example: fairlead datastore delete lake
    """
    with connect(workspace=workspace) as transport:
        data.delete_datastore(transport, name)
    Output(as_json=as_json, quiet=quiet).result({"deleted": name}, short=name if quiet else f"The datastore {name!r} is deleted; its data is not.")


def _credentials(file: Path | None, variables: list[str] | None) -> dict[str, Any] | None:
    """Raises UsageError that names the file or variable, never what is in it."""
    if file is not None and variables:
        raise UsageError("Give credentials by --credentials-file or by --credentials-env, not by both.")
    if file is not None:
        return _of_file(file)
    found = {}
    for word, variable in labels(variables, "--credentials-env").items():
        if not os.environ.get(variable):
            raise UsageError(f"The variable {variable} is not set; it was to be the {word}.")
        found[word] = os.environ[variable]
    return found or None


def _of_file(file: Path) -> dict[str, Any]:
    named = "standard input" if str(file) == "-" else str(file)
    try:
        content = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{named} cannot be read ({getattr(error, 'strerror', None) or 'it is not UTF-8'}).") from None
    try:
        said = json.loads(content)
    except ValueError:
        said = None
    if not isinstance(said, dict) or not said:
        raise UsageError(f'{named} is no JSON object with credentials, such as {{"key": "…", "secret": "…"}}.')
    return said


def _show(found: Datastore, output: Output) -> None:
    lines = [
        ("Datastore", found.name),
        ("Place", found.url),
        ("Kind", found.kind),
        ("Credentials", f"the secret {found.secret}" if found.secret else "anonymous" if found.anonymous else None),
        ("Default", "yes" if found.is_default else None),
        ("Description", found.description),
        ("Tags", found.tags),
        ("Created", found.created_at),
        ("By", found.created_by),
    ]
    output.result(found, short=found.name, lines=lines)
