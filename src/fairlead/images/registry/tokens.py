"""Who we are to a registry: Basic, or tokens from the realm that the registry names, kept while they are valid.

Contract: Distribution's token authentication, and its OAuth 2 form for identity tokens.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import httpx2

from fairlead.errors import FairleadError, Forbidden, Unauthenticated
from fairlead.images.registry.answers import Answer
from fairlead.images.registry.challenges import Challenge, choose_challenge
from fairlead.images.registry.credentials import Credentials

_CLIENT_ID = "fairlead"
_DEFAULT_LIFE = 60.0  # seconds, when the realm does not say
_MARGIN = 10.0  # seconds before its end at which a token counts as old
_NO_OAUTH = (404, 405)

Ask = Callable[..., Answer]
Scopes = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Token:
    header: str = field(repr=False)
    until: float  # time.monotonic()


class Login:
    """Of one registry. Threads may share it: a token is fetched once for all that wait for it.

    `ask(method, url, **how)` sends a request without authorization of its own; it refuses plain HTTP where that is not allowed.
    """

    def __init__(self, host: str, credentials: Credentials | None, ask: Ask) -> None:
        self._host = host
        self._credentials = credentials
        self._ask = ask
        self._challenge: Challenge | None = None
        self._tokens: dict[Scopes, _Token] = {}
        self._wider: dict[Scopes, Scopes] = {}
        self._lock = threading.Lock()

    def header(self, scopes: Scopes) -> str | None:
        """The Authorization for these scopes; None before the registry has asked for any."""
        with self._lock:
            return self._header(scopes) if self._challenge else None

    def renew(self, scopes: Scopes, refused: str | None, headers: Sequence[str]) -> str:
        """Another header, when the registry has refused this one with these WWW-Authenticate headers. Raises Unauthenticated, Forbidden."""
        challenge = choose_challenge(headers)
        if challenge is None:
            raise Unauthenticated(f"The registry {self._host} asks for a login of a kind that is unknown here; Basic and Bearer are known.")
        with self._lock:
            if self._challenge and (current := self._header(scopes)) != refused:
                return current  # another thread was faster
            if refused and challenge.scheme == "basic":
                raise self._refused()
            self._challenge = challenge
            self._tokens.pop(scopes, None)
            self._wider[scopes] = merge_scopes((*self._wider.get(scopes, scopes), *challenge.scopes))
            return self._header(scopes)

    def refusal(self, headers: Sequence[str]) -> FairleadError:
        """Why the registry has refused a header that is new."""
        challenge = choose_challenge(headers)
        if self._credentials and challenge and challenge.parameters.get("error") == "insufficient_scope":
            return Forbidden(
                f"The registry {self._host} knows {self._who} and does not allow this; ask its owner for the right ({' '.join(challenge.scopes)})."
            )
        return self._refused()

    def hide_in(self, text: str) -> str:
        """The text without secrets, whoever echoed them."""
        text = self._credentials.hide_in(text) if self._credentials else text
        for token in tuple(self._tokens.values()):
            text = text.replace(token.header.partition(" ")[2], "***")
        return text

    @property
    def _who(self) -> str:
        return (self._credentials and self._credentials.user) or "this login"

    def _header(self, scopes: Scopes) -> str:
        assert self._challenge
        if self._challenge.scheme == "basic":
            if self._credentials is None or not self._credentials.user:
                raise self._refused()
            return self._credentials.basic
        token = self._tokens.get(scopes)
        if token is None or token.until < time.monotonic():
            token = self._tokens[scopes] = self._fetch(self._challenge.parameters, self._wider.get(scopes, scopes))
        return token.header

    def _fetch(self, asked: Mapping[str, str], scopes: Scopes) -> _Token:
        began = time.monotonic()
        answer = self._answer(asked, scopes)
        if answer.status in (400, 401, 403):
            raise self._refused()
        said = answer.json()
        token = said.get("token") or said.get("access_token")
        if answer.status >= 300 or not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise Unauthenticated(f"{asked['realm']} gave no token for the registry {self._host} (status {answer.status}); try again later.")
        life = said.get("expires_in")
        seconds = float(life) if isinstance(life, (int, float)) and life > 0 else _DEFAULT_LIFE
        return _Token(f"Bearer {token}", began + max(seconds - _MARGIN, seconds / 2))

    def _answer(self, asked: Mapping[str, str], scopes: Scopes) -> Answer:
        realm, service, mine = asked["realm"], asked.get("service"), self._credentials
        named = {"service": service} if service else {}
        if mine and mine.identity_token:
            form = {**named, "grant_type": "refresh_token", "client_id": _CLIENT_ID, "scope": " ".join(scopes), "refresh_token": mine.identity_token}
            answer = self._ask("POST", realm, form=form)
            if answer.status not in _NO_OAUTH or not mine.user:
                return answer
        url = httpx2.URL(realm).copy_merge_params({**named, "scope": list(scopes)})
        return self._ask("GET", str(url), headers={"authorization": mine.basic} if mine and mine.user else {})

    def _refused(self) -> Unauthenticated:
        if self._credentials is None:
            return Unauthenticated(
                f"The registry {self._host} asks who you are; run `docker login {self._host}`, or set FAIRLEAD_REGISTRY_USER and FAIRLEAD_REGISTRY_PASSWORD."
            )
        return Unauthenticated(f"The registry {self._host} does not accept the credentials of {self._who}; log in again, or mend them.")


def merge_scopes(scopes: Scopes) -> Scopes:
    """`repository:a:pull` and `repository:a:push` are `repository:a:pull,push`."""
    actions: dict[str, dict[str, None]] = {}
    for scope in scopes:
        thing, _, said = scope.rpartition(":")
        actions.setdefault(thing, {}).update(dict.fromkeys(said.split(",")))
    return tuple(f"{thing}:{','.join(each)}" for thing, each in actions.items())
