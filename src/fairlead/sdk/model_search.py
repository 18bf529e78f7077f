"""Finding a model by what is said of it, in the registry and on disk."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from fairlead.client import data
from fairlead.client import models as client
from fairlead.client.transport import Transport
from fairlead.errors import NotFound
from fairlead.schemas import models as wire
from fairlead.schemas.search import Search

_ID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
Filters = Sequence[str | Sequence[str]] | Mapping[str, str]


def newest(transport: Transport, name: str, tags: Filters | None, properties: Filters | None, run_id: str | None, version: int | None) -> wire.ModelVersion:
    found = client.search(transport, Search(name=name, tags=filters(tags), properties=filters(properties), run_id=run_id, archived=None))
    chosen = next((each for each in found if version in (None, each.version)), None)
    if chosen is None:
        raise NotFound(f"No version of {name!r} has these tags, properties or run; `fairlead model list {name}` shows those there are.")
    return client.show_version(transport, chosen.reference)


def filters(said: Filters | None) -> list[str]:
    """`key` or `key=value`, from "key", ["key", "value"] or {"key": "value"}."""
    pairs = (
        [(name, value) for name, value in said.items()]
        if isinstance(said, Mapping)
        else [(each,) if isinstance(each, str) else tuple(each) for each in said or ()]
    )
    return ["=".join(str(part) for part in pair) for pair in pairs]


def dataset(purpose: str, said: object) -> wire.DatasetReference:
    """Of a name, or of a data set: a registered one by its version and digest."""
    name, version, digest = (getattr(said, each, None) for each in ("name", "version", "digest"))
    if name is not None and version is not None:
        return wire.DatasetReference.of(purpose=purpose, name=f"{name}:{version}", digest=digest)
    return wire.DatasetReference.of(purpose=purpose, name=said if name is None else name)


def dataset_named(transport: Transport, said: str | None) -> str | None:
    """As lineage names it: a registered data set may be asked for by its id too."""
    if said is None or not _ID.fullmatch(said):
        return said
    try:
        return data.show_dataset_by_id(transport, said).reference
    except NotFound:
        return said


def name_of(identity: str) -> str:
    return identity.partition(":")[0]


def local_path(name: str, version: int | None) -> Path | None:
    below = Path("azureml-models", name)
    versions = sorted((each for each in below.glob("*") if each.name.isdigit()), key=lambda each: int(each.name)) if version is None else [below / str(version)]
    chosen = next((each for each in reversed(versions) if each.is_dir()), None)
    if chosen is None:
        return Path(name) if Path(name).exists() else None
    inside = list(chosen.iterdir())
    return inside[0] if len(inside) == 1 else chosen
