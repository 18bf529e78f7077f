"""What a registry asks for when it answers 401 (RFC 9110, section 11; the scheme Bearer as the CNCF's Distribution has it)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - RFC 9110's word for a word
_PART = re.compile(rf'\s*(?:,\s*)*({_TOKEN})(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_TOKEN})))?')


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """`scheme` and the names of parameters in small letters."""

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def scopes(self) -> tuple[str, ...]:
        return tuple(self.parameters.get("scope", "").split())


def choose_challenge(headers: Sequence[str]) -> Challenge | None:
    """Bearer before Basic; None when it is neither, or Bearer says no realm."""
    found = [challenge for header in headers for challenge in parse_challenges(header)]
    bearer = next((each for each in found if each.scheme == "bearer" and each.parameters.get("realm")), None)
    return bearer or next((each for each in found if each.scheme == "basic"), None)


def parse_challenges(header: str) -> list[Challenge]:
    """All of one WWW-Authenticate header; what comes after a mistake in it is left out."""
    found: list[tuple[str, dict[str, str]]] = []
    for name, value in _parts(header):
        if value is None:
            found.append((name.lower(), {}))
        elif found:
            found[-1][1].setdefault(name.lower(), value)
    return [Challenge(scheme=scheme, parameters=parameters) for scheme, parameters in found]


def _parts(header: str) -> Iterator[tuple[str, str | None]]:
    """Schemes, which have no value, and parameters, in order."""
    at = 0
    while part := _PART.match(header, at):
        quoted = re.sub(r"\\(.)", r"\1", part[2]) if part[2] is not None else None
        yield part[1], quoted if quoted is not None else part[3]
        at = part.end()
