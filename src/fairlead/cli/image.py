"""`fairlead image`: the images of a workspace, what they are made of, who runs them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from fairlead.cli import package as package_command
from fairlead.cli import service_create
from fairlead.cli.image_shown import SHORT, facts, layers, run_lines
from fairlead.cli.model_options import Workspace
from fairlead.cli.output import AsJson, Output, Quiet, size
from fairlead.client import images
from fairlead.client.connection import connect
from fairlead.errors import UsageError
from fairlead.schemas import images as wire
from fairlead.schemas.images import Pruning
from fairlead.sdk import packaging, signing
from fairlead.sdk.runtimes import packages_of

app = typer.Typer(help="Images: what there is, what is in them, who runs them.", no_args_is_help=True, rich_markup_mode=None)

Image = Annotated[str | None, typer.Argument(metavar="NAME[:VERSION|:LABEL]", help="churn (its newest version), churn:3, an id, or a digest.")]
ImageId = Annotated[str | None, typer.Option("-i", "--image-id", help="The same as an option.")]


@app.command("list")
def list_images(
    name: Annotated[str | None, typer.Option("-n", "--name", help="Only versions of this name.")] = None,
    model: Annotated[str | None, typer.Option("-m", "--model", help="Only those with this model: NAME or NAME:VERSION.")] = None,
    workspace: Workspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """List images, newest first.

    \b
    fairlead image list --model churn
    """
    output = Output(as_json=as_json, quiet=quiet)
    with connect(workspace=workspace) as transport:
        found = list(images.each(transport, name=name, model=model))
    rows = [(each.reference if each.version else each.name, each.state, each.models, _size(each.size), _digest(each), each.created_at) for each in found]
    none = "No image is like that; `fairlead image list` shows all." if name or model else "There are no images; `fairlead package MODEL` makes one."
    output.table(found, ("NAME", "STATE", "MODELS", "SIZE", "DIGEST", "CREATED"), rows, empty=none)


@app.command()
def show(image: Image = None, identity: ImageId = None, workspace: Workspace = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Show an image: digest, models, base, packages, state.

    \b
    fairlead image show churn:3
    """
    with connect(workspace=workspace) as transport:
        found = images.show(transport, _which(image, identity))
    Output(as_json=as_json, quiet=quiet).result(found, short=found.digest or found.state, lines=facts(found))


@app.command()
def history(image: Image = None, identity: ImageId = None, workspace: Workspace = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Show the layers of an image, the lowest first: what each is, how large, and whether the workspace had it before.

    \b
    fairlead image history churn:3
    """
    with connect(workspace=workspace) as transport:
        found = images.show(transport, _which(image, identity))
    said = [{"platform": each.platform, **layer.model_dump()} for each in found.platforms for layer in each.layers]
    Output(as_json=as_json, quiet=quiet).table(said, ("LAYER", "SIZE", "DIGEST", ""), layers(found), empty=f"{found.name} has no layers: it is {found.state}.")


@app.command("usage")
def show_usage(image: Image = None, identity: ImageId = None, workspace: Workspace = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Show who runs an image, and how it is pulled and run elsewhere.

    \b
    fairlead image usage churn:3
    """
    output = Output(as_json=as_json, quiet=quiet)
    with connect(workspace=workspace) as transport:
        found = images.show(transport, _which(image, identity))
        used = list(images.uses(transport, found.id))
    if as_json:
        how = [line.strip() for line in run_lines(found)[2:]]
        output.result({"image": found.reference, "services": [each.model_dump(mode="json") for each in used], "run": how}, short="")
        return
    rows = [(each.service, each.revision, each.target, each.state, "now" if each.current else "before", each.since) for each in used]
    output.table(used, ("SERVICE", "REV", "TARGET", "STATE", "", "SINCE"), rows, empty=f"No service runs {found.reference}.")
    if not quiet:
        print("\n".join(run_lines(found)))


@app.command()
def pull(
    image: Image = None,
    place: package_command.Place = None,
    push: package_command.Push = None,
    identity: ImageId = None,
    workspace: Workspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Load an image into this machine's Docker or Podman; or write it to a file, or push it to a registry.

    \b
    fairlead image pull churn:3
    fairlead image pull churn:3 -o churn.tar
    """
    output = Output(as_json=as_json, quiet=quiet)
    packaging.check_destinations(place, push)
    with connect(workspace=workspace) as transport:
        found = images.show(transport, _which(image, identity))
        with output.phase(f"Fetching {found.reference}, {size(found.size or 0)}"):
            done = package_command.hand_out(transport, found, {"place": place, "push": push, "load": not (place or push)}, output.say)
    output.result({"image": found.reference, **done}, short=next(iter(done.values())), lines=list(done.items()))


@app.command()
def sign(
    image: Image = None,
    key: Annotated[Path | None, typer.Option("--key", help="Private key, such as cosign.key; its password in COSIGN_PASSWORD.")] = None,
    identity: ImageId = None,
    workspace: Workspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Sign an image with a key of this machine; a server with the setting image_key runs only what is signed.

    \b
    fairlead image sign churn:3 --key cosign.key
    """
    if key is None:
        raise UsageError("With which key? Give --key KEY; `cosign generate-key-pair` makes one.")
    with connect(workspace=workspace) as transport:
        signed = signing.sign(transport, images.show(transport, _which(image, identity)), key)
    Output(as_json=as_json, quiet=quiet).result(signed, short=signed.reference, lines=facts(signed))


@app.command()
def logs(image: Image = None, identity: ImageId = None, workspace: Workspace = None) -> None:
    """Show what the build of an image said.

    \b
    fairlead image logs churn:3
    """
    with connect(workspace=workspace) as transport:
        print(images.read_log(transport, _which(image, identity)), end="")


@app.command()
def delete(image: Image = None, identity: ImageId = None, workspace: Workspace = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Delete an image; refused while a service runs it.

    \b
    fairlead image delete churn:3
    """
    said = _which(image, identity)
    with connect(workspace=workspace) as transport:
        images.delete(transport, said)
    Output(as_json=as_json, quiet=quiet).result({"deleted": said}, short=said, lines=[("deleted", said)])


@app.command()
def prune(
    name: Annotated[str | None, typer.Option("-n", "--name", help="Only versions of this name.")] = None,
    keep: Annotated[int, typer.Option(min=0, max=10_000, help="Newest versions of each name that stay, and those with a label; 0: none.")] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    workspace: Workspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Delete images that no service runs, but for the newest of each name. The next clearing-up of the server frees the space.

    \b
    fairlead image prune --keep 3
    """
    output = Output(as_json=as_json, quiet=quiet)
    with connect(workspace=workspace) as transport:
        done = images.prune(transport, Pruning.of(keep=keep, dry_run=dry_run, **({"name": name} if name else {})))
    label = "would go" if dry_run else "deleted"
    output.result(done, short="\n".join(done.images), lines=[(label, done.images or "nothing"), ("frees", size(done.freed_bytes))])


@app.command()
def create(
    name: Annotated[str | None, typer.Option("-n", "--image-name", help="The image's name.")] = None,
    script: service_create.Driver = None,
    model: service_create.Models = None,
    beside: service_create.Beside = None,
    requirements: service_create.Requirements = None,
    conda: service_create.Conda = None,
    schema: service_create.Schema = None,
    runtime: service_create.Runtime = None,
    description: Annotated[str | None, typer.Option("--image-description", help="What it is for.")] = None,
    image_type: Annotated[str | None, typer.Option("--image-type", hidden=True)] = None,
    base: package_command.Base = None,
    workspace: Workspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Make an image in the words of the first generation. `fairlead package` does the same in newer words.

    \b
    fairlead image create -n churn -m churn.pkl -f score.py -r python -c conda.yml
    """
    if image_type not in (None, "Docker", "docker"):
        raise UsageError(f"--image-type {image_type}: images are Docker's and OCI's; leave it out.")
    if name is None:
        raise UsageError("What is the image called? Give -n NAME.")
    asked: dict[str, Any] = dict(locals()) | {"packages": packages_of(runtime)}
    package_command.run(list(model or ()), asked, Output(as_json=as_json, quiet=quiet))


def _which(said: str | None, identity: str | None) -> str:
    given = said or identity
    if given is None:
        raise UsageError("Which image? Give its name; `fairlead image list` shows those there are.")
    return wire.check_reference(given)


def _digest(image: wire.Image) -> str:
    return "Dockerfile" if image.context is not None else (image.digest or "-")[:SHORT]


def _size(count: int | None) -> str:
    return "-" if count is None else size(count)
