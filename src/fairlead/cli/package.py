"""`fairlead package`: from registered models, a file or a bundle to an image that runs wherever containers do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from fairlead.cli import deploy as deploy_command
from fairlead.cli.deployment import Progress, connected
from fairlead.cli.image_shown import build_lines, facts, layers, run_lines
from fairlead.cli.model_options import Workspace
from fairlead.cli.output import AsJson, Output, Quiet, size
from fairlead.cli.pairs import labels
from fairlead.cli.wishes import check_models, is_bundle_folder, models_of, stem_of, wish_of
from fairlead.client.transport import Transport
from fairlead.errors import BootFailure, EnvironmentFailure, UsageError
from fairlead.schemas.images import Image, check_image_name, check_label, image_name_of
from fairlead.sdk import packaging, signing
from fairlead.sdk.deploying import Say, Wish

What = Annotated[
    list[str] | None,
    typer.Argument(metavar="MODEL[:VERSION|@ALIAS]|PATH|BUNDLE", help="Registered models, files (registered first), or one bundle."),
]
Ic = Annotated[Path | None, typer.Option("-c", "--inference-config", "--ic", metavar="FILE", help="inferenceconfig.json or .yml.")]
Place = Annotated[Path | None, typer.Option("-o", "--output", metavar="DIR|FILE.tar", help="Write it there: an OCI layout, or an archive for `docker load`.")]
Push = Annotated[str | None, typer.Option(metavar="REGISTRY/NAME:TAG", help="Push it there, with this machine's log-in; only what is missing there is sent.")]
Load = Annotated[bool, typer.Option("--load", "--build", help="Load it into this machine's Docker or Podman; with --dockerfile: build it there.")]
Base = Annotated[str | None, typer.Option(metavar="IMAGE", help="What it is built upon: a reference, or the path of an OCI layout or Docker archive.")]
Platform = Annotated[list[str] | None, typer.Option(metavar="A,B", help="Such as linux/amd64,linux/arm64; default: those of the base.")]
Name = Annotated[str | None, typer.Option("-n", "--name", help="Name of the image; default: the first model's.")]
ImageLabel = Annotated[str | None, typer.Option("--label", metavar="WORD", help="A word that means this version from now on: NAME:WORD.")]
Sign = Annotated[Path | None, typer.Option(metavar="KEY", help="Sign it with this private key (cosign's; its password in COSIGN_PASSWORD).")]
Dockerfile = Annotated[bool, typer.Option("--dockerfile", help="Write a Dockerfile and its context (to -o) instead of an image.")]
Timeout = Annotated[float | None, typer.Option(min=0, help="Seconds to wait; the build goes on after that.", show_default="no limit")]


def package(
    what: What = None,
    script: deploy_command.Script = None,
    source_dir: deploy_command.SourceDir = None,
    ic: Ic = None,
    requirements: deploy_command.Requirements = None,
    conda: deploy_command.Conda = None,
    environment: deploy_command.Environment = None,
    schema: deploy_command.Schema = None,
    sample: deploy_command.Sample = None,
    name: Name = None,
    label: ImageLabel = None,
    base: Base = None,
    platform: Platform = None,
    place: Place = None,
    push: Push = None,
    load: Load = False,
    sign: Sign = None,
    dockerfile: Dockerfile = False,
    description: deploy_command.Description = None,
    tag: deploy_command.Tag = None,
    allow: deploy_command.Allow = None,
    timeout: Timeout = None,
    workspace: Workspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Make an image of a model: no Docker is needed, and what was built before is used again.

    \b
    fairlead package churn:3 -o churn-image
    fairlead package churn:3 --push registry.example.org/team/churn:3
    fairlead package churn:3 -c inferenceconfig.json --base python:3.11-slim --load
    """
    asked = dict(locals())
    run(what or [], asked, Output(as_json=as_json, quiet=quiet))


def run(models: list[str], asked: dict[str, Any], output: Output) -> None:
    """The same for commands that spell it otherwise."""
    if not models and not asked.get("script") and not asked.get("ic"):
        raise UsageError("What is to be packaged? Give a model, a path or a bundle: `fairlead package churn:3`.")
    if asked.get("dockerfile"):
        _check_dockerfile(asked)
    check_models(models)
    packaging.check_destinations(asked.get("place"), asked.get("push"))
    if asked.get("label") is not None:
        check_label(asked["label"])
    packaging.platforms_of(asked.get("platform"))
    if asked.get("sign"):
        signing.load_key(asked["sign"])
    name = check_image_name(asked["name"]) if asked.get("name") else image_name_of(stem_of(models[0] if models else str(asked["script"] or asked["ic"])))
    wish = wish_of({**asked, "tag": None})
    progress = Progress(output)
    with connected(progress, asked.get("workspace")) as transport, _told(output, progress):
        with progress.stage("uploading"):
            image = _ask(transport, models, wish, name, asked, output)
        image = _follow(transport, image, progress, asked.get("timeout"))
        if asked.get("sign"):
            with progress.stage("signing"):
                image = signing.sign(transport, image, asked["sign"])
        done = hand_out(transport, image, asked, progress.note, progress)
    _show(image, done, output, progress)


def _check_dockerfile(asked: dict[str, Any]) -> None:
    for option in ("push", "sign"):
        if asked.get(option):
            raise UsageError(f"--{option} is for an image, and --dockerfile writes what an image is built from: build it, then do that with its own tools.")
    if not (asked.get("load") or asked.get("place")):
        raise UsageError("--dockerfile writes a folder to build an image from: say where with -o, or --load to have this machine's Docker build it.")


def hand_out(transport: Transport, image: Image, asked: dict[str, Any], say: Say, progress: Progress | None = None) -> dict[str, str]:
    """Where it went: written, pushed, loaded. `say`: is told what a push waits for."""
    stage = progress.stage if progress is not None else nullcontext
    done: dict[str, str] = {}
    if asked.get("place"):
        with stage("writing"):
            done["written to"] = str(packaging.write(transport, image, asked["place"]))
    if asked.get("push"):
        with stage("pushing"):
            pushed = packaging.push(transport, image, asked["push"], say)
        done["pushed to"] = f"{asked['push']} ({size(pushed.sent_bytes)} sent)"
    if asked.get("load") and image.context is not None:
        with stage("building by Docker"):
            done["built as"] = packaging.build(transport, image, lambda _line: None, asked.get("place"))
    elif asked.get("load"):
        with stage("loading"):
            done["loaded as"] = packaging.load(transport, image)
    return done


def _ask(transport: Transport, models: list[str], wish: Wish, name: str, asked: dict[str, Any], output: Output) -> Image:
    bundle = Path(models[0]) if len(models) == 1 and is_bundle_folder(models[0]) else None
    given = {"bundle": bundle} if bundle else {"models": models_of(transport, models, output.say, needs_flavor=wish.source is None)}
    return packaging.ask(
        transport,
        replace(wish, **given),
        output.say,
        name=name,
        label=asked.get("label"),
        platforms=packaging.platforms_of(asked.get("platform")),
        dockerfile=bool(asked.get("dockerfile")),
        tags=labels(asked.get("tag"), "--tag") or None,
    )


def _follow(transport: Transport, image: Image, progress: Progress, timeout: float | None) -> Image:
    for each in packaging.follow(transport, image, timeout=timeout):
        if isinstance(each, Image):
            return each
        if each.note:
            progress.note(each.note)
        else:
            progress.take(each)
    raise AssertionError("following ends with the image")


@contextmanager
def _told(output: Output, progress: Progress) -> Iterator[None]:
    """The last lines of a build that failed, before its sentence."""
    try:
        yield
    except (BootFailure, EnvironmentFailure) as failure:
        progress.stop()
        for line in (failure.facts.get("log_lines") or [])[-15:]:
            output.say(f"  {line}")
        raise
    finally:
        progress.stop()


def _show(image: Image, done: dict[str, str], output: Output, progress: Progress) -> None:
    if output.as_json or output.quiet:
        output.result(image, short=image.reference)
        return
    output.say(f"{image.reference} is ready, {progress.seconds:.1f} s")
    output.result(image, short=image.reference, lines=[*facts(image), *done.items()])
    if image.platforms:
        output.table([image], ("LAYER", "SIZE", "DIGEST", ""), layers(image), empty="")
        print("\n".join(run_lines(image, written=done.get("written to"), pushed=done.get("pushed to", "").partition(" ")[0], loaded="loaded as" in done)))
    elif "written to" in done:
        print("\n".join(build_lines(image, done["written to"])))
