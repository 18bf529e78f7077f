"""Models over HTTP: versions, search, aliases, history, differences, uses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fairlead.client.transport import Reply, Transport
from fairlead.schemas.models import Alias, AliasMove, Difference, HistoryEvent, Model, ModelChange, ModelVersion, NewModelVersion, TreeFile, Use
from fairlead.schemas.references import Reference, parse_reference
from fairlead.schemas.search import Search

Asked = Reference | str
"""A version: `churn` (its latest), `churn:3`, `churn@champion`."""


def register(transport: Transport, new: NewModelVersion) -> ModelVersion:
    """The next version; its files and their tree are in the workspace already (`sdk.registering` sees to that)."""
    return transport.create(ModelVersion, transport.path("models"), new)


def show_version(transport: Transport, asked: Asked) -> ModelVersion:
    """Raises NotFound."""
    return show_tagged(transport, asked).value


def show_tagged(transport: Transport, asked: Asked) -> Reply[ModelVersion]:
    """With the etag that `change_version` and `delete_version` take, so that they change only what was seen."""
    return transport.send(ModelVersion, "GET", _path(transport, asked))


def change_version(transport: Transport, asked: Asked, changes: ModelChange, *, etag: str | None = None) -> ModelVersion:
    """Only members that are set. Raises Conflict for a property that has another value, Changed when the etag is not that of now."""
    return transport.send(ModelVersion, "PATCH", _path(transport, asked), body=changes, headers=_if_match(etag)).value


def delete_version(transport: Transport, asked: Asked, *, etag: str | None = None) -> None:
    """Raises InUse while a service uses it or an alias names it."""
    transport.request("DELETE", _path(transport, asked), headers=_if_match(etag))


def delete_model(transport: Transport, name: str) -> None:
    """The name with all its versions. Raises InUse."""
    transport.request("DELETE", transport.path("models", name))


def each_model(transport: Transport, name: str | None = None) -> Iterator[Model]:
    """By name; `name`: with a trailing `*` all that begin so."""
    return transport.each(Model, transport.path("models"), {"name": name})


def show_model(transport: Transport, name: str) -> Model:
    return transport.get(Model, transport.path("models", name))


def each_version(transport: Transport, name: str) -> Iterator[ModelVersion]:
    """Newest first, archived ones too. Without what is large: `show` has it."""
    return transport.each(ModelVersion, transport.path("models", name, "versions"))


def search(transport: Transport, asked: Search) -> Iterator[ModelVersion]:
    """Newest first, page by page as they are read. Without what is large: `show` has it."""
    return transport.each(ModelVersion, transport.path("model-versions"), _query(asked))


def each_file(transport: Transport, asked: Asked) -> Iterator[TreeFile]:
    return transport.each(TreeFile, f"{_path(transport, asked)}/files")


def difference(transport: Transport, first: Asked, second: Asked) -> Difference:
    """What the second has otherwise, and whether callers of the first can call it."""
    return transport.get(Difference, f"{_path(transport, first)}/diff", {"with": str(_reference(second))})


def each_use(transport: Transport, asked: Asked, *, current: bool | None = None) -> Iterator[Use]:
    """Of one version, newest first. current: only those of now, or only those that are over."""
    return transport.each(Use, f"{_path(transport, asked)}/uses", {"current": current})


def each_model_use(transport: Transport, name: str, *, current: bool | None = None) -> Iterator[Use]:
    """Of all versions of a name."""
    return transport.each(Use, transport.path("models", name, "uses"), {"current": current})


def each_event(transport: Transport, asked: Asked) -> Iterator[HistoryEvent]:
    """Of one version, newest first."""
    return transport.each(HistoryEvent, f"{_path(transport, asked)}/history")


def each_model_event(transport: Transport, name: str) -> Iterator[HistoryEvent]:
    """Of a name with all its versions, newest first."""
    return transport.each(HistoryEvent, transport.path("models", name, "history"))


def each_alias(transport: Transport, name: str) -> Iterator[Alias]:
    return transport.each(Alias, transport.path("models", name, "aliases"))


def show_alias(transport: Transport, name: str, alias: str) -> Alias:
    return transport.get(Alias, transport.path("models", name, "aliases", alias))


def move_alias(transport: Transport, asked: Asked, alias: str) -> Alias:
    """Makes the alias, or moves it to this version."""
    which = _reference(asked)
    version = int(which.version) if which.version.isdigit() else show_version(transport, which).version
    return transport.send(Alias, "PUT", transport.path("models", which.name, "aliases", alias), body=AliasMove(version=version)).value


def delete_alias(transport: Transport, name: str, alias: str) -> None:
    transport.request("DELETE", transport.path("models", name, "aliases", alias))


def each_alias_event(transport: Transport, name: str, alias: str) -> Iterator[HistoryEvent]:
    """Where it was, newest first."""
    return transport.each(HistoryEvent, transport.path("models", name, "aliases", alias, "history"))


def _path(transport: Transport, asked: Asked) -> str:
    which = _reference(asked)
    return transport.path("models", which.name, "versions", which.version)


def _reference(asked: Asked) -> Reference:
    return parse_reference(asked) if isinstance(asked, str) else asked


def _if_match(etag: str | None) -> dict[str, str]:
    return {"if-match": etag} if etag is not None else {}


def _query(asked: Search) -> dict[str, Any]:
    return {
        "name": asked.name,
        "tag": list(asked.tags) or None,
        "property": list(asked.properties) or None,
        "framework": asked.framework,
        "run_id": asked.run_id,
        "dataset": asked.dataset,
        "latest": True if asked.latest else None,
        "archived": {None: "any", False: None, True: "only"}[asked.archived],
        "where": asked.where,
    }
