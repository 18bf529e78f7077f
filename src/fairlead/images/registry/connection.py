"""HTTP to one registry: TLS, logins, retries, redirects.

Credentials go to the registry and to the realm it names, never to where it redirects.
"""

from __future__ import annotations

import ipaddress
import random
import ssl
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Self

import httpx2

from fairlead import __version__
from fairlead.errors import FairleadError, Unavailable, UsageError
from fairlead.images.registry.answers import TRY_AGAIN, Answer, is_certificate, read_whole, reason, refusal, retry_after, unreachable
from fairlead.images.registry.credentials import Credentials
from fairlead.images.registry.references import Reference
from fairlead.images.registry.tokens import Login, Scopes
from fairlead.images.types import AGAIN, Say, say_nothing

PAUSES = (0.3, 1.0, 3.0, 6.0)  # seconds between tries, when the registry does not ask for more
MOST_PATIENCE = 60.0  # seconds; a registry that asks for more is not available

_MOST_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_HOPELESS = (httpx2.UnsupportedProtocol, httpx2.LocalProtocolError)
_TIMEOUT = httpx2.Timeout(60.0, connect=15.0, read=300.0, pool=None)  # a registry hashes a large blob before it answers

Content = bytes | Callable[[], Iterable[bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request. `content`: bytes, or what begins them anew for each try; then `headers` has their content-length."""

    method: str
    url: str  # a path of the registry's, or an address that it gave
    scopes: Scopes
    headers: Mapping[str, str] = field(default_factory=dict)
    content: Content = b""
    again: bool = True  # it may be sent twice


class Connection:
    """To the registry of a host. A context manager; threads may share it."""

    def __init__(
        self,
        reference: Reference,
        credentials: Credentials | None = None,
        *,
        insecure: bool = False,
        trust: Path | None = None,
        pauses: tuple[float, ...] = PAUSES,
        say: Say = say_nothing,
    ) -> None:
        """Of the reference, the host. `insecure`: plain HTTP although it is another machine. `say`: is told of each pause before another try, by any thread.

        `trust`: a file of certificate authorities; None: the system's, or SSL_CERT_FILE's.
        """
        self.host = reference.host
        self.pauses = pauses
        self._say = say
        self._told = 0.0  # the longest pause that was told of since the registry last answered
        self._telling = threading.Lock()
        self._insecure = insecure
        self._secure = httpx2.URL(f"https://{reference.api_host}")
        loopback = _is_loopback(self._secure.host)
        self.may_be_plain = insecure or loopback
        self._http = httpx2.Client(
            headers={"user-agent": f"fairlead/{__version__}", "accept-encoding": "identity"},
            timeout=_TIMEOUT,
            verify=ssl.create_default_context(cafile=trust),
            trust_env=not loopback,
        )
        self._login = Login(self.host, credentials, self._ask_realm)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    @cached_property
    def origin(self) -> httpx2.URL:
        """With TLS, unless plain HTTP is allowed and is what is spoken there; asked once, without a login."""
        plain = self._secure.copy_with(scheme="http")
        if not self.may_be_plain:
            return self._secure
        try:
            with self._http.stream("GET", plain.join("/v2/"), auth=None) as response:
                return self._secure if response.status_code == 400 else plain
        except (httpx2.RemoteProtocolError, httpx2.ReadError):  # how else a server of TLS answers
            return self._secure
        except httpx2.TransportError:  # the request proper will say why
            return plain

    def ask(self, asked: Asked, *expected: int) -> Answer:
        """The whole answer, whose status is one of these; raises what another one means."""
        for pause in (*self.pauses, None) if asked.again else (None,):
            response = self.open(asked, *expected)
            try:
                return read_whole(response, self.host)
            except httpx2.TransportError as fault:  # it broke while it was read
                if pause is None:
                    raise self._unreachable(fault) from fault
                wait(pause)
        raise AssertionError("the last try returns or raises")

    def open(self, asked: Asked, *expected: int) -> httpx2.Response:
        """The answer with its body still to come: close it."""
        response = self._persist(asked)
        if response.status_code in expected:
            return response
        raise self._without_secrets(refusal(response, self.host))

    def _persist(self, asked: Asked) -> httpx2.Response:
        """Tries until the registry says something that another try would not change. Raises Unavailable."""
        for pause in (*self.pauses, None) if asked.again else (None,):
            try:
                response = self._authorized(asked)
            except httpx2.TransportError as fault:
                if pause is None or isinstance(fault, _HOPELESS) or is_certificate(fault):
                    raise self._unreachable(fault) from fault
                self._rest(f"does not answer ({reason(fault)})", pause)
            else:
                if response.status_code not in TRY_AGAIN:
                    self._told = 0.0
                    return response
                if pause is None or retry_after(response) > MOST_PATIENCE:
                    return response
                response.close()
                self._rest(f"answers {response.status_code}", pause, retry_after(response))
        raise AssertionError("the last try returns or raises")

    def _authorized(self, asked: Asked) -> httpx2.Response:
        """With a login once the registry has asked for one; a token that it refuses is renewed, then asked for with the scopes that it names."""
        url = self._resolve(asked.url)
        header = self._login.header(asked.scopes) if self._is_ours(url) else None
        for _ in range(2):
            response = self._follow(asked, url, header)
            if response.status_code != 401 or not self._is_ours(response.request.url):
                return response
            response.close()
            header = self._login.renew(asked.scopes, header, response.headers.get_list("www-authenticate"))
        response = self._follow(asked, url, header)
        if response.status_code != 401:
            return response
        response.close()
        raise self._login.refusal(response.headers.get_list("www-authenticate"))

    def _follow(self, asked: Asked, url: httpx2.URL, authorization: str | None) -> httpx2.Response:
        """Redirects of reads are followed, without the authorization where they lead to another host."""
        for _ in range(_MOST_REDIRECTS):
            own = {"authorization": authorization} if authorization and self._is_ours(url) else {}
            content = asked.content() if callable(asked.content) else asked.content
            request = self._http.build_request(asked.method, self._allowed(url), headers={**asked.headers, **own}, content=content or None)
            response = self._http.send(request, stream=True, auth=None)
            if asked.method not in ("GET", "HEAD") or response.status_code not in _REDIRECTS or "location" not in response.headers:
                return response
            response.close()
            url = self._resolve(response.headers["location"], url)
        raise Unavailable(f"The registry {self.host} redirects in circles; see to its configuration.")

    def _ask_realm(self, method: str, url: str, *, headers: Mapping[str, str] | None = None, form: Mapping[str, str] | None = None) -> Answer:
        """A request to where tokens are had: without a login of its own, not redirected, retried like any other."""
        target = self._allowed(self._resolve(url))
        for pause in (*self.pauses, None):
            try:
                request = self._http.build_request(method, target, headers=headers, data=form)
                answer = read_whole(self._http.send(request, stream=True, auth=None), self.host)
            except httpx2.TransportError as fault:
                if pause is None or isinstance(fault, _HOPELESS) or is_certificate(fault):
                    raise self._without_secrets(unreachable(fault, f"{target.host}, which gives tokens for the registry {self.host},")) from fault
                self._rest(f"is there, and {target.host}, which gives its tokens, does not answer ({reason(fault)})", pause)
            else:
                if pause is None or answer.status not in TRY_AGAIN:
                    return answer
                wait(pause)
        raise AssertionError("the last try returns or raises")

    def _resolve(self, url: str, start: httpx2.URL | None = None) -> httpx2.URL:
        try:
            return (start or self.origin).join(url)
        except httpx2.InvalidURL:
            raise Unavailable(f"The registry {self.host} sends us to an address that is none; see to its configuration.") from None

    def _is_ours(self, url: httpx2.URL) -> bool:
        return (url.scheme, url.host, _port(url)) == (self.origin.scheme, self.origin.host, _port(self.origin))

    def _allowed(self, url: httpx2.URL) -> httpx2.URL:
        """Plain HTTP only to this machine or where the caller allowed it, and never on the word of a registry behind TLS."""
        plain = url.scheme == "http" and self.origin.scheme == "http" and (_is_loopback(url.host) or (self._insecure and url.host == self.origin.host))
        if (url.scheme == "https" or plain) and url.host and not url.userinfo:
            return url
        raise UsageError(f"The registry {self.host} sends us to {url.scheme}://{url.host}, which is not safe; it must name an https address.")

    def _rest(self, why: str, pause: float, asked: float = 0.0) -> None:
        """Told once, however many threads wait for the same registry."""
        with self._telling:
            is_news, self._told = pause > self._told, max(pause, self._told)
        if is_news:
            self._say(self._login.hide_in(f"The registry {self.host} {why}{AGAIN} {max(pause, asked):.3g} s"))
        wait(pause, asked)

    def _unreachable(self, fault: Exception) -> FairleadError:
        return self._without_secrets(unreachable(fault, f"The registry {self.host}"))

    def _without_secrets(self, error: FairleadError) -> FairleadError:
        return type(error)(self._login.hide_in(str(error)), **error.facts)


def wait(*seconds: float) -> None:
    """The longest of them, give or take a little, so that threads do not come back in step."""
    threading.Event().wait(max(seconds) * random.uniform(1.0, 1.25))  # noqa: S311 - not for secrets


def _port(url: httpx2.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
