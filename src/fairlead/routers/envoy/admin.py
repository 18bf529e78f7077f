"""What Envoy says of itself, over its administration socket."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fairlead.routers.envoy.listeners import digest_of

ANSWERS_WITHIN = 5.0


class Silent(Exception):
    """Nobody answers at the socket."""


@dataclass(frozen=True, kw_only=True)
class Host:
    """A replica as Envoy's main thread has it. `in_flight`: requests that it answers, or that wait for a connection to it."""

    place: tuple[str, int]
    weight: int
    in_flight: int


@dataclass(frozen=True, kw_only=True)
class Listening:
    """A listener of a given name. `digest`: of the one that is active, "" when there is none; `error`: why the newest is not."""

    digest: str = ""
    error: str = ""
    error_digest: str = ""


class Admin:
    """One connection for a few questions. Raises Silent."""

    def __init__(self, path: Path) -> None:
        self._connection = _UnixConnection(path)

    def hosts(self, handle: str) -> dict[str, list[Host]]:
        """By generation, for those that Envoy has taken up."""
        said = self._get("/clusters", format="json", filter=f"^{handle}@")
        return {one["name"]: [_host(host) for host in one.get("host_statuses", [])] for one in said.get("cluster_statuses", [])}

    def listener(self, name: str) -> Listening:
        said = self._get("/config_dump", resource="dynamic_listeners", name_regex=f"^{_quoted(name)}$")
        found: dict[str, Any] = next((one for one in said.get("configs", []) if one.get("name") == name), {})
        error = found.get("error_state", {})
        return Listening(
            digest=digest_of(found.get("active_state", {}).get("listener", {})),
            error=error.get("details", ""),
            error_digest=digest_of(error.get("failed_configuration", {})),
        )

    def routes_version(self) -> str:
        """Of the table of routes that is in use."""
        said = self._get("/config_dump", resource="dynamic_route_configs", mask="version_info")
        return next((str(one.get("version_info", "")) for one in said.get("configs", [])), "")

    def close(self) -> None:
        self._connection.close()

    def _get(self, path: str, **query: str) -> dict[str, Any]:
        try:
            self._connection.request("GET", f"{path}?{urlencode(query)}")
            answer = self._connection.getresponse().read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise Silent(str(error)) from error
        try:
            said = json.loads(answer)
        except ValueError:
            return {}  # a sentence: there is nothing of that kind
        return said if isinstance(said, dict) else {}


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=ANSWERS_WITHIN)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(ANSWERS_WITHIN)
        self.sock.connect(str(self._path))


def _host(said: dict[str, Any]) -> Host:
    address = said["address"]["socket_address"]
    counts = {one["name"]: int(one.get("value", 0)) for one in said.get("stats", [])}
    return Host(
        place=(address["address"], address["port_value"]),
        weight=said.get("weight", 1),
        in_flight=counts.get("rq_active", 0) + counts.get("rq_pending_active", 0),
    )


def _quoted(name: str) -> str:
    return "".join(_escaped(name))


def _escaped(name: str) -> Iterator[str]:
    for mark in name:
        yield mark if mark.isalnum() or mark in "-@:" else f"\\{mark}"
