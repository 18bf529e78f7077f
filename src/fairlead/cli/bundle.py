"""`fairlead bundle`: a folder from files, executing nothing."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from fairlead_scoring.bundle import Bundle

from fairlead import flavors
from fairlead.bundles import Recipe, make, open_bundle, parse_model
from fairlead.cli import compiling
from fairlead.environments.interpreter import choose
from fairlead.errors import UsageError

Models = Annotated[list[str] | None, typer.Argument(metavar="MODEL...", help="PATH, NAME=PATH or NAME:VERSION=PATH of a file or folder.")]
Script = Annotated[Path | None, typer.Option(help="The scoring script; without it the model's flavor supplies one.")]
SourceDir = Annotated[Path | None, typer.Option(help="Folder of the script that ships with it, less what .amlignore or .gitignore there lists.")]
Requirements = Annotated[Path | None, typer.Option(help="requirements.txt, stored as it is.")]
Conda = Annotated[Path | None, typer.Option(help="Conda environment file, stored as it is.")]
Schema = Annotated[str | None, typer.Option(metavar="FILE|sample", help="Declared inputs and output as JSON; `sample` reads the inputs off --sample.")]
Sample = Annotated[Path | None, typer.Option(help="A request body: shown to callers, and scored before the service is ready.")]
Name = Annotated[str | None, typer.Option(help="Name of the bundle; default: the first model's.")]
Allow = Annotated[list[str] | None, typer.Option(metavar="PATTERN", help="Ship a file that looks like a key or password file.")]
Environment = Annotated[str | None, typer.Option(help="Virtual environment (or python) whose versions are pinned, and that compiles; default: the active one.")]
Out = Annotated[Path | None, typer.Option("--out", "-o", metavar="DIR", help="Where the bundle goes.")]
Verify = Annotated[Path | None, typer.Option(metavar="DIR", help="Check an existing bundle, file by file, instead of making one.")]
AsJson = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]


def bundle(
    models: Models = None,
    script: Script = None,
    source_dir: SourceDir = None,
    requirements: Requirements = None,
    conda: Conda = None,
    schema: Schema = None,
    sample: Sample = None,
    name: Name = None,
    allow: Allow = None,
    compile: compiling.How = None,  # noqa: A002 - the flag's name
    tolerance: compiling.Tolerance = compiling.DEFAULT,
    environment: Environment = None,
    out: Out = None,
    verify: Verify = None,
    as_json: AsJson = False,
) -> None:
    """Make a bundle: a folder with model, script and schema that never changes, named by its SHA-256."""
    if verify is not None:
        _show(open_bundle(verify), as_json)
        return
    if out is None:
        raise UsageError("Where should the bundle go? Give -o DIR.")
    recipe = Recipe(
        models=[parse_model(each) for each in models or ()],
        script=script,
        source_dir=source_dir,
        requirements=requirements,
        conda=conda,
        schema=Path(schema) if schema not in (None, "sample") else None,
        schema_from_sample=schema == "sample",
        sample=sample,
        name=name,
        allow=allow or (),
    )
    python = choose(environment).path
    with tempfile.TemporaryDirectory(prefix="fairlead-") as folder:
        if compile is not None:
            recipe = _compiled(recipe, compile, tolerance, python, Path(folder))
        _show(make(recipe, out, lambda path: inspect(path, python)), as_json)


def inspect(path: Path, python: Path) -> flavors.Found:
    """What the flavors say of a model; what its author should know goes to standard error."""
    found = flavors.inspect(path, python)
    for note in found.notes:
        typer.echo(f"fairlead: {note}", err=True)
    return found


def _compiled(recipe: Recipe, how: str, tolerance: float, python: Path, folder: Path) -> Recipe:
    """The same recipe with the compiled model and its proof; with `auto`, the recipe itself where there is no proof."""
    if recipe.script is not None or len(recipe.models) != 1:
        raise UsageError("--compile takes one model without a script: a script decides for itself how it calls its model.")
    model = recipe.models[0]
    sample = json.loads(recipe.sample.read_text(encoding="utf-8")) if recipe.sample else None
    made = compiling.compiled(model.path, how, tolerance, sample, python, folder, lambda text: typer.echo(f"fairlead: {text}", err=True))
    return recipe if made is None else replace(recipe, models=[replace(model, path=made.path)], proof=made.proof)


def _show(made: Bundle, as_json: bool) -> None:
    manifest = made.manifest
    size = sum(each.size for each in manifest.files)
    if as_json:
        facts = {"digest": made.digest, "path": str(made.path), "name": manifest.name, "files": len(manifest.files), "bytes": size, "flavor": manifest.flavor}
        typer.echo(json.dumps(facts))
        return
    typer.echo(made.digest)
    typer.echo(f"{manifest.name}: {len(manifest.files)} files, {size:,} bytes, in {made.path}", err=True)
