"""Service tokens, made by PyJWT, and what else people send instead of one."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from fairlead_scoring import service_keys
from fairlead_scoring.front import tokens
from fairlead_scoring.front.settings import FrontSettings
from hypothesis import given
from hypothesis import strategies as some

from tests.scoring.front.wire import Wire, get

Hold = Callable[[Wire], Wire]
SECRET = b"s" * 32
AUDIENCE = "fl-0000000a"


def claims(**changes: Any) -> dict[str, Any]:
    said = {"aud": AUDIENCE, "iss": "fairlead", "exp": time.time() + 60, "sub": "someone", **changes}
    return {name: value for name, value in said.items() if value is not None}


def signed(**changes: Any) -> str:
    return jwt.encode(claims(**changes), SECRET, algorithm="HS256")


def raw(head: Any, body: Any, secret: bytes = SECRET) -> str:
    """A token that no library would make."""
    first, second = (_base64(part if isinstance(part, bytes) else json.dumps(part).encode()) for part in (head, body))
    return f"{first}.{second}.{_base64(hmac.digest(secret, f'{first}.{second}'.encode(), 'sha256'))}"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def token_file(folder: Path, secret: bytes = SECRET) -> Path:
    file = folder / "keys.json"
    file.write_text(json.dumps({"token": {"secret": _base64(secret), "audience": AUDIENCE, "issuer": "fairlead"}}))
    return file


Answer = tuple[int, str, str]
Ask = Callable[[str], Answer]


@pytest.fixture
def ask(hold: Hold, tmp_path: Path) -> Ask:
    """Status, WWW-Authenticate and message of the answer to a token."""
    one = hold(Wire(FrontSettings(keys_file=token_file(tmp_path))))

    def send(token: str) -> Answer:
        client = one.connect()
        client.send(get("/version", f"authorization: Bearer {token}"))
        (answer,) = client.responses()
        return answer.status, answer.headers.get("www-authenticate", ""), json.loads(answer.body).get("message", "")

    return send


GOOD: dict[str, dict[str, Any]] = {
    "as the server makes them": {},
    "for several audiences": {"aud": ["other", AUDIENCE]},
    "expired just now, by another clock": {"exp": time.time() - 3},
    "whole seconds": {"exp": int(time.time()) + 60},
    "not before now": {"nbf": time.time() + 3},
}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_token_opens(ask: Ask, name: str) -> None:
    changes = dict(GOOD[name])
    for field in ("exp", "nbf"):
        if field in changes:
            changes[field] += time.time() - STARTED
    assert ask(signed(**changes))[0] == 200


STARTED = time.time()
BAD: dict[str, tuple[Callable[[], str], str]] = {
    "expired": (lambda: signed(exp=time.time() - 60), "The token has expired."),
    "not yet valid": (lambda: signed(nbf=time.time() + 60), "The token is not valid yet."),
    "endless": (lambda: signed(exp=None), "The token has no expiry."),
    "expiry as text": (lambda: raw({"alg": "HS256"}, claims(exp="9999999999")), "The token has no expiry."),
    "expiry as true": (lambda: raw({"alg": "HS256"}, claims(exp=True)), "The token has no expiry."),
    "expiry as NaN": (lambda: raw({"alg": "HS256"}, claims(exp=float("nan"))), "The token has no expiry."),
    "expiry as infinity": (lambda: raw({"alg": "HS256"}, claims(exp=float("inf"))), "The token has no expiry."),
    "start as text": (lambda: raw({"alg": "HS256"}, claims(nbf="0")), "The token is not valid yet."),
    "for another service": (lambda: signed(aud="fl-0000000b"), "The token is for another service."),
    "for nobody": (lambda: signed(aud=None), "The token is for another service."),
    "for a part of its name": (lambda: signed(aud=AUDIENCE[:5]), "The token is for another service."),
    "from another issuer": (lambda: signed(iss="somebody"), "The token is from another issuer."),
    "of another secret": (lambda: jwt.encode(claims(), b"x" * 32, algorithm="HS256"), "This is not a token of this service."),
    "alg none": (lambda: jwt.encode(claims(), "", algorithm="none"), "This is not a token of this service."),
    "alg none, signed": (lambda: raw({"alg": "none"}, claims()), "This is not a token of this service."),
    "alg in other letters": (lambda: raw({"alg": "hs256"}, claims()), "This is not a token of this service."),
    "no alg": (lambda: raw({"typ": "JWT"}, claims()), "This is not a token of this service."),
    "HS512": (lambda: jwt.encode(claims(), SECRET * 2, algorithm="HS512"), "This is not a token of this service."),
    "critical extension": (lambda: raw({"alg": "HS256", "crit": ["exp"]}, claims()), "This is not a token of this service."),
    "another type": (lambda: raw({"alg": "HS256", "typ": "dpop+jwt"}, claims()), "This is not a token of this service."),
    "a head that is a list": (lambda: raw([], claims()), "This is not a token of this service."),
    "a head that is no JSON": (lambda: raw(b"{", claims()), "This is not a token of this service."),
    "claims that are a list": (lambda: raw({"alg": "HS256"}, []), "This is not a token of this service."),
    "deep claims": (lambda: raw({"alg": "HS256"}, b"[" * 20_000), "This is not a token of this service."),
    "two parts": (lambda: signed().rpartition(".")[0], "This is not a token of this service."),
    "four parts": (lambda: signed() + ".a", "This is not a token of this service."),
    "changed claims": (lambda: _with_other_claims(signed()), "This is not a token of this service."),
    "padded": (lambda: signed() + "==", "This is not a token of this service."),
    "its own secret": (SECRET.decode, "This is not a token of this service."),
}


def _with_other_claims(token: str) -> str:
    head, _, signature = token.split(".")
    return f"{head}.{_base64(json.dumps(claims(sub='admin')).encode())}.{signature}"


@pytest.mark.parametrize("name", BAD)
def test_a_bad_token_is_refused_as_a_bad_key_is_and_the_header_says_why(ask: Ask, name: str) -> None:
    make, why = BAD[name]
    status, header, message = ask(make())
    assert (status, message) == (401, "A valid key is needed: send it as `Authorization: Bearer KEY`.")
    assert header == f'Bearer realm="scoring", error="invalid_token", error_description="{why}"'


def test_a_token_signed_with_somebodys_private_key_is_not_checked_with_its_public_one(hold: Hold, tmp_path: Path) -> None:
    """RS256 confusion: the public key is no secret, and must not become one that HS256 tokens are checked with; nor is RS256 ever believed."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    one = hold(Wire(FrontSettings(keys_file=token_file(tmp_path))))
    for token in (jwt.encode(claims(), private, algorithm="RS256"), raw({"alg": "HS256"}, claims(), public), raw({"alg": "RS256"}, claims())):
        client = one.connect()
        client.send(get("/version", f"authorization: Bearer {token}"))
        assert client.statuses == [401]


def test_nothing_sent_is_no_error_of_a_token(hold: Hold, tmp_path: Path) -> None:
    """RFC 6750: who sends no token is told only that one is needed."""
    one = hold(Wire(FrontSettings(keys_file=token_file(tmp_path))))
    client = one.connect()
    client.send(get("/version"))
    assert client.responses()[0].headers["www-authenticate"] == 'Bearer realm="scoring"'


@given(some.text(some.characters(codec="ascii", exclude_categories=["Cc"]), max_size=60))
def test_any_text_is_refused_in_words(token: str) -> None:
    assert tokens.refusal(token.encode(), RULE) == "This is not a token of this service."


@given(some.integers(0, 2**31), some.integers(0, 7))
def test_a_token_with_one_other_bit_is_refused(place: int, bit: int) -> None:
    token = bytearray(GOOD_TOKEN)
    position = place % (len(token) - 1)  # the last character has bits to spare
    token[position] ^= 1 << bit
    assert tokens.refusal(bytes(token), RULE) is not None


RULE = service_keys.TokenRule(SECRET, AUDIENCE, "fairlead")
GOOD_TOKEN = signed(exp=time.time() + 3600).encode()
FILES = [
    ('{"token": {"secret": "AAAA", "audience": "a", "issuer": "b"}}', "3 bytes"),
    ('{"token": {"secret": "!", "audience": "a", "issuer": "b"}}', "not base64url"),
    ('{"token": {"secret": "AAAA", "audience": "a"}}', "secret, audience and issuer"),
    ('{"token": {"secret": "AAAA", "audience": "", "issuer": "b"}}', "secret, audience and issuer"),
    ('{"token": {}, "primary": "x"}', "token alone"),
    ('{"token": 1}', "secret, audience and issuer"),
]


@pytest.mark.parametrize(("content", "words"), FILES)
def test_a_file_whose_token_makes_no_sense_is_refused(content: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        service_keys.parse(content)
