"""Service tokens: JSON Web Tokens (RFC 7519) signed with HS256 and nothing else, checked with the standard library (DECISIONS 16)."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import re
import time
from typing import Any, TypeGuard

from fairlead_scoring.service_keys import TokenRule

LEEWAY = 10.0  # seconds that two clocks may differ
PART = re.compile(rb"[A-Za-z0-9_-]+")
NOT_ONE = "This is not a token of this service."  # one sentence for all that a forger could learn from


def refusal(token: bytes, rule: TokenRule) -> str | None:
    """None when the token is good, else why not. Nothing in it is believed before its signature holds."""
    head, _, rest = token.partition(b".")
    body, _, signature = rest.partition(b".")
    if not all(PART.fullmatch(part) for part in (head, body, signature)):
        return NOT_ONE
    made = hmac.digest(rule.secret, head + b"." + body, "sha256")
    if not hmac.compare_digest(made, _decoded(signature)) or not _is_ours(_json(head)):
        return NOT_ONE
    return _objection(_json(body), rule, time.time())


def _is_ours(head: Any) -> bool:
    """The algorithm is ours to choose, never the token's; `crit` names extensions that a reader must know, and there are none."""
    return isinstance(head, dict) and head.get("alg") == "HS256" and "crit" not in head and str(head.get("typ", "JWT")).upper() == "JWT"


def _objection(claims: Any, rule: TokenRule, now: float) -> str | None:
    if not isinstance(claims, dict):
        return NOT_ONE
    audience = claims.get("aud")
    if rule.audience not in (audience if isinstance(audience, list) else [audience]):
        return "The token is for another service."
    if claims.get("iss") != rule.issuer:
        return "The token is from another issuer."
    return _untimely(claims, now)


def _untimely(claims: dict[str, Any], now: float) -> str | None:
    expiry, start = claims.get("exp"), claims.get("nbf", 0)
    if not _is_time(expiry):
        return "The token has no expiry."
    if expiry <= now - LEEWAY:
        return "The token has expired."
    if not _is_time(start) or start > now + LEEWAY:
        return "The token is not valid yet."
    return None


def _is_time(value: Any) -> TypeGuard[float]:
    """A number that is neither a bool nor NaN nor endless."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e15


def _json(part: bytes) -> Any:
    try:
        return json.loads(_decoded(part))
    except (ValueError, RecursionError):
        return None


def _decoded(part: bytes) -> bytes:
    try:
        return base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))
    except binascii.Error:
        return b""
