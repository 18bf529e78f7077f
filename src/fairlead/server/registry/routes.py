"""`/v1/workspaces/{workspace}/models` and `…/model-versions`."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Path, Query, Response

from fairlead.schemas.models import (
    Alias,
    AliasMove,
    AliasName,
    Difference,
    HistoryEvent,
    Model,
    ModelChange,
    ModelName,
    ModelVersion,
    NewModelVersion,
    TreeFile,
    Use,
)
from fairlead.schemas.references import Reference, check_version, parse_reference
from fairlead.schemas.search import Search
from fairlead.schemas.wire import Key, Page, Text
from fairlead.server.access import Contributor, Reader
from fairlead.server.conditional import IfMatch, show_tag
from fairlead.server.context import Parts
from fairlead.server.once import Repeatable
from fairlead.server.paging import Pages
from fairlead.server.registry import aliases, changes, differences, files, history, models, names, search, uses, versions
from fairlead.server.routing import Router
from fairlead.server.sessions import Reading, Writing
from fairlead.server.tables.registry import ModelUseRow

router = Router(prefix="/v1/workspaces/{workspace}", tags=["models"])

Name = Annotated[ModelName, Path(description="Of a model; case does not count.")]
Version = Annotated[str, Path(max_length=64, description="A number from 1 up, `latest`, or `@alias`.")]
AliasPath = Annotated[AliasName, Path(description="A name for one version, that can be moved.")]
Labels = Annotated[list[Text] | None, Query(max_length=20, description="`key` or `key=value`; each one given must be there.")]
NameFilter = Annotated[
    str | None, Query(pattern=r"^[A-Za-z0-9._-]{0,255}\*?$", description="A name, or the beginning of names with `*` behind it; case does not count.")
]
Where = Annotated[Text | None, Query(description="Such as `metrics.auc > 0.9 and tags.stage = 'prod'`: =, !=, <, <=, >, >=, like; and, or, not, brackets.")]


@router.post("/models", status_code=201, response_model=ModelVersion)
def register_model(access: Contributor, parts: Parts, session: Writing, body: NewModelVersion, once: Repeatable) -> Response:
    """The next version of the name. Its files are uploaded before: `tree` is the digest of their manifest."""
    tree = files.facts_of(parts, access.workspace_id, body.tree)
    return once.answer(session, access, body, lambda: versions.register(session, access, body, tree))


@router.get("/models")
def list_models(access: Reader, session: Reading, pages: Pages, name: NameFilter = None) -> Page[Model]:
    """The names, in order."""
    return search.list_models(session, access.workspace_id, name, pages)


@router.get("/model-versions")
def search_model_versions(
    access: Reader,
    session: Reading,
    pages: Pages,
    name: NameFilter = None,
    tag: Labels = None,
    property: Labels = None,  # noqa: A002 - the parameter's name
    framework: Key | None = None,
    run_id: Key | None = None,
    dataset: Annotated[Key | None, Query(description="Name or digest of a data set that the version came from.")] = None,
    latest: Annotated[bool, Query(description="Only the newest of each name.")] = False,
    archived: Annotated[Literal["no", "only", "any"], Query(description="Whether archived ones are left out, the only ones, or among them.")] = "no",
    where: Where = None,
) -> Page[ModelVersion]:
    """Of all names, newest first. Without what is large: requirements, schema, samples.

    A page may hold fewer than `limit`, even none, though there are more: a search looks at a few thousand versions per request. It is over when `next` is null.
    """
    asked = Search(
        name=name,
        tags=tag or (),
        properties=property or (),
        framework=framework,
        run_id=run_id,
        dataset=dataset,
        latest=latest,
        archived={"no": False, "only": True, "any": None}[archived],
        where=where,
    )
    return search.search(session, access.workspace_id, asked, pages)


@router.get("/models/{name}")
def show_model(access: Reader, session: Reading, name: Name) -> Model:
    """One name, and what its versions come to."""
    return search.show_model(session, access.workspace_id, name)


@router.delete("/models/{name}", status_code=204)
def delete_model(access: Contributor, session: Writing, name: Name) -> None:
    """With all its versions; refused while a service uses one. The next model of this name begins at version 1."""
    models.delete(session, access, names.model_named(session, access.workspace_id, name))


@router.get("/models/{name}/versions")
def list_versions(access: Reader, session: Reading, pages: Pages, name: Name) -> Page[ModelVersion]:
    """Newest first, archived ones too. Without what is large: requirements, schema, samples."""
    return search.list_versions(session, names.model_named(session, access.workspace_id, name), pages)


@router.get("/models/{name}/versions/{version}")
def show_version(access: Reader, session: Reading, name: Name, version: Version, response: Response) -> ModelVersion:
    """One version, with all that is known about it."""
    row, answer = versions.show(session, access.workspace_id, _reference(name, version))
    show_tag(response, row)
    return answer


@router.patch("/models/{name}/versions/{version}")
def change_version(
    access: Contributor, session: Writing, name: Name, version: Version, body: ModelChange, response: Response, if_match: IfMatch = None
) -> ModelVersion:
    """Change what is said of a version; what it is never changes."""
    row, labels = names.version_and_aliases(session, access.workspace_id, _reference(name, version))
    changes.change(session, access, row, body, if_match)
    show_tag(response, row)
    return versions.to_wire(row, labels)


@router.delete("/models/{name}/versions/{version}", status_code=204)
def delete_version(access: Contributor, session: Writing, name: Name, version: Version, if_match: IfMatch = None) -> None:
    """Refused while a service uses it, naming the service, or an alias names it. Its number is not given again."""
    versions.delete(session, access, names.version_of(session, access.workspace_id, _reference(name, version)), if_match)


@router.get("/models/{name}/versions/{version}/files")
def list_files(access: Reader, parts: Parts, session: Reading, pages: Pages, name: Name, version: Version) -> Page[TreeFile]:
    """In order of their paths. Each is downloaded as a blob, by its sha256."""
    row = names.version_of(session, access.workspace_id, _reference(name, version))
    return files.list_files(parts, row.tree, pages)


@router.get("/models/{name}/versions/{version}/diff")
def show_difference(
    access: Reader,
    parts: Parts,
    session: Reading,
    name: Name,
    version: Version,
    other: Annotated[str, Query(alias="with", max_length=320, description="A version of this model (`3`, `latest`, `@champion`), or `name:version`.")],
) -> Difference:
    """What `with` has otherwise than this version, and whether callers of this one can call it."""
    first = names.version_of(session, access.workspace_id, _reference(name, version))
    second = names.version_of(session, access.workspace_id, _other(name, other))
    return differences.between(first, second, lambda row: files.read_tree(parts, row.tree))


@router.get("/models/{name}/uses")
def list_model_uses(access: Reader, session: Reading, pages: Pages, name: Name, current: bool | None = None) -> Page[Use]:
    """Where any version is used, and was; newest first."""
    model = names.model_named(session, access.workspace_id, name)
    return uses.list_uses(session, ModelUseRow.model_id, model.id, pages, current=current)


@router.get("/models/{name}/versions/{version}/uses")
def list_uses(access: Reader, session: Reading, pages: Pages, name: Name, version: Version, current: bool | None = None) -> Page[Use]:
    """Where it is used, and was; newest first."""
    row = names.version_of(session, access.workspace_id, _reference(name, version))
    return uses.list_uses(session, ModelUseRow.version_id, row.id, pages, current=current)


@router.get("/models/{name}/history")
def list_model_history(access: Reader, session: Reading, pages: Pages, name: Name) -> Page[HistoryEvent]:
    """What happened to the model and its versions, deleted ones too; newest first."""
    return history.list_events(session, names.model_named(session, access.workspace_id, name).id, pages)


@router.get("/models/{name}/versions/{version}/history")
def list_history(access: Reader, session: Reading, pages: Pages, name: Name, version: Version) -> Page[HistoryEvent]:
    """What happened to the version, newest first."""
    row = names.version_of(session, access.workspace_id, _reference(name, version))
    return history.list_events(session, row.model_id, pages, version_id=row.id)


@router.get("/models/{name}/aliases")
def list_aliases(access: Reader, session: Reading, pages: Pages, name: Name) -> Page[Alias]:
    """The aliases of a name, and where each points."""
    return aliases.list_aliases(session, names.model_named(session, access.workspace_id, name), pages)


@router.get("/models/{name}/aliases/{alias}")
def show_alias(access: Reader, session: Reading, name: Name, alias: AliasPath, response: Response) -> Alias:
    """Where one alias points."""
    model = names.model_named(session, access.workspace_id, name)
    row = aliases.alias_of(session, model, alias)
    show_tag(response, row)
    return aliases.to_wire(model, row)


@router.put("/models/{name}/aliases/{alias}")
def move_alias(access: Contributor, session: Writing, name: Name, alias: AliasPath, body: AliasMove, response: Response, if_match: IfMatch = None) -> Alias:
    """Makes it, or moves it to another version."""
    model, row = aliases.move(session, access, _reference(name, str(body.version)), alias, if_match)
    show_tag(response, row)
    return aliases.to_wire(model, row)


@router.delete("/models/{name}/aliases/{alias}", status_code=204)
def delete_alias(access: Contributor, session: Writing, name: Name, alias: AliasPath, if_match: IfMatch = None) -> None:
    """Its history stays."""
    aliases.remove(session, access, names.model_named(session, access.workspace_id, name), alias, if_match)


@router.get("/models/{name}/aliases/{alias}/history")
def list_alias_history(access: Reader, session: Reading, pages: Pages, name: Name, alias: AliasPath) -> Page[HistoryEvent]:
    """Where it was, newest first; also of one that is deleted."""
    return history.list_events(session, names.model_named(session, access.workspace_id, name).id, pages, alias=alias)


def _reference(name: str, version: str) -> Reference:
    return Reference(name, check_version(version))


def _other(name: str, said: str) -> Reference:
    """`with`: a version of the same model, or of another."""
    return parse_reference(said) if ":" in said or "@" in said[1:] else _reference(name, said)
