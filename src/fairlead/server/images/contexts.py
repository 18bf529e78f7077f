"""A Dockerfile and its context instead of an image, kept as a tree that the caller fetches."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from fairlead_scoring import bundle

from fairlead.errors import UsageError
from fairlead.images.dockerfile import DockerfileRecipe, write_context
from fairlead.images.runtime import runtime_lock
from fairlead.schemas.bases import BaseWish, DockerfileWish
from fairlead.server.images.assembling import Ingredients, Yard, note_of_formats
from fairlead.stores import tree_of


@dataclass(frozen=True, kw_only=True)
class Written:
    """`tree`: of the folder; `blobs`: digest to size of all of it, the tree too. `note`: for whoever runs what is built of it."""

    of: Ingredients
    tree: str
    blobs: dict[str, int]
    note: str = ""


def write(yard: Yard, of: Ingredients, wish: DockerfileWish) -> Written:
    """Nothing is executed; the base stays a name. Raises UsageError, EnvironmentFailure."""
    yard.cache.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".context-", dir=yard.cache) as name:
        folder = Path(name) / "context"
        lay(yard, of, wish, folder)
        return _kept(yard, of, folder)


def lay(yard: Yard, of: Ingredients, wish: DockerfileWish, folder: Path) -> None:
    """Raises UsageError, EnvironmentFailure."""
    lock = of.locked.lock
    recipe = DockerfileRecipe(
        bundle=of.packed.place,
        lock=lock.text,
        python=lock.python,
        runtime=Path(bundle.__file__).parent,
        runtime_lock=runtime_lock(),
        cache=yard.cache,
        base_image="" if wish.base_dockerfile else base_of(yard, of.plan.base, lock.python),
        base_dockerfile=wish.base_dockerfile,
        extra_steps=wish.extra_steps,
        system_packages=wish.system_packages,
        labels=of.labels,
        variables=of.locked.variables,
    )
    write_context(recipe, folder)


def base_of(yard: Yard, wish: BaseWish | None, python: str) -> str:
    """As a Dockerfile names it; empty: the slim image of the lock's Python."""
    if wish is not None and wish.tree is not None:
        raise UsageError("A Dockerfile names its base, and this one was uploaded; give a reference in a registry, or let an image be built.")
    if wish is not None and wish.image is not None:
        return wish.image
    said = yard.base.replace("{python}", python)
    return "" if said.startswith("/") else said


def _kept(yard: Yard, of: Ingredients, folder: Path) -> Written:
    tree = tree_of(folder)
    for file in tree.files:
        with (folder / file.path).open("rb") as stream:
            yard.store.put(stream, expect=file.sha256)
    whole = tree.to_bytes()
    digest = yard.store.put(io.BytesIO(whole)).digest
    return Written(of=of, tree=digest, note=note_of_formats(of.packed), blobs={**tree.blobs, digest: len(whole)})
