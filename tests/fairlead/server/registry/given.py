"""Versions in a registry, for tests that begin with some."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import Any

from fairlead.client import models
from fairlead.client.transport import Transport
from fairlead.schemas.models import ModelVersion, NewModelVersion
from fairlead.sdk.uploads import upload_tree
from fairlead.stores import Tree, tree_of


def uploaded(owner: Transport, **files: str) -> str:
    """The digest of a tree with these files, by name and content; without any, of one small file."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for name, content in (files or {"model": "weights"}).items():
            (place / name).write_text(content)
        return upload_tree(owner, tree_of(place), place)


@functools.cache
def small_tree(owner: Transport) -> str:
    """Uploaded once for each workspace."""
    return uploaded(owner)


def new(owner: Transport, name: str = "churn", **said: Any) -> NewModelVersion:
    return NewModelVersion.model_validate({"name": name, "tree": said.pop("tree", None) or small_tree(owner), **said})


def registered(owner: Transport, name: str = "churn", **said: Any) -> ModelVersion:
    return models.register(owner, new(owner, name, **said))


def tree_with(**files: str) -> Tree:
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).write_text(content)
        return tree_of(Path(folder))
