"""`fairlead model register`: from a file or folder to the next version of a name."""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from fairlead.bundles import parse_model
from fairlead.cli import compiling, pairs
from fairlead.cli.model_options import (
    Cores,
    Datasets,
    Description,
    Devices,
    Memory,
    Metrics,
    Properties,
    SampleInput,
    SampleOutput,
    Tags,
    Workspace,
    json_of,
    resources_of,
    text_of,
)
from fairlead.cli.model_shown import version_lines
from fairlead.cli.output import AsJson, Output, Quiet, size
from fairlead.client.connection import connect
from fairlead.environments.interpreter import choose
from fairlead.errors import UsageError
from fairlead.sdk import registering


def add_to(app: typer.Typer) -> None:
    app.command()(register)


def register(
    path: Annotated[str | None, typer.Argument(metavar="[NAME=]PATH", help="File or folder.")] = None,
    name: Annotated[str | None, typer.Option("--name", "-n", help="New or existing, which gets its next version; default: the file's.")] = None,
    model_path: Annotated[Path | None, typer.Option("--model-path", "-p", help="File or folder, as an option.")] = None,
    asset_path: Annotated[Path | None, typer.Option("--asset-path", help="With --run-id or -f: the file or folder below here that the run wrote.")] = None,
    run_id: Annotated[str | None, typer.Option("--run-id", help="The run that made it.")] = None,
    run_file: Annotated[Path | None, typer.Option("--run-metadata-file", "-f", help="JSON with the run's id (runId), instead of --run-id.")] = None,
    child_path: Annotated[list[str] | None, typer.Option("--child-path", help="A part of the folder, instead of all; may be repeated.")] = None,
    tag: Tags = None,
    property: Properties = None,  # noqa: A002 - the option's name
    metric: Metrics = None,
    description: Description = None,
    framework: Annotated[str | None, typer.Option("--model-framework", "--framework", help="Default: what the files show.")] = None,
    framework_version: Annotated[str | None, typer.Option("--model-framework-version", "--framework-version", help="Default: the installed one.")] = None,
    cc: Cores = None,
    gb: Memory = None,
    gc: Devices = None,
    sample_input: SampleInput = None,
    sample_output: SampleOutput = None,
    sample_input_dataset_id: Annotated[str | None, typer.Option(help="Name of a data set of samples; kept as lineage.")] = None,
    sample_output_dataset_id: Annotated[str | None, typer.Option(help="Name of a data set of answers; kept as lineage.")] = None,
    schema: Annotated[str | None, typer.Option(metavar="FILE|sample", help="Declared inputs and output as JSON; sample: read off --sample-input.")] = None,
    dataset: Datasets = None,
    parent: Annotated[str | None, typer.Option(metavar="NAME:VERSION", help="The model that it was trained from.")] = None,
    compile: compiling.How = None,  # noqa: A002 - the option's name
    tolerance: compiling.Tolerance = compiling.DEFAULT,
    environment: Annotated[
        str | None, typer.Option(help="Virtual environment (or python) whose versions are pinned, and that compiles; default: the active one.")
    ] = None,
    output_file: Annotated[Path | None, typer.Option("--output-metadata-file", "-t", help="Also write {modelId: NAME:VERSION, ...} to this file.")] = None,
    workspace: Workspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Register a file or folder as the next version of a name. The model is not loaded, unless it is to be compiled.

    Example: fairlead model register churn.pkl --tag stage=trial --metric auc=0.91 --sample-input sample.json
    """
    output = Output(as_json=as_json, quiet=quiet)
    own_name, place = _source(path, model_path, asset_path, name)
    made_of = pairs.datasets(dataset, "--dataset")
    made_of += pairs.datasets([f"sample input={sample_input_dataset_id}"] if sample_input_dataset_id else None, "--sample-input-dataset-id")
    made_of += pairs.datasets([f"sample output={sample_output_dataset_id}"] if sample_output_dataset_id else None, "--sample-output-dataset-id")
    wish = registering.Registration(
        path=place,
        name=own_name,
        child_paths=child_path,
        description=description or "",
        tags=pairs.labels(tag, "--tag"),
        properties=pairs.labels(property, "--property"),
        metrics=pairs.numbers(metric, "--metric"),
        framework=framework,
        framework_version=framework_version,
        sample_input=text_of(sample_input),
        sample_output=text_of(sample_output),
        schema=_schema(schema),
        run_id=run_id or _run_id(run_file),
        datasets=made_of,
        parent=parent,
        resources=resources_of(cc, gb, gc),
        environment=environment,
    )
    with tempfile.TemporaryDirectory(prefix="fairlead-") as folder:
        _send(wish if compile is None else _compiled(wish, compile, tolerance, Path(folder), output), workspace, output, output_file)


def _compiled(wish: registering.Registration, how: str, tolerance: float, folder: Path, output: Output) -> registering.Registration:
    """The same under the same name with the compiled model; of what it was made, and what was compared, its properties tell."""
    if wish.child_paths:
        raise UsageError("--compile takes one model, and --child-path parts of a folder.")
    sample = json.loads(registering.json_text(wish.sample_input, "sample input") or "null")
    made = compiling.compiled(wish.path, how, tolerance, sample, choose(wish.environment).path, folder, output.say)
    if made is None:
        return wish
    proof = {**{name: made.proof[name] for name in ("methods", "rows", "tolerance")}, "worst_difference": made.proof["worst"]["difference"]}
    origin = f"{wish.path.name} sha256:{hashlib.sha256(wish.path.read_bytes()).hexdigest()}"
    told = {"compiled_from": origin, "compile_proof": json.dumps(proof, sort_keys=True)}
    return replace(wish, path=made.path, name=wish.name or wish.path.stem, properties={**told, **wish.properties})


def _send(wish: registering.Registration, workspace: str | None, output: Output, output_file: Path | None) -> None:
    with output.phase(f"Reading {wish.path}"):
        prepared = registering.prepare(wish)
    for note in prepared.notes:
        output.say(note)
    with connect(workspace=workspace) as transport:
        with output.transfer(f"Uploading {size(prepared.tree.size)}", prepared.tree.size) as progress:
            made = registering.send(transport, prepared, progress)
        where = transport.workspace
    if output_file is not None:
        told = {"modelId": made.reference, "name": made.name, "version": made.version, "id": made.id, "workspaceName": where}
        output_file.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    output.result(made, short=made.reference, lines=version_lines(made))


def _source(path: str | None, model_path: Path | None, asset_path: Path | None, name: str | None) -> tuple[str, Path]:
    given = [each for each in (path, model_path, asset_path) if each is not None]
    if len(given) != 1:
        raise UsageError("Give one file or folder: PATH, -p PATH, or --asset-path with --run-id." if given else "Which file or folder? Give its path.")
    found = parse_model(str(given[0]))
    return name or found.name, found.path


def _run_id(path: Path | None) -> str | None:
    """From what `run submit-script -t` writes: runId, or run_id."""
    if path is None:
        return None
    said = json_of(path)
    found = (said.get("runId") or said.get("run_id")) if isinstance(said, dict) else None
    if not isinstance(found, str):
        raise UsageError(f"{path} names no run: it should be a JSON object with runId.")
    return found


def _schema(said: str | None) -> Any:
    return said if said in (None, "sample") else json_of(Path(str(said)))
