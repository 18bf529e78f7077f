"""A PostgreSQL database: no files, only connections. Sinks and the ledger speak SQL to it."""

from __future__ import annotations

from typing import Any, Callable, Iterator, Mapping, NoReturn, Optional, TypeVar
from urllib.parse import parse_qs, urlsplit

from fairlead_scoring.batch.places.faults import PlaceFault, Refused
from fairlead_scoring.batch.places.place import Entry, Outgoing, Place
from fairlead_scoring.batch.places.retrying import Persistence

T = TypeVar("T")


class DatabasePlace(Place):
    """credentials: `user` and `password`, or `url` with all of them."""

    def __init__(self, url: str, credentials: Optional[Mapping[str, Any]] = None) -> None:
        refuse_password(url)
        given = dict(credentials or {})
        self.url = self.root = url
        self._target = str(given.get("url") or url)
        self._options = {name: str(given[name]) for name in ("user", "password") if given.get(name)}
        written = urlsplit(self._target).password
        self._secrets = tuple(secret for secret in (self._options.get("password"), written) if secret)

    def transact(self, act: Callable[[Any], T]) -> T:
        """Within one transaction, tried again from its start when the connection breaks: `act(connection)` must bear that a commit's answer was lost."""

        def once() -> T:
            with self._connect() as connection:
                return act(connection)

        return self._guarded(once)

    def session(self) -> Any:
        """A connection of the caller's own, without transactions."""
        return self._guarded(lambda: self._connect(autocommit=True))

    def _guarded(self, act: Callable[[], T]) -> T:
        psycopg = _library(self.url)

        def once() -> T:
            try:
                return act()
            except psycopg.OperationalError as fault:
                if "authentication failed" in str(fault) or "no password supplied" in str(fault):
                    raise Refused(
                        f"The database {self.url} refuses access ({self._persistence.line(fault)}). See to the credentials that are given for it."
                    ) from None
                raise

        return self._persistence.act(once)

    def _connect(self, **options: Any) -> Any:
        return _library(self.url).connect(self._target, connect_timeout=15, application_name="fairlead batch", **self._options, **options)

    @property
    def _persistence(self) -> Persistence:
        return Persistence(f"The database {self.url}", self._secrets)

    def said(self, fault: Exception) -> str:
        return self._persistence.line(fault)

    def url_of(self, path: str) -> str:
        return f"{self.url} ({path})"

    def entries(self, pattern: Optional[str] = None, *, hidden: bool = False) -> Iterator[Entry]:  # noqa: ARG002 - there are none
        self._no_files()

    def open(self, path: str, offset: int = 0) -> NoReturn:  # noqa: ARG002 - there are none
        self._no_files()

    def fetch(self, path: str, folder: str) -> NoReturn:  # noqa: ARG002 - there are none
        self._no_files()

    def begin(self, path: str) -> Outgoing:  # noqa: ARG002 - there are none
        self._no_files()

    def create(self, path: str, content: bytes) -> NoReturn:  # noqa: ARG002 - there are none
        self._no_files()

    def delete(self, path: str) -> None:
        """No files, nothing to delete."""

    def delete_folder(self, path: str) -> None:
        """As delete()."""

    def stat(self, path: str) -> Optional[Entry]:  # noqa: ARG002 - there are none
        return None

    def _no_files(self) -> NoReturn:
        raise PlaceFault(f"{self.url} is a database, and holds no files. Give a folder, or name a table (--table).")


def refuse_password(url: str) -> None:
    """Orders, plans and logs show the URL. Raises Refused."""
    parts = urlsplit(url)
    if parts.password is not None or any("password" in name for name in parse_qs(parts.query)):
        raise Refused(
            f"The URL of the database at {parts.hostname} holds a password, which logs would show; leave it out, and give it by name (--credentials)."
        )


def _library(url: str) -> Any:
    try:
        import psycopg
    except ImportError:
        raise Refused(f"{url} needs psycopg, which is not in this environment: pip install 'psycopg[binary]'.") from None
    return psycopg
