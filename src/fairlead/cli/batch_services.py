"""`fairlead service create|list|show|delete batch`: a program with named inputs, outputs and parameters, in the words of the first generation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from fairlead.cli import deploy
from fairlead.cli.batch import options_of
from fairlead.cli.batch_words import declared
from fairlead.cli.deployment import Progress, connected
from fairlead.cli.model_options import Workspace as WorkspaceOption
from fairlead.cli.output import AsJson, Output, Quiet
from fairlead.cli.pairs import labels
from fairlead.cli.wishes import check_models, environment_of, models_of
from fairlead.client import jobs
from fairlead.client.connection import connect
from fairlead.environments.spec import EnvironmentSpec
from fairlead.errors import UsageError
from fairlead.schemas.batch_services import BatchService, Parameter
from fairlead.sdk import batching
from fairlead.sdk.batch_data import Way, by_the_shortest, kind_of, local_output, reference_of
from fairlead.sdk.batching import ServiceWish
from fairlead.sdk.deploying import Source
from fairlead.sdk.mini_batches import mini_batch
from fairlead.sdk.runtimes import packages_of

Say = Callable[[str], None]

Driver = Annotated[Path | None, typer.Option("-f", "--driver", help="The program; a run calls it once, with inputs, outputs and parameters as its flags.")]
Models = Annotated[
    list[str] | None, typer.Option("-m", "--model", metavar="MODEL", help="Instead of a driver: a model, whose service scores --input to --output.")
]
Script = Annotated[Path | None, typer.Option("--script", help="With -m: a batch script, with init() and run(mini_batch).")]
Name = Annotated[str | None, typer.Option("-n", "--name", help="The service's name.")]
In = Annotated[list[str] | None, typer.Option("--in", "-i", metavar="--X[:DEFAULT]", help="An input, a file or URL; without a default each run must give it.")]
Out = Annotated[list[str] | None, typer.Option("--out", "-o", metavar="--Y[:DEFAULT]", help="An output, a path or URL; likewise.")]
Param = Annotated[list[str] | None, typer.Option("--param", "-p", metavar="--P[:DEFAULT]", help="A parameter, any text; likewise.")]
Beside = Annotated[list[Path] | None, typer.Option("-d", "--dependency", metavar="PATH", help="A file or folder that the driver needs; may be repeated.")]
Title = Annotated[str | None, typer.Option("-t", "--title", help="What it is; default: its name.")]
Requirements = Annotated[Path | None, typer.Option(help="requirements.txt, or a pyproject.toml.")]
Runtime = Annotated[str | None, typer.Option("-r", "--runtime", help="scikit-py, tensorflow-py, spark-py or python: packages where nothing else says them.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Say what each input and output became.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the service of that name; its jobs stay.")]


def add_to(app: typer.Typer) -> None:
    commands: dict[str, Callable[..., None]] = {"create batch": create, "list batch": list_batch, "show batch": show, "delete batch": delete}
    for name, command in commands.items():
        app.command(name)(command)
    app.command("view batch", hidden=True)(show)


def create(
    driver: Driver = None,
    model: Models = None,
    script: Script = None,
    name: Name = None,
    in_: In = None,
    out: Out = None,
    param: Param = None,
    beside: Beside = None,
    title: Title = None,
    requirements: Requirements = None,
    conda: Annotated[Path | None, typer.Option("-c", "--conda", help="Conda environment file.")] = None,
    environment: deploy.Environment = None,
    runtime: Runtime = None,
    engine: Annotated[str | None, typer.Option(metavar="local|ray|spark", help="With -m: who runs the pieces.")] = None,
    engine_option: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="Of that engine.")] = None,
    size: Annotated[str | None, typer.Option("--mini-batch", metavar="SIZE", help="With -m: what one run() gets, such as 10MB.")] = None,
    env: deploy.Env = None,
    secret: deploy.Secret = None,
    tag: deploy.Tag = None,
    verbose: Verbose = False,
    overwrite: Overwrite = False,
    workspace: WorkspaceOption = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Make a batch service of a program: what it reads and writes has names, and each run says which files those are.

    \b
    fairlead service create batch -f score.py -n inspector --in=--data:rows.csv --out=--scores --param=--limit:10
    fairlead service create batch -m churn:3 -n churn-nightly
    """
    asked = dict(locals())
    _check(asked)
    output = Output(as_json=as_json, quiet=quiet)
    progress = Progress(output)
    with connected(progress, workspace) as transport, progress.stage("uploading"):
        chosen = models_of(transport, model or (), output.say, needs_flavor=script is None)
        wish = _wish(asked, {**_settings(asked), "models": chosen or None})

        def ask(way: Way) -> BatchService:
            parameters = _parameters(way, asked, output.say if verbose else _silent)
            return batching.create_service(transport, str(name), replace(wish, settings={**wish.settings, "parameters": parameters}), say=output.say)

        made = by_the_shortest(transport, ask)
    output.result(made, short=made.name, lines=[("service", made.name), ("title", made.title), *_declared(made), ("usage", made.usage)])


def list_batch(workspace: WorkspaceOption = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """List batch services.

    \b
    fairlead service list batch
    """
    with connect(workspace=workspace) as transport:
        found = list(jobs.list_services(transport))
    rows = [(each.name, each.title, ", ".join(each.models) or (each.driver.entry_script if each.driver else None), each.updated_at) for each in found]
    empty = "There are no batch services; `fairlead service create batch -f driver.py -n NAME` makes one."
    Output(as_json=as_json, quiet=quiet).table(found, ("NAME", "TITLE", "RUNS", "CHANGED"), rows, empty=empty)


def show(
    word: Annotated[str | None, typer.Argument(metavar="[SERVICE]", help="The service's name.", show_default=False)] = None,
    name: Name = None,
    workspace: WorkspaceOption = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Show a batch service: what it takes, and how it is run.

    \b
    fairlead service show batch -n inspector
    """
    output = Output(as_json=as_json, quiet=quiet)
    with connect(workspace=workspace) as transport:
        found = jobs.show_service(transport, called(word, name))
    if as_json or quiet:
        output.result(found, short=found.name)
        return
    print("\n".join(_told(found)))


def delete(
    word: Annotated[str | None, typer.Argument(metavar="[SERVICE]", help="The service's name.", show_default=False)] = None,
    name: Name = None,
    workspace: WorkspaceOption = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Delete a batch service; the records of its jobs stay.

    \b
    fairlead service delete batch -n inspector
    """
    with connect(workspace=workspace) as transport:
        chosen = jobs.show_service(transport, called(word, name)).name
        jobs.delete_service(transport, chosen)
    Output(as_json=as_json, quiet=quiet).result({"deleted": chosen}, short=chosen, lines=[("deleted", chosen)])


def called(word: str | None, name: str | None) -> str:
    """The service that is meant. Raises UsageError."""
    said = {each for each in (word, name) if each}
    if len(said) != 1:
        raise UsageError("Which batch service? Say its name once, such as -n inspector; `fairlead service list batch` shows those there are.")
    return said.pop()


def place_of(way: Way, flag: str, said: str, *, direction: str, say: Say) -> str:
    """What an input or output becomes on its way to the server."""
    if direction == "Output":
        made = local_output(way.transport, said) if kind_of(said) == "path" else said
    else:
        made = reference_of(way, said)
    say(f"{flag}: {made}")
    return made


def _check(asked: Mapping[str, Any]) -> None:
    if asked["name"] is None or (asked["driver"] is None) == (not asked["model"]):
        raise UsageError("A batch service needs a name, and a driver or a model: `fairlead service create batch -f driver.py -n NAME`.")
    for word in ("script", "engine", "engine_option", "size"):
        if asked["driver"] is not None and asked[word]:
            raise UsageError(f"--{'mini-batch' if word == 'size' else word.replace('_', '-')} is for the service of a model (-m); a driver is its own program.")
    if asked["driver"] is None and asked["beside"]:
        raise UsageError("-d is what a driver needs; with -m give a --script.")
    check_models(asked["model"] or ())


def _parameters(way: Way, asked: Mapping[str, Any], say: Say) -> list[Parameter]:
    found = []
    for option, word, kind, direction in (
        ("--in", "in_", "Reference", "Input"),
        ("--out", "out", "Reference", "Output"),
        ("--param", "param", "Value", "Input"),
    ):
        for flag, default in declared(asked[word], option).items():
            made = place_of(way, flag, default, direction=direction, say=say) if default is not None and kind == "Reference" else default
            found.append(Parameter.of(id=flag, kind=kind, direction=direction, **({} if made is None else {"default": made})))
    return found


def _wish(asked: Mapping[str, Any], settings: Mapping[str, Any]) -> ServiceWish:
    packages = packages_of(asked["runtime"])
    script = asked["driver"] or asked["script"]
    return ServiceWish(
        source=None if script is None else Source(script=script, beside=tuple(asked["beside"] or ())),
        is_driver=asked["driver"] is not None,
        environment=environment_of(asked) or (EnvironmentSpec(requirements=packages) if packages else None),
        settings=settings,
    )


def _settings(asked: Mapping[str, Any]) -> dict[str, Any]:
    engine = {"name": asked["engine"], "options": options_of(asked["engine_option"], "--engine-option") or None}
    return {
        "title": asked["title"],
        "mini_batch": mini_batch(asked["size"], over_files=False) if asked["size"] else None,
        "engine": {name: value for name, value in engine.items() if value} or None,
        "variables": labels(asked["env"], "--env") or None,
        "secrets": asked["secret"],
        "tags": labels(asked["tag"], "--tag") or None,
        "overwrite": asked["overwrite"] or None,
    }


def _told(service: BatchService) -> list[str]:
    """As the first generation's `view` said it."""
    assets = [*service.models, *([service.driver.entry_script] if service.driver else []), *([service.script] if service.script else [])]
    lines = [f"Name: {service.name}", *([f"Title: {service.title}"] if service.title != service.name else []), f"Assets: {', '.join(assets)}"]
    for label, text in _declared(service):
        lines += [f"{label}:", *(f"    {each}" for each in text)]
    return [*lines, f"Usage: {service.usage}"]


def _declared(service: BatchService) -> list[tuple[str, list[str]]]:
    kinds = {"Inputs": ("Reference", "Input"), "Outputs": ("Reference", "Output"), "Parameters": ("Value", "Input")}
    shown = {
        label: [each.id if each.default is None else f"{each.id}: {each.default}" for each in service.parameters if (each.kind, each.direction) == kind]
        for label, kind in kinds.items()
    }
    return [(label, text) for label, text in shown.items() if text]


def _silent(_sentence: str) -> None:
    """Nobody asked."""
