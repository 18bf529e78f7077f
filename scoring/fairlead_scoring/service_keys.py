"""The keys file of a service: two keys by their SHA-256, or the rule for tokens. Read by the front, and by the supervisor before a front gets it."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any, NamedTuple, Optional, Tuple

from fairlead_scoring.errors import BootFault

SHA256 = re.compile(r"(?:sha256:)?([0-9a-f]{64})")
BASE64URL = re.compile(r"[A-Za-z0-9_-]+={0,2}")
SHORTEST_SECRET = 32  # bytes: RFC 7518 asks for as many as the hash has


class TokenRule(NamedTuple):
    """What a token must say, and the secret that signs it."""

    secret: bytes
    audience: str
    issuer: str


class ServiceKeys(NamedTuple):
    hashes: Tuple[bytes, ...] = ()
    token: Optional[TokenRule] = None


def read(path: Path) -> ServiceKeys:
    """Raises BootFault."""
    try:
        return parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BootFault(unusable(path, error), cause="options-invalid") from error


def unusable(path: Path, error: Exception) -> str:
    return f"The keys file {path} cannot be used ({error}); write it with `fairlead keys new {path}`."


def parse(text: str) -> ServiceKeys:
    """Raises ValueError with what is wrong."""
    content = json.loads(text)
    if isinstance(content, dict) and content.keys() == {"token"}:
        return ServiceKeys(token=_token_rule(content["token"]))
    if not isinstance(content, dict) or "primary" not in content or not content.keys() <= {"primary", "secondary"}:
        raise ValueError("it must be an object with primary and secondary, or with token alone")
    return ServiceKeys(hashes=tuple(_hash(name, value) for name, value in content.items()))


def _hash(name: str, value: Any) -> bytes:
    match = SHA256.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{name} is not a SHA-256 in hex: keys themselves do not belong in this file")
    return bytes.fromhex(match[1])


def _token_rule(said: Any) -> TokenRule:
    if not isinstance(said, dict) or said.keys() != {"secret", "audience", "issuer"} or not all(isinstance(value, str) and value for value in said.values()):
        raise ValueError("token must be an object with secret, audience and issuer")
    if not BASE64URL.fullmatch(said["secret"]):
        raise ValueError("the token's secret is not base64url")
    secret = base64.urlsafe_b64decode(said["secret"].rstrip("=") + "=" * (-len(said["secret"].rstrip("=")) % 4))
    if len(secret) < SHORTEST_SECRET:
        raise ValueError(f"the token's secret has {len(secret)} bytes; it must have {SHORTEST_SECRET} or more")
    return TokenRule(secret, said["audience"], said["issuer"])
