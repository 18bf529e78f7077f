"""A token realm of Distribution's protocol: GET with Basic, and POST of OAuth 2. Its tokens are real: docker-registry verifies them."""

from __future__ import annotations

import base64
import json
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ISSUER, SERVICE = "tests", "registry.tests"
IDENTITY_TOKEN = "an-identity-token"
USERS = {"writer": ("s3cret", {"pull", "push"}), "reader": ("s3cret", {"pull"})}


class TokenServer:
    """`life`: seconds that a token says it lives. `asked`: each request for one, as (method, user, scopes)."""

    def __init__(self, folder: Path) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ISSUER)])
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(subject_name=name, issuer_name=name, public_key=self._key.public_key(), serial_number=1)
        self._certificate = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(hours=1)).sign(self._key, hashes.SHA256())
        folder.mkdir(parents=True, exist_ok=True)
        self.bundle = folder / "token-server.pem"
        self.bundle.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))
        self.life = 300
        self.asked: list[tuple[str, str, tuple[str, ...]]] = []
        self.issued: list[str] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/token"

    def yaml(self) -> str:
        """For the `auth:` of docker-registry."""
        return f"auth:\n  token: {{realm: '{self.url}', service: {SERVICE}, issuer: {ISSUER}, rootcertbundle: '{self.bundle}'}}\n"

    def issue(self, user: str, scopes: list[str]) -> str:
        """A token for that part of the scopes that the user has."""
        rights = USERS[user][1] if user else {"pull"}
        access = []
        for scope in scopes:
            kind, name, actions = scope.split(":", 2)
            access.append({"type": kind, "name": name, "actions": sorted(rights & set(actions.split(",")))})
        now = int(time.time())
        claims = {"iss": ISSUER, "sub": user, "aud": SERVICE, "exp": now + 300, "nbf": now - 10, "iat": now, "jti": uuid.uuid4().hex, "access": access}
        chain = [base64.b64encode(self._certificate.public_bytes(serialization.Encoding.DER)).decode()]
        self.issued.append(jwt.encode(claims, self._key, algorithm="ES256", headers={"x5c": chain}))
        return self.issued[-1]


def _handler(realm: TokenServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            user = _basic_user(self.headers.get("authorization"))
            self._answer(user, query.get("scope", []), "GET")

        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
            right = form["grant_type"] == ["refresh_token"] and form["refresh_token"] == [IDENTITY_TOKEN] and form["service"] == [SERVICE]
            self._answer("writer" if right else None, form.get("scope", [""])[0].split(), "POST")

        def _answer(self, user: str | None, scopes: list[str], method: str) -> None:
            realm.asked.append((method, str(user), tuple(scopes)))
            said: dict[str, Any] = {"errors": [{"code": "UNAUTHORIZED"}]} if user is None else {"token": realm.issue(user, scopes), "expires_in": realm.life}
            body = json.dumps(said).encode()
            self.send_response(200 if user is not None else 401)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def _basic_user(header: str | None) -> str | None:
    """ "": nobody; None: wrong."""
    if header is None:
        return ""
    user, _, password = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
    return user if USERS.get(user, ("",))[0] == password else None


@contextmanager
def running_token_server(folder: Path) -> Iterator[TokenServer]:
    realm = TokenServer(folder)
    thread = threading.Thread(target=realm.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield realm
    finally:
        realm.server.shutdown()
        thread.join()
        realm.server.server_close()
