"""`fairlead model download`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fairlead.cli.model_options import Asked, ModelId, Name, Version, Workspace, reference_of
from fairlead.cli.output import AsJson, Output, Quiet, size
from fairlead.client import models
from fairlead.client.connection import connect
from fairlead.sdk import downloading


def add_to(app: typer.Typer) -> None:
    app.command()(download)


def download(
    asked: Asked = None,
    model_id: ModelId = None,
    name: Name = None,
    version: Version = None,
    target: Annotated[Path, typer.Option("--target-dir", "-t", help="Folder that the file or folder is put into.")] = Path(),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there under its name.")] = False,
    workspace: Workspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Fetch a version's files, each checked by its digest; a broken download goes on where it was cut.

    Example: fairlead model download churn:3 -t outputs
    """
    output = Output(as_json=as_json, quiet=quiet)
    with connect(workspace=workspace) as transport:
        found = models.show_version(transport, reference_of(asked, model_id, name, version))
        with output.transfer(f"Downloading {found.reference}, {size(found.size)}", found.size) as progress:
            place = downloading.download(transport, found, target, overwrite=overwrite, progress=progress)
    output.result({"model": found.reference, "path": str(place), "tree": found.tree}, short=str(place))
