"""Who may call a service: its keys, and tokens for it."""

from __future__ import annotations

from sqlalchemy.orm import Session

from fairlead.schemas.services import AccessToken, KeyRotation, Keys, TokenWish
from fairlead.server import audit
from fairlead.server.access import Access, Contributor
from fairlead.server.context import Parts
from fairlead.server.faults import FaultPoint
from fairlead.server.routing import Router
from fairlead.server.services import endpoints, events, showing, wanting
from fairlead.server.sessions import Writing
from fairlead.server.tables.services import EndpointRow, ServiceRow

router = Router(prefix="/v1/workspaces/{workspace}/services/{name}", tags=["services"])
ROTATED = FaultPoint("services.rotate-key.before-commit", "a new key is written, and not yet committed")
SHOWN = FaultPoint("services.show-keys.before-commit", "that keys were shown is written, and not yet committed")
TOLD = FaultPoint("services.token.before-commit", "that a token was made is written, and not yet committed")


@router.get("/keys")
def show_keys(access: Contributor, session: Writing, parts: Parts, name: str) -> Keys:
    """Both keys; that they were read is in the audit log."""
    row, endpoint = _found(session, access, name)
    keys = endpoints.show_keys(parts.seal, endpoint, row.name)
    audit.record(session, access, "show-keys", "service", row.id, row.name)
    SHOWN.reach()
    return keys


@router.post("/keys")
def regenerate_key(access: Contributor, session: Writing, parts: Parts, name: str, body: KeyRotation) -> Keys:
    """The other key goes on working, and requests in hand are answered."""
    row, endpoint = _found(session, access, name)
    endpoints.show_keys(parts.seal, endpoint, row.name)
    endpoints.rotate(parts.seal, endpoint, body.key, body.value)
    wanting.apply_anew(row)
    events.note(session, row, "key-regenerated", f"{access.principal} regenerated the {body.key} key.")
    audit.record(session, access, "regenerate-key", "service", row.id, row.name, key=body.key)
    ROTATED.reach()
    parts.news.tell_after(session)
    return endpoints.show_keys(parts.seal, endpoint, row.name)


@router.post("/access-token")
def make_access_token(access: Contributor, session: Writing, parts: Parts, name: str, body: TokenWish) -> AccessToken:
    """A JWT that this service alone accepts, until it expires."""
    row, endpoint = _found(session, access, name)
    token = endpoints.new_token(parts.seal, endpoint, row, body.expires_in_seconds)
    audit.record(session, access, "make-access-token", "service", row.id, row.name, expires=token.expiry_on.isoformat())
    TOLD.reach()
    return token


def _found(session: Session, access: Access, name: str) -> tuple[ServiceRow, EndpointRow]:
    row = showing.find(session, access, name, lock=True)
    return row, session.get_one(EndpointRow, row.endpoint_id)
