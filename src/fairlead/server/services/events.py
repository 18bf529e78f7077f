"""What happened to a service, in order; every note also tells those who wait for a change."""

from __future__ import annotations

from sqlalchemy.orm import Session

from fairlead.server.clock import now
from fairlead.server.ids import new_id
from fairlead.server.tables.services import ServiceEventRow, ServiceRow


def note(session: Session, service: ServiceRow, event: str, message: str, revision: int | None = None) -> None:
    """`service` is locked, or new, in this transaction."""
    touch(service)
    session.add(ServiceEventRow(id=new_id(), service_id=service.id, number=service.serial, at=now(), revision=revision, event=event, message=message))


def touch(service: ServiceRow) -> None:
    service.serial += 1
    service.updated_at = now()
