"""Services as readers see them: one, and lists of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, or_, select
from sqlalchemy.orm import Session, aliased, defer

from fairlead.errors import NotFound, UsageError
from fairlead.schemas.services import Service, ServiceState
from fairlead.schemas.wire import Page
from fairlead.server.access import Access
from fairlead.server.paging import Paging, cursor_after, page_rows
from fairlead.server.services import revisions, states
from fairlead.server.tables.services import EndpointRow, LabelRow, RevisionModelRow, RevisionRow, ServiceRow
from fairlead.targets.types import State

Wanted = aliased(RevisionRow)
Serving = aliased(RevisionRow)
AS_THEY_ARE = (
    "id", "created_at", "created_by", "name", "message", "target", "handle", "wanted_revision", "update_error", "description", "tags", "properties",
    "updated_at", "serial", "observed_at", "workers_ready", "workers_wanted",
)  # fmt: skip
LONGEST_LABEL = 255


@dataclass(frozen=True, kw_only=True)
class Filters:
    """`model`: NAME or NAME:VERSION, wanted or serving. `tag`, `property_`: KEY or KEY=VALUE."""

    state: ServiceState | None = None
    model: str | None = None
    tag: Sequence[str] = ()
    property_: Sequence[str] = ()
    prefix: str | None = None


def find(session: Session, access: Access, name: str, *, lock: bool = False) -> ServiceRow:
    """The living service of this name. Raises NotFound."""
    chosen = select(ServiceRow).where(ServiceRow.workspace_id == access.workspace_id, ServiceRow.name == name, ServiceRow.deleted_at.is_(None))
    row = session.scalars(chosen.with_for_update() if lock else chosen).one_or_none()
    if row is None:
        raise NotFound(f"There is no service {name[:100]!r} in the workspace {access.workspace!r}; `fairlead service list` shows those there are.")
    return row


def show(session: Session, access: Access, name: str) -> tuple[Service, ServiceRow]:
    """Raises NotFound."""
    found = session.execute(_whole().where(ServiceRow.workspace_id == access.workspace_id, ServiceRow.name == name, _living())).one_or_none()
    if found is None:
        find(session, access, name)
        raise AssertionError("a service that lives has its rows")
    return to_wire(*found), found[0]


def again(session: Session, row: ServiceRow) -> Service:
    """As it is in this transaction."""
    session.flush()
    return to_wire(*session.execute(_whole().where(ServiceRow.id == row.id)).one())


def list_services(session: Session, access: Access, filters: Filters, paging: Paging) -> Page[Service]:
    """By name."""
    chosen = _whole().where(ServiceRow.workspace_id == access.workspace_id, _living(), *_conditions(filters))
    keys = [ServiceRow.name]
    rows = page_rows(session, chosen, keys, paging)
    return Page(items=[to_wire(*row) for row in rows[: paging.limit]], next=cursor_after(rows, keys, paging))


def to_wire(row: ServiceRow, wanted: RevisionRow, serving: RevisionRow | None, endpoint: EndpointRow) -> Service:
    told, base = serving or wanted, row.scoring_base
    derived = {
        "state": states.WORDS[State(row.state)],
        "auth": endpoint.auth,
        "scoring_uri": base and f"{base}/score",
        "swagger_uri": base and f"{base}/swagger.json",
        "port": int(base.rpartition(":")[2]) if base else endpoint.port,
        "revision": row.serving_revision,
        "stage": wanted.stage,
        "models": told.models,
        "image": revisions.image_name_of(told),
        "settings": told.settings,
    }
    return Service.model_validate({name: getattr(row, name) for name in AS_THEY_ARE} | derived)


def set_labels(session: Session, row: ServiceRow, kind: str, labels: dict[str, str]) -> None:
    """`kind`: tag or property. What the row says, repeated to be searched."""
    session.flush()
    for each in session.scalars(select(LabelRow).where(LabelRow.service_id == row.id, LabelRow.kind == kind)):
        session.delete(each)
    session.flush()
    session.add_all(LabelRow(service_id=row.id, kind=kind, key=key, value=value[:LONGEST_LABEL]) for key, value in labels.items())
    if kind == "tag":
        row.tags = labels
    else:
        row.properties = labels


def _living() -> ColumnElement[bool]:
    return ServiceRow.deleted_at.is_(None)


def _whole() -> Select[Any, Any, Any, Any]:
    """One statement; the recipes, which hold samples, stay where they are."""
    return (
        select(ServiceRow, Wanted, Serving, EndpointRow)
        .join(Wanted, and_(Wanted.service_id == ServiceRow.id, Wanted.number == ServiceRow.wanted_revision))
        .outerjoin(Serving, and_(Serving.service_id == ServiceRow.id, Serving.number == ServiceRow.serving_revision))
        .join(EndpointRow, EndpointRow.id == ServiceRow.endpoint_id)
        .options(defer(Wanted.recipe), defer(Serving.recipe))
        .execution_options(populate_existing=True)
    )


def _conditions(filters: Filters) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if filters.state is not None:
        found.append(ServiceRow.state.in_(states.states_of(filters.state)))
    if filters.model is not None:
        found.append(_has_model(filters.model))
    found += [_has_label("tag", said) for said in filters.tag]
    found += [_has_label("property", said) for said in filters.property_]
    if filters.prefix:
        found.append(ServiceRow.name.startswith(filters.prefix, autoescape=True))
    return found


def _has_model(said: str) -> ColumnElement[bool]:
    name, _, version = said.partition(":")
    if version and not (version.isascii() and version.isdigit() and len(version) < 10):
        raise UsageError(f"model={said[:100]!r}: write NAME or NAME:VERSION, such as churn:3.")
    current = or_(RevisionModelRow.number == ServiceRow.wanted_revision, RevisionModelRow.number == ServiceRow.serving_revision)
    which = [RevisionModelRow.service_id == ServiceRow.id, RevisionModelRow.name == name, current]
    return exists().where(*which, RevisionModelRow.version == int(version)) if version else exists().where(*which)


def _has_label(kind: str, said: str) -> ColumnElement[bool]:
    key, given, value = said.partition("=")
    which = [LabelRow.service_id == ServiceRow.id, LabelRow.kind == kind, LabelRow.key == key]
    return exists().where(*which, LabelRow.value == value[:LONGEST_LABEL]) if given else exists().where(*which)
