"""Names with dense versions, as environments and data sets have them: found by name and by number or `latest`, numbered one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, and_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import InstrumentedAttribute, Session

from fairlead.errors import Conflict, NotFound
from fairlead.server.access import Access
from fairlead.server.clock import now
from fairlead.server.ids import new_id
from fairlead.server.tables.data import DatasetRow, DatasetVersionRow
from fairlead.server.tables.environments import EnvironmentRow, EnvironmentVersionRow

N = TypeVar("N", DatasetRow, EnvironmentRow)
V = TypeVar("V", DatasetVersionRow, EnvironmentVersionRow)


@dataclass(frozen=True)
class Words:
    """For sentences. command: of the CLI. make, made: how one comes to be. gone: what all versions of a name may be."""

    noun: str
    command: str
    make: str
    made: str
    gone: str


@dataclass(frozen=True)
class Numbered(Generic[N, V]):
    """name_id: the version's column that says whose it is."""

    names: type[N]
    versions: type[V]
    name_id: InstrumentedAttribute[str]
    words: Words

    def named(self, session: Session, workspace_id: str, name: str, *, lock: bool = False) -> N:
        """Raises NotFound."""
        chosen = select(self.names).where(self.is_named(workspace_id, name))
        row: N | None = session.scalars(chosen.with_for_update() if lock else chosen).one_or_none()
        if row is None:
            raise NotFound(f"There is no {self.words.noun} {name[:255]!r} in this workspace; {self._listed()} shows those there are.")
        return row

    def version_of(self, session: Session, workspace_id: str, name: str, version: str) -> V:
        """`version`: a number or `latest`. Raises NotFound."""
        wanted: Any = self.names.latest_version if version == "latest" else int(version)
        living = (self.is_named(workspace_id, name), self.versions.version == wanted, self.versions.deleted_at.is_(None))
        row: V | None = session.scalars(select(self.versions).join(self.names, self.names.id == self.name_id).where(*living)).one_or_none()
        if row is None:
            raise self._missing(self.named(session, workspace_id, name), version)
        return row

    def hold(self, session: Session, name_id: str) -> N:
        """The name's row, locked until the transaction ends: its versions change one after the other."""
        return session.get_one(self.names, name_id, with_for_update=True, populate_existing=True)

    def refuse_deleted(self, session: Session, row: V) -> None:
        """Raises NotFound when it was deleted before its name was held."""
        session.refresh(row)
        if row.deleted_at is not None:
            raise NotFound(f"{row.name}:{row.version} was deleted meanwhile; {self._listed(row.name)} shows the versions there are.")

    def take_number(self, session: Session, access: Access, name: str) -> N:
        """The name's row, new or not, held, its `last_version` counted on. Raises Conflict when the name is known in another spelling."""
        taken = self._count_on(session, access.workspace_id, name)
        if taken is None:
            self._add(session, access, name)
            taken = self._count_on(session, access.workspace_id, name)
        noun = self.words.noun
        if taken is None:
            raise Conflict(f"The {noun} {name!r} was deleted at this moment; {self.words.make} it again.")
        row = self.hold(session, taken)
        if row.name != name:
            article = "an" if noun[0] in "aeiou" else "a"
            raise Conflict(f"There is {article} {noun} {row.name!r}, and names that differ only in case are one; write it so, or choose another name.")
        return row

    def is_named(self, workspace_id: str, name: str) -> ColumnElement[bool]:
        return and_(self.names.workspace_id == workspace_id, self.names.folded == name.lower(), self.names.deleted_at.is_(None))

    def _count_on(self, session: Session, workspace_id: str, name: str) -> str | None:
        counted = update(self.names).where(self.is_named(workspace_id, name)).values(last_version=self.names.last_version + 1)
        return session.scalar(counted.returning(self.names.id))

    def _add(self, session: Session, access: Access, name: str) -> None:
        """Whoever loses the race for a new name finds the winner's row."""
        at = now()
        said = {"created_at": at, "updated_at": at, "created_by": access.principal, "etag": 1, "last_version": 0, "latest_version": 0, "versions": 0}
        row = self.names(id=new_id(), workspace_id=access.workspace_id, name=name, folded=name.lower(), **said)
        try:
            with session.begin_nested():
                session.add(row)
        except IntegrityError:
            pass

    def _missing(self, row: N, version: str) -> NotFound:
        if version == "latest":
            return NotFound(f"The {self.words.noun} {row.name!r} has no latest version: all are {self.words.gone}.")
        known = f"the last that was {self.words.made} is {row.last_version}"
        return NotFound(f"There is no {row.name}:{version}; {known}. {self._listed(row.name)} shows the versions there are.")

    def _listed(self, name: str = "") -> str:
        return f"`fairlead {self.words.command} list{f' {name}' if name else ''}`"


DATASETS = Numbered(DatasetRow, DatasetVersionRow, DatasetVersionRow.dataset_id, Words("data set", "dataset", "register", "registered", "deleted"))
ENVIRONMENTS = Numbered(
    EnvironmentRow,
    EnvironmentVersionRow,
    EnvironmentVersionRow.environment_id,
    Words("environment", "environment", "create", "created", "archived or deleted; name one by its number"),
)
