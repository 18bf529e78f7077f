"""The places that an order names, opened with the credentials that it names."""

from __future__ import annotations

from typing import Any, Dict, Mapping, NamedTuple, Optional, Tuple
from urllib.parse import quote, urlsplit

from fairlead_scoring.batch.job import Input, Order
from fairlead_scoring.batch.places import Place, open_place
from fairlead_scoring.batch.places.database import refuse_password
from fairlead_scoring.errors import UsageFault

Secrets = Mapping[str, Mapping[str, Any]]


class Address(NamedTuple):
    """Of a database, with user and password."""

    url: str


class JobPlaces:
    """Called with an input: its place, one for all that the input names. Each is opened once in a process."""

    def __init__(self, order: Order, secrets: Secrets) -> None:
        self._order = order
        self._secrets = secrets
        self._open: Dict[Tuple[str, Optional[str]], Place] = {}

    def __call__(self, said: Input) -> Any:
        if said.database is not None:
            return Address(with_password(said.database, self._credentials(said.credentials) or {}))
        return self._opened(said.urls[0] if said.urls else "", said.credentials)

    def of_output(self) -> Place:
        assert self._order.output is not None
        return self._opened(self._order.output.url, self._order.output.credentials)

    def _opened(self, url: str, credentials: Optional[str]) -> Place:
        key = (url, credentials)
        if key not in self._open:
            self._open[key] = open_place(url, self._credentials(credentials))
        return self._open[key]

    def _credentials(self, name: Optional[str]) -> Optional[Mapping[str, Any]]:
        if name is None:
            return None
        if name not in self._secrets:
            raise UsageFault(f"The order names the credentials {name!r}, and there are none of that name; see `fairlead secret list`.")
        return self._secrets[name]


def with_password(url: str, given: Mapping[str, Any]) -> str:
    """What credentials say of user and password goes into the address: it stays in this process."""
    if given.get("url"):
        return str(given["url"])
    parts = urlsplit(url)
    refuse_password(url)
    user, password = given.get("user") or parts.username, given.get("password")
    if password is None or parts.hostname is None:
        return url
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{quote(str(user or ''), safe='')}:{quote(str(password), safe='')}@{host}").geturl()
