"""Asking a container's front whether it is there and can score."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

PATIENCE = 2.0  # seconds for an answer that takes milliseconds
MOST_AT_ONCE = 16


@dataclass(frozen=True, kw_only=True)
class Probe:
    """`is_silent`: it took the connection and said nothing. `workers`: how many can score; None when it does not say."""

    is_alive: bool
    is_silent: bool = False
    is_ready: bool = False
    workers: int | None = None
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class Door:
    host: str
    port: int
    tls: bool = False


def ask_all(doors: Sequence[Door]) -> list[Probe]:
    """At the same time, so that one which hangs does not hide the others."""
    if len(doors) <= 1:
        return [ask(door) for door in doors]
    with ThreadPoolExecutor(min(len(doors), MOST_AT_ONCE), thread_name_prefix="probe") as pool:
        return list(pool.map(ask, doors))


def ask(door: Door) -> Probe:
    connection = _connection(door)
    try:
        connection.request("GET", "/readyz?verbose", headers={"connection": "close"})
        reply = connection.getresponse()
        said = _object(reply.read(64 * 1024))
    except (OSError, http.client.HTTPException) as error:
        return Probe(is_alive=False, is_silent=isinstance(error, TimeoutError), message=_why(error))
    finally:
        connection.close()
    workers = said.get("workers")
    return Probe(
        is_alive=True,
        is_ready=reply.status == 200,
        workers=workers.get("ready") if isinstance(workers, dict) else None,
        message=str(said.get("message") or ""),
    )


def _connection(door: Door) -> http.client.HTTPConnection:
    if not door.tls:
        return http.client.HTTPConnection(door.host, door.port, timeout=PATIENCE)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # it is asked by its address, and told nothing
    return http.client.HTTPSConnection(door.host, door.port, timeout=PATIENCE, context=context)


def _object(body: bytes) -> dict[str, object]:
    with contextlib.suppress(ValueError):
        said = json.loads(body)
        return said if isinstance(said, dict) else {}
    return {}


def _why(error: Exception) -> str:
    return f"it did not answer within {PATIENCE:.0f} s" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
