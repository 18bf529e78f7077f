"""HTTP to the control plane: the token, request ids, retries that are safe, and problems as the classes they were raised as."""

from __future__ import annotations

import json
import ssl
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Self, TypeVar
from urllib.parse import quote

import httpx2
from pydantic import BaseModel

from fairlead import __version__
from fairlead.errors import FairleadError, Unavailable, UsageError, error_class
from fairlead.schemas.wire import Page

T = TypeVar("T", bound=BaseModel)
TRIES = 4
PAUSE = 0.2


@dataclass(frozen=True, kw_only=True)
class Reply(Generic[T]):
    """A parsed answer and what its headers said."""

    value: T
    etag: str | None
    status: int
    headers: Mapping[str, str] = field(repr=False, default_factory=dict)


class Transport:
    """One server, one token, one workspace. A context manager; threads may share it."""

    def __init__(self, url: str, token: str, workspace: str = "default", *, trust: Path | ssl.SSLContext | None = None, timeout: float = 60.0) -> None:
        """`trust`: a file of certificate authorities, or what else decides whom to believe; None: what this machine trusts."""
        self.url = url.rstrip("/")
        self.workspace = workspace
        headers = {"authorization": f"Bearer {token}", "user-agent": f"fairlead/{__version__}"}
        verify = ssl.create_default_context(cafile=trust) if isinstance(trust, Path) else trust if trust is not None else True
        self.http = httpx2.Client(base_url=self.url, headers=headers, timeout=timeout, verify=verify, trust_env=not _is_loopback(self.url))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.http.close()

    @property
    def is_of_this_machine(self) -> bool:
        """Whether the server has the same disk as we: its address is the loopback's."""
        return _is_loopback(self.url)

    def path(self, *parts: str) -> str:
        """Below this workspace: `path("models", "churn")` is /v1/workspaces/default/models/churn. Raises UsageError for what cannot be one part of it."""
        for part in parts:
            if "/" in part or part in ("", ".", ".."):
                raise UsageError(f"{part!r} cannot be a name: names are not empty, have no /, and are not dots alone. Correct it.")
        return "/".join(["/v1/workspaces", *(quote(part, safe="") for part in (self.workspace, *parts))])

    def get(self, answer: type[T], path: str, params: Mapping[str, Any] | None = None) -> T:
        return self.send(answer, "GET", path, params=params).value

    def create(self, answer: type[T], path: str, body: BaseModel) -> T:
        """A POST that happens once, however often the connection breaks."""
        return self.send(answer, "POST", path, body=body, headers={"idempotency-key": str(uuid.uuid4())}).value

    def each(self, item: type[T], path: str, params: Mapping[str, Any] | None = None) -> Iterator[T]:
        """All pages of a list, one after the other."""
        asked = {"limit": 500, **(params or {})}
        while True:
            page = self.get(Page[item], path, asked)  # type: ignore[valid-type]
            yield from page.items
            if page.next is None:
                return
            asked["after"] = page.next

    def send(
        self,
        answer: type[T],
        method: str,
        path: str,
        *,
        body: BaseModel | None = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply[T]:
        """Raises the class that the server raised; Unavailable when it cannot be reached."""
        content = body.model_dump_json(exclude_unset=True) if body is not None else None
        sent = {"content-type": "application/json"} if content is not None else {}
        response = self.request(method, path, content=content, params=_given(params), headers=sent | dict(headers or {}))
        value, etag = answer.model_validate_json(response.content), response.headers.get("etag")
        return Reply(value=value, etag=etag, status=response.status_code, headers=response.headers)

    def request(self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **how: Any) -> httpx2.Response:
        """The raw answer of a request that succeeded. Repeats what may be repeated: reads, and creates with an idempotency key."""
        repeatable = method in ("GET", "HEAD", "PUT", "DELETE") or "idempotency-key" in (headers or {})
        for left in reversed(range(TRIES if repeatable else 1)):
            try:
                response = self.http.request(method, path, headers=headers, **how)
            except httpx2.TransportError as error:
                if left == 0:
                    why = str(error) or type(error).__name__
                    raise Unavailable(f"The server {self.url} cannot be reached ({why}); see `fairlead server status`.") from error
            else:
                if response.status_code != 503 or left == 0:
                    return checked(response)
            time.sleep(PAUSE * 2 ** (TRIES - 1 - left))  # noqa: TID251 - a pause between tries is by the clock
        raise AssertionError("every try returns or raises")


def checked(response: httpx2.Response) -> httpx2.Response:
    """The response of a success; else the error that it states."""
    if response.is_success:
        return response
    try:
        told = json.loads(response.read())
        kind, detail = str(told["type"]), str(told["detail"])
    except (ValueError, KeyError, TypeError):
        raise FairleadError(f"{response.request.url} answered {response.status_code}, and not as a Fairlead server does; look at the address.") from None
    known = {"type", "title", "status", "detail", "instance"}
    error = error_class(kind)(detail, **{name: value for name, value in told.items() if name not in known})
    error.status = response.status_code
    raise error


def _given(params: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (params or {}).items() if value is not None}


def _is_loopback(url: str) -> bool:
    host = httpx2.URL(url).host
    return host in ("localhost", "::1") or host.startswith("127.")
