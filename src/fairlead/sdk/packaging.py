"""Packaging: what was said becomes one request, the server builds the image, and its parts come from there on demand: into a folder, an archive, a registry."""

from __future__ import annotations

import io
import logging
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from fairlead.client import images
from fairlead.client.blobs import Blobs
from fairlead.client.transport import Transport
from fairlead.errors import BootFailure, StoreFull, Unavailable, UsageError
from fairlead.images.archive import docker_archive
from fairlead.images.docker_build import build_context
from fairlead.images.layout import MARKER, write_archive, write_layout
from fairlead.images.registry.pushing import Pushed
from fairlead.images.registry.references import parse_reference
from fairlead.images.registry.registry import Registry
from fairlead.images.types import AGAIN, MANIFEST, SBOM, Descriptor, Put
from fairlead.places import NO_ROOM
from fairlead.schemas import images as wire
from fairlead.schemas.services import Stage
from fairlead.sdk.deploying import Say, Wish, parts_of
from fairlead.sdk.following import Step
from fairlead.sdk.signing import push_signatures
from fairlead.stores.trees import LARGEST_MANIFEST, lay_down, parse

WORDS = {Stage.PACKAGING: "packaging", Stage.ENVIRONMENT: "choosing versions", Stage.IMAGE: "building image"}
ENGINES = ("docker", "podman")
LOG = logging.getLogger("fairlead")
_PLATFORM = re.compile(r"linux/[a-z0-9]+(/[a-z0-9]+)?|(?!linux$|windows$|darwin$)[a-z0-9]+")


@dataclass(frozen=True, kw_only=True)
class ImageStep(Step):
    """A stage of a build. `note`: what it waits for, in the midst of it."""

    note: str = ""

    def show(self) -> None:
        if self.note:
            print(f"{self.note} ... ", end="", flush=True)
        else:
            super().show()

    @property
    def name(self) -> str:
        return WORDS[self.stage]


class ServerBlobs:
    """The contents of one image, read from the server when they are asked for: `fairlead.images.types.Blobs`, to read from."""

    def __init__(self, transport: Transport, image: wire.Image) -> None:
        self._blobs = Blobs(transport)
        self._sizes = image.blobs

    def put(self, stream: BinaryIO, *, expect: str | None = None) -> Put:
        raise TypeError("an image on a server is only read")

    def open(self, digest: str, offset: int = 0) -> BinaryIO:
        """Raises BlobNotFound, Unavailable."""
        return io.BufferedReader(self._blobs.open(digest, offset))  # type: ignore[type-var]  # it is raw

    def size(self, digest: str) -> int | None:
        return self._sizes.get(digest)


def ask(transport: Transport, wish: Wish, say: Say, *, dockerfile: bool = False, **said: Any) -> wire.Image:
    """Uploads what there is to upload and asks for the image; returns as soon as the server has taken it on. `said`: of a NewImage, name, label, platforms.

    dockerfile: the text of a Dockerfile and of further steps comes from `wish.image`. Raises UsageError for such text without it.
    """
    steps = wish.image.dockerfile if wish.image is not None else {}
    if steps and not dockerfile:
        words = {"base_dockerfile": "baseDockerfile", "extra_steps": "extraDockerfileSteps", "system_packages": "userManagedDependencies"}
        which = ", ".join(words[name] for name in steps)
        raise UsageError(f"{which}: no step runs while an image is written here; let a Dockerfile be written (--dockerfile, generate_dockerfile=True).")
    asked = {
        **parts_of(transport, wish, say, contained=True),
        "dockerfile": steps if dockerfile else None,
        "description": wish.description,
        **said,
    }
    return images.create(transport, wire.NewImage.of(**{name: value for name, value in asked.items() if value is not None}))


def follow(transport: Transport, image: wire.Image, *, timeout: float | None = None) -> Iterator[ImageStep | wire.Image]:
    """Each step as it begins and ends, and last the image. Raises BootFailure (facts: stage, cause, log_lines), Unavailable when time is up."""
    since = time.monotonic()
    stage: Stage | None = None
    last = image
    for last in images.changes(transport, image.id, timeout=timeout):
        now = time.monotonic()
        if last.stage not in (stage, None) and not last.is_settled:
            if stage is not None:
                yield ImageStep(stage=stage, seconds=now - since)
            stage, since = last.stage, now
            yield ImageStep(stage=Stage(last.stage))
        if stage is not None and AGAIN in last.message and not last.is_settled:
            yield ImageStep(stage=stage, note=last.message)
    if not last.is_settled:
        raise Unavailable(f"The image {image.name} is still being built after {timeout or 0:g} s, and goes on: `fairlead image show {image.id}`.")
    _refuse_failed(last)
    if stage is not None:
        yield ImageStep(stage=stage, seconds=time.monotonic() - since)
    yield last


def built(transport: Transport, image: wire.Image, *, timeout: float | None = None) -> wire.Image:
    """The image once it is ready. Raises as `follow`."""
    *_, last = follow(transport, image, timeout=timeout)
    assert isinstance(last, wire.Image)
    return last


def check_destinations(place: Path | None = None, push: str | None = None) -> None:
    """What can be told before an image is built or fetched. Raises UsageError for a place that is taken, and for a reference that is none.

    A folder that writing an OCI layout has left unfinished is not taken.
    """
    if place is not None:
        with _written(place):
            taken = place.exists() and not (place.is_dir() and (_is_unfinished(place) or not any(place.iterdir())))
        if taken:
            raise UsageError(f"{place} is there already; give another place, or remove it.")
    if push is not None:
        parse_reference(push)


def write(transport: Transport, image: wire.Image, place: Path) -> Path:
    """A folder (OCI layout), or for a name that ends in .tar an archive that `docker load` and skopeo read.

    An archive appears whole or not at all; a folder has an index.json once it is whole, and is gone on with where it was left.
    Raises UsageError when something else is there, StoreFull.
    """
    check_destinations(place)
    if image.context is not None:
        return _write_context(transport, image.context, place)
    blobs = ServerBlobs(transport, image)
    with _written(place):
        if place.suffix == ".tar":
            write_archive(archive(blobs, image), place)
            return place
        for piece in place.glob("blobs/sha256/.*"):  # what an end in the middle of a blob has left
            piece.unlink(missing_ok=True)
        write_layout(blobs, descriptor_of(image), place, tag_of(image), referrers_of(image))
    return place


def push(transport: Transport, image: wire.Image, destination: str, say: Say) -> Pushed:
    """With this machine's log-in; what the registry lacks comes from the server. Lists of packages and signatures go along.

    `say`: is told of each pause before another try.

    Raises UsageError, Forbidden, Unavailable.
    """
    blobs, reference = ServerBlobs(transport, image), parse_reference(destination)
    with Registry(say=say) as registry:
        pushed = registry.push(blobs, descriptor_of(image), reference, sources=_near(image))
        more = [registry.push(blobs, each, reference.pinned(each.digest)) for each in referrers_of(image)]
        with tempfile.TemporaryDirectory(prefix="fairlead-signatures-") as room:
            push_signatures(registry, pushed.reference, image, Path(room))
    return replace(pushed, sent_bytes=sum(each.sent_bytes for each in (pushed, *more)))


def load(transport: Transport, image: wire.Image) -> str:
    """Into the Docker or Podman of this machine; answers the name that it has there. Raises UsageError without one, BootFailure."""
    engine = next((each for each in ENGINES if shutil.which(each)), None)
    if engine is None:
        raise UsageError("There is neither docker nor podman on this machine; write the image to a file (-o FILE.tar), or push it to a registry.")
    content = archive(ServerBlobs(transport, image), image)
    process = subprocess.Popen([engine, "load"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdin is not None
    try:
        for piece in content:
            process.stdin.write(piece)
    except BrokenPipeError:
        pass  # it says why
    except BaseException:
        process.kill()
        process.communicate()
        raise
    said, _ = process.communicate()
    if process.returncode:
        raise BootFailure(f"{engine} did not take the image: {said.decode(errors='replace').strip()[-500:]}", stage="loading", cause="engine-refused")
    return tagged(image)


def build(transport: Transport, image: wire.Image, say: Say, place: Path | None = None) -> str:
    """Of a Dockerfile and its context, by the Docker of this machine; answers the name that the image has there. `place`: where the context was written.

    Raises Unavailable without an engine, EnvironmentFailure for a step that failed.
    """
    if place is not None:
        return build_context(place, tagged(image), say).tag
    with tempfile.TemporaryDirectory(prefix="fairlead-context-") as name:
        return build_context(write(transport, image, Path(name) / "context"), tagged(image), say).tag


def archive(blobs: ServerBlobs, image: wire.Image) -> Iterator[bytes]:
    """Of the one platform that it has. Raises UsageError when it has several, or is no image."""
    if image.context is not None:
        raise UsageError(f"{image.reference} is a Dockerfile and its context, and no image; write it to a folder (-o DIR), and build it there.")
    if len(image.platforms) != 1:
        several = ", ".join(each.platform for each in image.platforms)
        raise UsageError(f"{image.reference} is for {several}, and an archive holds one platform; write it to a folder, or push it to a registry.")
    return docker_archive(blobs, image.platforms[0].manifest, tagged(image))


def descriptor_of(image: wire.Image) -> Descriptor:
    assert image.digest is not None, "an image that is ready has a digest"
    assert image.media_type is not None, "and a media type"
    return Descriptor(media_type=image.media_type, digest=image.digest, size=image.blobs[image.digest])


def referrers_of(image: wire.Image) -> list[Descriptor]:
    """What is said of the image beside it: a list of packages for each platform."""
    bills = [each.sbom for each in image.platforms if each.sbom is not None]
    return [Descriptor(media_type=MANIFEST, digest=each, size=image.blobs[each], artifact_type=SBOM) for each in bills]


def tag_of(image: wire.Image) -> str:
    return image.label or str(image.version)


def tagged(image: wire.Image) -> str:
    """The name that it has in a Docker: `churn:3`."""
    return f"{image.name}:{tag_of(image)}"


def platforms_of(said: Sequence[str] | None) -> list[str] | None:
    """From `linux/amd64,linux/arm64`, once or several times; `arm64` alone is linux/arm64. Raises UsageError."""
    found = dict.fromkeys(each.strip() for words in said or () for each in words.split(",") if each.strip())
    for each in found:
        if not _PLATFORM.fullmatch(each):
            raise UsageError(f"{each!r} is no platform that images are made for; write linux/amd64 or linux/arm64, or both with a comma between.")
    return list(dict.fromkeys(each if "/" in each else f"linux/{each}" for each in found)) or None


def _write_context(transport: Transport, tree: str, place: Path) -> Path:
    content = Blobs(transport)
    with io.BufferedReader(content.open(tree)) as stream:  # type: ignore[type-var]  # it is raw
        lay_down(content, parse(stream.read(LARGEST_MANIFEST + 1)), place)
    return place


def _near(image: wire.Image) -> list[str]:
    """Where the registry may have the base's layers."""
    try:
        return [str(parse_reference(image.base))] if image.base and not image.base.startswith("sha256:") else []
    except UsageError:
        return []  # it came from a file


def _is_unfinished(folder: Path) -> bool:
    """An OCI layout whose writing ended before its end."""
    return (folder / MARKER).is_file() and not (folder / "index.json").exists()


@contextmanager
def _written(place: Path) -> Iterator[None]:
    """What this machine's disk refuses, in a sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:
            raise StoreFull(f"There is no space left for {place}; free some, or give another place.") from error
        raise UsageError(f"{place} cannot be written ({error.strerror or error}); give another place.") from error


def _refuse_failed(image: wire.Image) -> None:
    failure = image.failure
    if failure is not None:
        said = f"The image {image.name} failed while {WORDS.get(Stage(failure.stage), failure.stage)}: {failure.message}"
        more = f"`fairlead image logs {image.id}` shows more."
        raise BootFailure(f"{said} {more}", image=image.name, stage=failure.stage, cause=failure.cause, log_lines=list(failure.log_lines))
