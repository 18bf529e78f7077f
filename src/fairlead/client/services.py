"""Services: one function per route, and `changes`, which follows a deploy to its end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import httpx2

from fairlead.client.transport import Reply, Transport, checked
from fairlead.client.watching import POLL, changes_of
from fairlead.errors import NotFound, Unavailable
from fairlead.schemas.services import (
    AccessToken,
    KeyName,
    KeyRotation,
    Keys,
    NewService,
    Reload,
    Revision,
    Service,
    ServiceChange,
    ServiceEvent,
    TargetFacts,
    Targets,
    TokenWish,
    Trace,
)


def list_targets(transport: Transport) -> list[TargetFacts]:
    """Where the server can run services, and what is missing where it cannot."""
    return transport.get(Targets, "/v1/targets").targets


def deploy_service(transport: Transport, new: NewService) -> Service:
    """Returns at once; `changes` tells how it goes on. Raises Conflict when the name is taken, UsageError for one that is none."""
    return transport.create(Service, transport.path("services"), new)


def list_services(transport: Transport, **filters: Any) -> Iterator[Service]:
    """state, model, tag, property, prefix."""
    return transport.each(Service, transport.path("services"), filters)


def show_service(transport: Transport, name: str) -> Service:
    """Raises NotFound."""
    return transport.get(Service, transport.path("services", name))


def read_service(transport: Transport, name: str) -> Reply[Service]:
    """With its ETag."""
    return transport.send(Service, "GET", transport.path("services", name))


def changes(transport: Transport, name: str, *, timeout: float | None = None) -> Iterator[Service]:
    """The service each time that something of it changed, until nothing is on its way or the time is over; the last one is how it stands then."""
    return changes_of(transport, Service, "services", name, timeout=timeout)


def change_service(transport: Transport, name: str, change: ServiceChange, *, etag: str | None = None) -> Service:
    """Raises Conflict while another change is on its way, Changed when it is not what `etag` says."""
    headers = {"if-match": etag} if etag else {}
    return transport.send(Service, "PATCH", transport.path("services", name), body=change, headers=headers).value


def roll_back_service(transport: Transport, name: str, revision: int) -> Service:
    """To what an earlier revision was made of; possible at any time. Raises NotFound."""
    return change_service(transport, name, ServiceChange(rollback_to=revision))


def reload_service(transport: Transport, name: str, reload: Reload | None = None) -> Service:
    return transport.create(Service, transport.path("services", name, "reload"), reload or Reload())


def delete_service(transport: Transport, name: str) -> Service:
    """Returns while it answers what is in hand; `wait_gone` waits for the end."""
    return transport.send(Service, "DELETE", transport.path("services", name)).value


def wait_gone(transport: Transport, service: Service, *, timeout: float = 120.0) -> bool:
    """Whether it has ended; one of the same name that came after it does not count."""
    give_up = time.monotonic() + timeout
    seen = service.serial
    while (left := give_up - time.monotonic()) > 0:
        try:
            found = transport.get(Service, transport.path("services", service.name), {"wait": min(POLL, left), "seen": seen})
        except NotFound:
            return True
        if found.id != service.id:
            return True
        seen = found.serial
    return False


def list_revisions(transport: Transport, name: str) -> Iterator[Revision]:
    """The newest first."""
    return transport.each(Revision, transport.path("services", name, "revisions"))


def list_events(transport: Transport, name: str) -> Iterator[ServiceEvent]:
    """The newest first."""
    return transport.each(ServiceEvent, transport.path("services", name, "events"))


def read_logs(  # noqa: PLR0913 - as many as the route has filters
    transport: Transport,
    name: str,
    *,
    tail: int = 200,
    revision: str | int | None = None,
    request_id: str | None = None,
    since: datetime | None = None,
    follow: bool = False,
) -> Iterator[str]:
    """Lines without their ends, oldest first; with `follow` until the service ends or the caller stops asking. Raises NotFound, Unavailable at once."""
    asked: dict[str, Any] = {"tail": tail, "revision": revision, "request_id": request_id, "since": since and since.isoformat(), "follow": follow or None}
    request = transport.http.build_request(
        "GET",
        transport.path("services", name, "logs"),
        params={key: value for key, value in asked.items() if value is not None},
        timeout=httpx2.Timeout(60.0, read=None if follow else 60.0),
    )
    try:
        response = transport.http.send(request, stream=True)
    except httpx2.TransportError as error:
        raise _broken(transport, error) from error
    try:
        checked(response)
    except BaseException:
        response.close()
        raise
    return _lines_of(transport, response)


def show_keys(transport: Transport, name: str) -> Keys:
    """Raises UsageError when the service has none."""
    return transport.get(Keys, transport.path("services", name, "keys"))


def regenerate_key(transport: Transport, name: str, key: KeyName, value: str | None = None) -> Keys:
    """The other key goes on working. `value`: the new one; None lets the server make it."""
    body = KeyRotation(key=key, value=value) if value is not None else KeyRotation(key=key)
    return transport.send(Keys, "POST", transport.path("services", name, "keys"), body=body).value


def make_access_token(transport: Transport, name: str, *, expires_in_seconds: int = 3600) -> AccessToken:
    """Raises UsageError when the service takes no tokens."""
    wish = TokenWish(expires_in_seconds=expires_in_seconds)
    return transport.send(AccessToken, "POST", transport.path("services", name, "access-token"), body=wish).value


def trace(transport: Transport, identity: str) -> Trace:
    """`identity`: the header x-fairlead-revision of an answer, or a request's id. Raises NotFound."""
    return transport.get(Trace, transport.path("trace", identity))


def _lines_of(transport: Transport, response: httpx2.Response) -> Iterator[str]:
    try:
        yield from response.iter_lines()
    except httpx2.TransportError as error:
        raise _broken(transport, error) from error
    finally:
        response.close()


def _broken(transport: Transport, error: Exception) -> Unavailable:
    return Unavailable(f"The connection to {transport.url} broke ({str(error) or type(error).__name__}); see `fairlead server status`.")
