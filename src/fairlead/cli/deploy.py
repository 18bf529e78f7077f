"""`fairlead deploy`: from a registered model, a file or a bundle to a live service of this machine, in one command."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from fairlead.cli.deployment import Progress, connected, sample_for, show_service, wait
from fairlead.cli.model_options import Workspace
from fairlead.cli.output import AsJson, Output, Quiet
from fairlead.cli.wishes import check_models, is_bundle_folder, is_path, models_of, stem_of, wish_of
from fairlead.errors import UsageError
from fairlead.schemas.services import check_service_name
from fairlead.sdk import deploying
from fairlead.sdk.requests import service_name_of

What = Annotated[
    str | None,
    typer.Argument(
        metavar="MODEL[:VERSION|@ALIAS]|PATH|BUNDLE", help="A registered model, a model's file or folder (registered first), a score.py, or a bundle."
    ),
]
Name = Annotated[str | None, typer.Option("-n", "--name", help="Name of the service; default: the model's.")]
Models = Annotated[list[str] | None, typer.Option("-m", "--model", metavar="MODEL", help="A further model, for a script.")]
Ic = Annotated[Path | None, typer.Option("--ic", "-ic", metavar="FILE", help="inferenceconfig.json or .yml.")]
Dc = Annotated[Path | None, typer.Option("--dc", "-dc", metavar="FILE", help="deploymentconfig.json or .yml.")]
Script = Annotated[Path | None, typer.Option("-f", "--script", help="Scoring script; without it the model's framework supplies one.")]
SourceDir = Annotated[Path | None, typer.Option(help="Folder of the script that ships with it.")]
Requirements = Annotated[Path | None, typer.Option(help="requirements.txt, or a pyproject.toml.")]
Conda = Annotated[Path | None, typer.Option(help="Conda environment file.")]
Environment = Annotated[str | None, typer.Option(metavar="NAME[:VERSION]", help="A registered environment.")]
Schema = Annotated[Path | None, typer.Option(help="Declared inputs and output, JSON.")]
Sample = Annotated[Path | None, typer.Option(help="A request body; a candidate that cannot answer it gets no traffic.")]
Expected = Annotated[Path | None, typer.Option(help="The answer that the sample must get.")]
Target = Annotated[
    str | None,
    typer.Option(metavar="local|docker|container", help="Processes of the server's machine (default), containers behind one address, or one container."),
]
Image = Annotated[str | None, typer.Option("--image", metavar="NAME[:VERSION]", help="Deploy what an image of the workspace holds.")]
Base = Annotated[str | None, typer.Option(metavar="IMAGE", help="With docker or container: what the image is built upon, a reference or a path.")]
Host = Annotated[str | None, typer.Option(metavar="ADDRESS", help="Where it listens; default: 127.0.0.1. 0.0.0.0: wherever its machine is reached.")]
Port = Annotated[int | None, typer.Option(help="Port; default: a free one, kept for good.")]
Workers = Annotated[int | None, typer.Option(help="Processes, each with the model loaded.")]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A key of a deployment configuration, dotted: autoScaler.minReplicas=2.")]
Env = Annotated[list[str] | None, typer.Option("--env", metavar="NAME=VALUE", help="An environment variable of the script.")]
Secret = Annotated[list[str] | None, typer.Option("--secret", metavar="NAME", help="A secret of the workspace, as a file in FAIRLEAD_SECRETS_DIR.")]
Auth = Annotated[str | None, typer.Option(metavar="key|token|none", help="What callers must show; default: key.")]
Tag = Annotated[list[str] | None, typer.Option("--tag", metavar="NAME=VALUE", help="Editable label; may be repeated.")]
Property = Annotated[list[str] | None, typer.Option("--property", metavar="NAME=VALUE", help="Label that is written once; may be repeated.")]
Description = Annotated[str | None, typer.Option(help="What it is for.")]
Allow = Annotated[list[str] | None, typer.Option(metavar="PATTERN", help="Ship a file that looks like a key or password file.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Update the service of that name, without losing a request.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Return when the server has taken it on.")]
Timeout = Annotated[float | None, typer.Option(min=0, help="Seconds to wait; the deployment goes on after that.", show_default="no limit")]


def deploy(
    what: What = None,
    name: Name = None,
    model: Models = None,
    ic: Ic = None,
    dc: Dc = None,
    script: Script = None,
    source_dir: SourceDir = None,
    requirements: Requirements = None,
    conda: Conda = None,
    environment: Environment = None,
    schema: Schema = None,
    sample: Sample = None,
    expected: Expected = None,
    target: Target = None,
    image: Image = None,
    base: Base = None,
    host: Host = None,
    port: Port = None,
    workers: Workers = None,
    set_: Set = None,
    env: Env = None,
    secret: Secret = None,
    auth: Auth = None,
    tag: Tag = None,
    property: Property = None,  # noqa: A002 - the option's name
    description: Description = None,
    allow: Allow = None,
    overwrite: Overwrite = False,
    no_wait: NoWait = False,
    timeout: Timeout = None,
    workspace: Workspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Make a live service of a model.

    \b
    fairlead deploy churn:3
    fairlead deploy churn.pkl --sample request.json
    fairlead deploy churn@champion -n churn-eu --ic inferenceconfig.json --set numReplicas=2
    """
    asked = dict(locals())
    run(what, asked, Output(as_json=as_json, quiet=quiet))


def run(what: str | None, asked: dict[str, Any], output: Output) -> None:
    """The same for commands that spell it otherwise."""
    check_auth(asked.get("auth"))
    models = [*([what] if what else []), *(asked["model"] or ())]
    if what is not None and what.endswith(".py") and is_path(what):
        if asked["script"] is not None:
            raise UsageError(f"{what} and --script {asked['script']}: a service has one script.")
        asked, models = {**asked, "script": Path(what)}, models[1:]
    image = asked.get("image")
    if not models and not asked["script"] and not asked["ic"] and not image:
        raise UsageError("What is to be deployed? Give a model, a path or a bundle: `fairlead deploy churn:3`.")
    if image and (models or asked["script"] or asked["ic"]):
        raise UsageError(f"--image {image} holds model and script already; leave out the others, or the image.")
    name = asked["name"] or service_name_of(stem_of(models[0] if models else str(image or asked["script"] or asked["ic"])))
    check_service_name(name)
    check_models(models)
    _go(name, models, asked, output)


def check_auth(said: str | None) -> None:
    """Raises UsageError."""
    if said not in (None, "key", "token", "none"):
        raise UsageError(f"--auth {said}: say key, token or none.")


def _go(name: str, models: list[str], asked: dict[str, Any], output: Output) -> None:
    wish = wish_of(asked)
    bundle = Path(models[0]) if len(models) == 1 and is_bundle_folder(models[0]) else None
    progress = Progress(output)
    with connected(progress, asked.get("workspace")) as transport:
        if not asked["overwrite"] and any(map(is_path, models)):
            deploying.refuse_taken(transport, name)  # before anything is registered for it
        with progress.stage("uploading"):
            given = {"bundle": bundle} if bundle else {"models": models_of(transport, models, output.say, needs_flavor=wish.source is None)}
            made = replace(wish, **given) if asked.get("image") is None else replace(wish, made=asked["image"])
            service = deploying.deploy(transport, name, made, overwrite=asked["overwrite"], say=output.say)
        if asked.get("no_wait"):
            output.result(
                service,
                short=service.name,
                lines=[("service", service.name), ("state", service.state.value), ("follow", f"fairlead service show {name} --wait")],
            )
            return
        done = wait(transport, service, output, progress, timeout=asked.get("timeout"))
        sample = sample_for(transport, done)
    show_service(done, output, progress, sample=sample)
