"""What several commands of `fairlead model` take, and how it is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from fairlead.errors import UsageError
from fairlead.schemas.models import ResourceHints
from fairlead.schemas.references import Reference, parse_reference

Workspace = Annotated[str | None, typer.Option("--workspace", "-w", help="Workspace (default: the configured one).")]
Asked = Annotated[str | None, typer.Argument(metavar="NAME[:VERSION]", help="churn (its latest version), churn:3 or churn@champion.")]
ModelId = Annotated[str | None, typer.Option("--model-id", "-i", metavar="NAME:VERSION", help="The same as an option.")]
Name = Annotated[str | None, typer.Option("--name", "-n", help="The name as an option.")]
Version = Annotated[str | None, typer.Option("--version", "-v", help="With --name: its number, latest, or @ALIAS.")]
Tags = Annotated[list[str] | None, typer.Option("--tag", metavar="KEY=VALUE", help="May be repeated, and changed later.")]
Properties = Annotated[list[str] | None, typer.Option("--property", metavar="KEY=VALUE", help="May be repeated; never changes once it is set.")]
Metrics = Annotated[list[str] | None, typer.Option("--metric", metavar="NAME=NUMBER", help="May be repeated, such as --metric auc=0.91.")]
Datasets = Annotated[
    list[str] | None, typer.Option("--dataset", metavar="PURPOSE=NAME[@DIGEST]", help="A data set that it came from, such as training=customers-2024.")
]
SampleInput = Annotated[Path | None, typer.Option("--sample-input", "--sample", help="A request body (JSON); every deploy is tried with it.")]
SampleOutput = Annotated[Path | None, typer.Option("--sample-output", help="The answer to it (JSON); a deploy that answers otherwise fails.")]
Description = Annotated[str | None, typer.Option("--description", "-d", help="In words.")]
Cores = Annotated[float | None, typer.Option("--cc", "--cpu-cores", help="Cores that it wants where it is served.")]
Memory = Annotated[float | None, typer.Option("--gb", "--memory-gb", help="Memory that it wants, in GB.")]
Devices = Annotated[int | None, typer.Option("--gc", "--gpu-cores", help="GPUs that it wants.")]
TagFilter = Annotated[list[str] | None, typer.Option("--tag", metavar="KEY[=VALUE]", help="Which have this tag; may be repeated.")]
PropertyFilter = Annotated[list[str] | None, typer.Option("--property", metavar="KEY[=VALUE]", help="Which have this property; may be repeated.")]


def reference_of(asked: str | None, model_id: str | None, name: str | None, version: str | None) -> Reference:
    given = [each for each in (asked, model_id, name) if each is not None]
    if len(given) != 1:
        raise UsageError("Which model? Give it once: churn:3, -i churn:3, or -n churn -v 3.")
    return parse_reference(given[0], version)


def text_of(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        raise UsageError(f"{path} cannot be read ({getattr(fault, 'strerror', None) or 'it is not UTF-8'}).") from fault


def json_of(path: Path) -> Any:
    try:
        return json.loads(text_of(path) or "")
    except (ValueError, RecursionError) as fault:
        raise UsageError(f"{path} is not JSON ({fault}).") from fault


def resources_of(cc: float | None, gb: float | None, gc: int | None) -> ResourceHints | None:
    said = {"cpu": cc, "memory_gb": gb, "gpu": gc}
    given = {name: value for name, value in said.items() if value is not None}
    return ResourceHints.of(**given) if given else None
