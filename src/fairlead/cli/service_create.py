"""`fairlead service create realtime`: a deploy in the words of the first generation."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from fairlead.cli import deploy as deploy_command
from fairlead.cli.deployment import Progress, connected, sample_for, show_service, wait
from fairlead.cli.model_options import Workspace
from fairlead.cli.output import AsJson, Output, Quiet
from fairlead.cli.service_names import kind_of
from fairlead.cli.wishes import check_models, models_of, wish_of
from fairlead.client import services
from fairlead.client.transport import Transport
from fairlead.environments.spec import EnvironmentSpec
from fairlead.errors import NotFound, UsageError
from fairlead.schemas.services import check_service_name
from fairlead.sdk import deploying
from fairlead.sdk.runtimes import packages_of

LEVELS = {"info": "info", "debug": "debug", "warn": "warning", "warning": "warning", "trace": "debug", "error": "error"}

Driver = Annotated[Path | None, typer.Option("-f", "--driver", help="The scoring script, with init() and run().")]
Name = Annotated[str | None, typer.Option("-n", "--name", help="The service's name.")]
Models = Annotated[
    list[str] | None, typer.Option("-m", "--model", metavar="MODEL", help="A file or folder (registered first), or NAME:VERSION; may be repeated.")
]
Beside = Annotated[list[Path] | None, typer.Option("-d", "--dependency", metavar="PATH", help="A file or folder that the script needs; may be repeated.")]
Requirements = Annotated[Path | None, typer.Option("-p", "--requirements", help="requirements.txt.")]
Conda = Annotated[Path | None, typer.Option("-c", "--conda", help="Conda environment file.")]
Schema = Annotated[Path | None, typer.Option("-s", "--schema", help="schema.json: typed arguments, validation, a sample, swagger.")]
Runtime = Annotated[
    str | None, typer.Option("-r", "--runtime", help="scikit-py, tensorflow-py, spark-py or python: packages where neither -p nor -c says them.")
]
Level = Annotated[str | None, typer.Option("-l", "--log-level", metavar="[LEVEL]", help="info, debug, warn or trace; alone: debug.")]
Replicas = Annotated[int | None, typer.Option("-z", "--replicas", help="How many replicas; on this machine, processes.")]


class WithBareLevel(TyperCommand):
    """`-l` may stand alone; it means debug then."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        told = []
        for word, after in zip(args, [*args[1:], "-"], strict=True):
            told.append(word)
            if word in ("-l", "--log-level") and after.lower() not in LEVELS and (after.startswith("-") or after == "realtime"):
                told.append("debug")
        return super().parse_args(ctx, told)


def add_to(app: typer.Typer) -> None:
    app.command(cls=WithBareLevel)(create)


def create(
    words: Annotated[list[str] | None, typer.Argument(metavar="realtime", show_default=False, help="A word of the first generation, without effect.")] = None,
    script: Driver = None,
    name: Name = None,
    model: Models = None,
    beside: Beside = None,
    requirements: Requirements = None,
    conda: Conda = None,
    schema: Schema = None,
    runtime: Runtime = None,
    log_level: Level = None,
    replicas: Replicas = None,
    target: deploy_command.Target = None,
    auth: deploy_command.Auth = None,
    overwrite: deploy_command.Overwrite = False,
    no_wait: deploy_command.NoWait = False,
    workspace: Workspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Make a realtime service of a script and models, in one command. `fairlead deploy` does the same in newer words.

    \b
    fairlead service create realtime -f score.py -m model.pkl -s schema.json -n churn -r scikit-py
    """
    if kind_of(words):
        raise UsageError(f"`service create` makes realtime services; {words[0] if words else ''} is no word of it.")
    if script is None or name is None:
        raise UsageError("A realtime service needs a script and a name: `fairlead service create realtime -f score.py -n NAME`.")
    check_service_name(name)
    check_models(model or ())
    deploy_command.check_auth(auth)
    output = Output(as_json=as_json, quiet=quiet)
    wish = _wish(dict(locals()))
    progress = Progress(output)
    with connected(progress, workspace) as transport:
        agreed = overwrite or _agrees(transport, name)
        if not agreed:
            deploying.refuse_taken(transport, name)  # before anything is registered for it
        with progress.stage("uploading"):
            made = replace(wish, models=models_of(transport, model or (), output.say))
            service = deploying.deploy(transport, name, made, overwrite=agreed, say=output.say)
        if no_wait:
            output.result(service, short=service.name, lines=[("service", service.name), ("state", service.state.value)])
            return
        done = wait(transport, service, output, progress)
        sample = sample_for(transport, done)
    show_service(done, output, progress, sample=sample)


def _wish(asked: dict[str, Any]) -> deploying.Wish:
    wish = wish_of({word: asked[word] for word in ("script", "requirements", "conda", "schema", "auth", "target")})
    assert wish.source is not None, "a script was given"
    packages = packages_of(asked["runtime"])
    environment = wish.environment or (EnvironmentSpec(requirements=packages) if packages else None)
    settings = {"replicas": asked["replicas"], "log_level": _level(asked["log_level"])}
    given = {name: value for name, value in settings.items() if value is not None}
    return replace(wish, source=replace(wish.source, beside=tuple(asked["beside"] or ())), environment=environment, settings=given)


def _level(said: str | None) -> str | None:
    if said is None:
        return None
    if said.lower() not in LEVELS:
        raise UsageError(f"-l {said}: say info, debug, warn or trace.")
    return LEVELS[said.lower()]


def _agrees(transport: Transport, name: str) -> bool:
    """Whether a service of that name may be replaced: asked on a terminal, as the first generation did; elsewhere --overwrite says it."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    try:
        services.show_service(transport, name)
    except NotFound:
        return False
    return typer.confirm(f"{name} exists. Update it, without losing a request?", err=True)
