"""Bringing an image to the engine: only layers that it lacks, and all of them where that is not understood."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import partial

from fairlead.errors import BootFailure, FairleadError
from fairlead.targets.docker.chores import Chores
from fairlead.targets.docker.engine import Engine
from fairlead.targets.docker.loaded import Loaded
from fairlead.targets.types import Image

Archive = Callable[[Image, Collection[str]], Iterator[bytes]]  # what `docker load` takes, without layers of these chain ids


def bring(engine: Engine, chores: Chores, archive: Archive, loaded: Loaded, image: Image) -> str | None:
    """How the engine calls it, and will for a while; None while it is on its way. Raises FairleadError once it cannot be loaded."""
    key = _key(image)
    if chores.progress(key) is not None:
        return None
    failure = chores.take_failure(key)
    if failure is not None:
        raise failure
    with loaded.needing(image):
        found = engine.find_image(image)
    if found is None:
        chores.start(key, partial(_load, engine, archive, loaded, image))
    return found


def progress(chores: Chores, image: Image | None) -> str:
    """A sentence while it is loaded; "" when it is not."""
    said = chores.progress(_key(image)) if image else None
    return "" if said is None or image is None else f"The engine is loading the image {image.name}{f', {said}' if said else ''}."


def _load(engine: Engine, archive: Archive, loaded: Loaded, image: Image, say: Callable[[str], None]) -> None:
    known = engine.layers()
    try:
        engine.load(_counted(archive(image, known), image, say), image.name)
        is_there = engine.find_image(image) is not None
    except FairleadError:
        if not known:
            raise
        is_there = False
    if not is_there and known:  # Podman and containerd's store want all of them
        engine.load(_counted(archive(image, ()), image, say), image.name)
        is_there = engine.find_image(image) is not None
    if not is_there:
        raise BootFailure(f"The image {image.name} was loaded, and the engine has none of its digest {image.id[:12]}; package it again.", cause="image-missing")
    loaded.note(engine, image)


def _counted(chunks: Iterator[bytes], image: Image, say: Callable[[str], None]) -> Iterator[bytes]:
    sent = 0
    for chunk in chunks:
        sent += len(chunk)
        say(f"{min(99, 100 * sent // image.size)} %" if image.size else f"{sent / 1e6:.0f} MB so far")
        yield chunk


def _key(image: Image) -> str:
    return f"load {image.id}"
