"""`fairlead service update|reload|scale|rollback|delete`: a running service becomes another, without losing a request."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from fairlead.cli import deploy
from fairlead.cli.deployment import Progress, sample_for, show_service, wait
from fairlead.cli.model_options import Workspace
from fairlead.cli.output import AsJson, Output, Quiet
from fairlead.cli.service_names import Id, Name, Words, find
from fairlead.cli.wishes import check_models, is_bundle_folder, models_of, wish_of
from fairlead.client import services
from fairlead.client.connection import connect
from fairlead.client.transport import Transport
from fairlead.errors import UsageError
from fairlead.schemas.services import Service, ServiceChange
from fairlead.schemas.services import Settings as WireSettings
from fairlead.sdk import deploying
from fairlead.sdk.reloading import recorded_source

Replicas = Annotated[int, typer.Option("-z", "-c", "--replicas", help="How many replicas; on this machine, processes.")]
To = Annotated[int | None, typer.Option("--to", metavar="REVISION", help="The revision to go back to; default: the one that served before.")]
Folder = Annotated[Path | None, typer.Option("--source-dir", help="Where the script lies now; default: where it was deployed from.")]
Models = Annotated[list[str] | None, typer.Option("-m", "--model", metavar="MODEL", help="NAME:VERSION, NAME@ALIAS or a path, instead of all that are there.")]


def add_to(app: typer.Typer) -> None:
    for command in (update, reload, scale, rollback, delete):
        app.command()(command)


def update(
    words: Words = None,
    name: Name = None,
    identity: Id = None,
    model: Models = None,
    ic: deploy.Ic = None,
    dc: deploy.Dc = None,
    script: deploy.Script = None,
    source_dir: deploy.SourceDir = None,
    requirements: deploy.Requirements = None,
    conda: deploy.Conda = None,
    environment: deploy.Environment = None,
    schema: deploy.Schema = None,
    sample: deploy.Sample = None,
    expected: deploy.Expected = None,
    image: deploy.Image = None,
    base: deploy.Base = None,
    workers: deploy.Workers = None,
    set_: deploy.Set = None,
    env: deploy.Env = None,
    secret: deploy.Secret = None,
    auth: deploy.Auth = None,
    tag: deploy.Tag = None,
    property: deploy.Property = None,  # noqa: A002 - the option's name
    description: deploy.Description = None,
    allow: deploy.Allow = None,
    no_wait: deploy.NoWait = False,
    timeout: deploy.Timeout = None,
    workspace: Workspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Change a service behind its address and keys; what is not said stays.

    \b
    fairlead service update churn -m churn:4
    fairlead service update churn --set numReplicas=2 --env LOG_LEVEL=debug
    """
    asked = dict(locals())
    deploy.check_auth(auth)
    check_models(model or ())
    wish = wish_of(asked)
    output = Output(as_json=as_json, quiet=quiet)
    progress = Progress(output)
    with connect(workspace=workspace) as transport:
        chosen = find(transport, words, name, identity)
        with progress.stage("uploading"):
            made = replace(wish, **_models(transport, model, output), made=image)
            service = deploying.update(transport, chosen, made, say=output.say)
        _finish(transport, service, output, progress, no_wait=no_wait, timeout=timeout)


def reload(
    words: Words = None,
    name: Name = None,
    identity: Id = None,
    source_dir: Folder = None,
    no_wait: deploy.NoWait = False,
    timeout: deploy.Timeout = None,
    workspace: Workspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Take a service's script again from where it was deployed from; models and packages stay.

    \b
    fairlead service reload churn
    """
    output = Output(as_json=as_json, quiet=quiet)
    progress = Progress(output)
    with connect(workspace=workspace) as transport:
        found = services.show_service(transport, find(transport, words, name, identity))
        with progress.stage("uploading"):
            revision = deploying.revision_of(transport, found.name, found.wanted_revision)
            service = deploying.reload(transport, found.name, recorded_source(found.name, revision, source_dir))
        _finish(transport, service, output, progress, no_wait=no_wait, timeout=timeout)


def scale(
    words: Words = None,
    name: Name = None,
    identity: Id = None,
    replicas: Replicas = 0,
    no_wait: deploy.NoWait = False,
    timeout: deploy.Timeout = None,
    workspace: Workspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Run a service with more or fewer replicas.

    \b
    fairlead service scale churn -z 4
    """
    if replicas < 1:
        raise UsageError("How many replicas? Say -z N, from 1 up.")
    output = Output(as_json=as_json, quiet=quiet)
    change = ServiceChange(settings=WireSettings.of(replicas=replicas))
    with connect(workspace=workspace) as transport:
        service = services.change_service(transport, find(transport, words, name, identity), change)
        _finish(transport, service, output, Progress(output), no_wait=no_wait, timeout=timeout)


def rollback(
    words: Words = None,
    name: Name = None,
    identity: Id = None,
    to: To = None,
    no_wait: deploy.NoWait = False,
    timeout: deploy.Timeout = None,
    workspace: Workspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Go back to an earlier revision: a new one like it.

    \b
    fairlead service rollback churn
    fairlead service rollback churn --to 3
    """
    output = Output(as_json=as_json, quiet=quiet)
    with connect(workspace=workspace) as transport:
        found = services.show_service(transport, find(transport, words, name, identity))
        number = to if to is not None else deploying.revision_before(transport, found)
        service = services.change_service(transport, found.name, ServiceChange.of(rollback_to=number))
        _finish(transport, service, output, Progress(output), no_wait=no_wait, timeout=timeout)


def delete(words: Words = None, name: Name = None, identity: Id = None, workspace: Workspace = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Delete a service: it answers what is in hand and ends. Its history stays.

    \b
    fairlead service delete churn
    """
    output = Output(as_json=as_json, quiet=quiet)
    with connect(workspace=workspace) as transport:
        chosen = find(transport, words, name, identity)
        with output.phase(f"ending {chosen}"):
            services.wait_gone(transport, services.delete_service(transport, chosen))
    output.result({"deleted": chosen}, short=chosen, lines=[("deleted", chosen)])


def _models(transport: Transport, said: list[str] | None, output: Output) -> dict[str, Any]:
    if not said:
        return {}
    if len(said) == 1 and is_bundle_folder(said[0]):
        return {"bundle": Path(said[0])}
    return {"models": models_of(transport, said, output.say)}


def _finish(transport: Transport, service: Service, output: Output, progress: Progress, *, no_wait: bool, timeout: float | None) -> None:
    if no_wait:
        output.result(service, short=service.name, lines=[("service", service.name), ("state", service.state.value)])
        return
    done = wait(transport, service, output, progress, timeout=timeout)
    show_service(done, output, progress, sample=sample_for(transport, done))
