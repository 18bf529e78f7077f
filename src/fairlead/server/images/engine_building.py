"""Images of services whose configuration has Dockerfile steps, or a Dockerfile: built by the container engine, kept like those that are written directly.

A build runs what the Dockerfile says, as root inside the engine; whether this server does that is its setting `dockerfile_builds`.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from tempfile import TemporaryDirectory

from fairlead.errors import UsageError
from fairlead.images.docker_build import EngineImage, build_context, find_builder, remove, saved
from fairlead.images.engine_images import take_built
from fairlead.images.layout import reachable
from fairlead.schemas.bases import DockerfileWish
from fairlead.server.images import assembling, contexts
from fairlead.server.images.assembling import Asker, Ingredients, Made, Say, Yard

TAG = "fairlead-build"


def assemble(yard: Yard, of: Ingredients, asker: Asker, say: Say) -> Made:
    """As the plan wants it. Raises EnvironmentFailure, UsageError, Unavailable."""
    wish = of.plan.dockerfile
    if wish is None or not wish.says_something:
        return assembling.assemble(yard, of, asker, say)
    if not yard.may_build:
        raise UsageError(
            "This server runs no steps of a Dockerfile (extraDockerfileSteps, baseDockerfile): start it with --dockerfile-builds allow, or build the image "
            "yourself (`fairlead package --dockerfile`) and push it."
        )
    return _built(yard, of, wish, say)


def _built(yard: Yard, of: Ingredients, wish: DockerfileWish, say: Say) -> Made:
    """The engine keeps its cache of steps, and not the image: that is loaded like any other when it is to run."""
    builder, python = find_builder(yard.docker_host), of.locked.lock.python
    yard.cache.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".build-", dir=yard.cache) as name:
        folder, archive = Path(name) / "context", Path(name) / "image.tar"
        contexts.lay(yard, of, wish, folder)
        image = build_context(folder, f"{TAG}:{uuid.uuid4().hex[:12]}", say, builder=builder)
        try:
            _save(image, archive)
        finally:
            remove(image)
        base = "a Dockerfile" if wish.base_dockerfile else contexts.base_of(yard, of.plan.base, python) or f"python:{python}-slim"
        built = take_built(archive, yard.store, yard.cache, python=python, base=base, say=say)
    return Made(of=of, built=built, blobs={each.digest: each.size for each in reachable(yard.store, built.descriptor)})


def _save(image: EngineImage, archive: Path) -> None:
    with archive.open("wb") as file:
        for piece in saved(image):
            file.write(piece)
