"""Address, keys, tokens and certificate of a service: sealed in SQL, hashes and files for the runtime (DECISIONS 27, 29)."""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
import ssl
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from joserfc import jwt
from joserfc.jwk import OctKey

from fairlead.errors import UsageError
from fairlead.schemas.services import AccessToken, AuthMode, KeyName, Keys, NewService
from fairlead.server.clock import now
from fairlead.server.ids import new_id
from fairlead.server.sealing import Seal
from fairlead.server.tables.services import EndpointRow, ServiceRow
from fairlead.targets.types import Auth

LOOPBACK = "127.0.0.1"
ISSUER = "fairlead"
REFRESH_AT = 0.8  # of a token's life


def make(seal: Seal, workspace_id: str, body: NewService) -> EndpointRow:
    """Raises UsageError for an address that nobody would guard, and for a certificate that cannot be used."""
    host, auth = body.host or LOOPBACK, body.auth or "key"
    _refuse_open(host, auth)
    row = EndpointRow(id=new_id(), workspace_id=workspace_id, host=host, port=body.port, auth=auth, created_at=now())
    _give_keys(seal, row, body)
    if body.tls_cert is not None or body.tls_key is not None:
        _check_certificate(body.tls_cert, body.tls_key)
        assert body.tls_key is not None
        row.tls_cert, row.sealed_tls_key = body.tls_cert, seal.close(body.tls_key.encode(), f"{row.id}.tls-key")
    return row


def keep(row: EndpointRow, body: NewService) -> None:
    """A deploy over a service that is there already: the address stays. Raises UsageError when another one is asked for."""
    if (body.port is not None and body.port != row.port) or (body.host is not None and body.host != row.host):
        raise UsageError("A service keeps its address over any update; leave host and port out, or delete the service first.")
    if body.tls_cert is not None or body.primary_key is not None or body.secondary_key is not None:
        raise UsageError("A service keeps its keys and its certificate over any update; leave them out, regenerate its keys, or delete the service first.")


def change_auth(seal: Seal, row: EndpointRow, auth: AuthMode) -> bool:
    """Whether anything changed. Keys that there are stay. Raises UsageError."""
    if auth == row.auth:
        return False
    _refuse_open(row.host, auth)
    row.auth = auth
    _give_keys(seal, row, None)
    return True


def show_keys(seal: Seal, row: EndpointRow, name: str) -> Keys:
    """Raises UsageError when the service has none."""
    if row.auth != "key":
        cure = f"get a token with `fairlead service get-access-token -n {name}`" if row.auth == "token" else "anybody who reaches it may call it"
        raise UsageError(f"The service {name!r} has no keys: its auth is {row.auth}; {cure}. `fairlead service update -n {name} --auth key` makes keys.")
    return Keys(primary=_open(seal, row, "primary"), secondary=_open(seal, row, "secondary"))


def rotate(seal: Seal, row: EndpointRow, key: KeyName, value: str | None) -> None:
    """Raises UsageError for a value that cannot be sent in a header, or that is the other key."""
    new = value or _new_key()
    if not new.isascii() or not new.isprintable() or " " in new:
        raise UsageError("A key is sent in a header, so it consists of printable ASCII characters without spaces; choose another, or let one be made.")
    if new == _open(seal, row, "secondary" if key == "primary" else "primary"):
        raise UsageError("This is the service's other key; choose another, or let one be made.")
    _set(seal, row, key, new)


def new_token(seal: Seal, row: EndpointRow, service: ServiceRow, seconds: int) -> AccessToken:
    """An HS256 JWT for this service alone (L2, DECISIONS 16). Raises UsageError when it takes none."""
    if row.auth != "token":
        cure = f"send a key: `fairlead service get-keys -n {service.name}`" if row.auth == "key" else "anybody who reaches it may call it"
        raise UsageError(f"The service {service.name!r} takes no tokens: its auth is {row.auth}; {cure}.")
    at = now().replace(microsecond=0)
    until = at + timedelta(seconds=seconds)
    claims = {"iss": ISSUER, "aud": service.handle, "iat": int(at.timestamp()), "exp": int(until.timestamp()), "jti": new_id()}
    token = jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(_secret(seal, row)))
    return AccessToken(access_token=token, expiry_on=until, refresh_after=at + timedelta(seconds=int(seconds * REFRESH_AT)))


def runtime_auth(seal: Seal, row: EndpointRow, handle: str) -> Auth:
    """What the runtime is told: hashes of keys, or the secret that signs tokens."""
    if row.auth == "key":
        hashes = {name: hashlib.sha256(_open(seal, row, name).encode()).hexdigest() for name in ("primary", "secondary")}
        return Auth(mode="key", key_hashes=hashes)
    if row.auth == "token":
        return Auth(mode="token", token_secret=_secret(seal, row), audience=handle)
    return Auth()


def tls_key(seal: Seal, row: EndpointRow) -> bytes | None:
    return seal.open(row.sealed_tls_key, f"{row.id}.tls-key") if row.sealed_tls_key is not None else None


def destroy(row: EndpointRow) -> None:
    row.sealed_primary = row.sealed_secondary = row.sealed_token_secret = row.sealed_tls_key = None
    row.tls_cert = None


def is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _refuse_open(host: str, auth: AuthMode) -> None:
    if auth == "none" and not is_loopback(host):
        raise UsageError(f"A service without a key may listen on this machine alone, not on {host}; give it auth key or token, or leave host out.")


def _give_keys(seal: Seal, row: EndpointRow, body: NewService | None) -> None:
    if row.auth == "key" and row.sealed_primary is None:
        primary, secondary = (body.primary_key, body.secondary_key) if body else (None, None)
        _set(seal, row, "secondary", secondary or _new_key())
        rotate(seal, row, "primary", primary)
    elif body and (body.primary_key or body.secondary_key):
        raise UsageError(f"Keys were given for a service whose auth is {row.auth}; leave them out, or choose auth key.")
    if row.auth == "token" and row.sealed_token_secret is None:
        row.sealed_token_secret = seal.close(secrets.token_bytes(32), f"{row.id}.token-secret")


def _check_certificate(cert: str | None, key: str | None) -> None:
    if cert is None or key is None:
        raise UsageError("TLS needs both the certificate and its key, as PEM; give tls_cert and tls_key.")
    with TemporaryDirectory(prefix="fairlead-tls-") as folder:
        cert_file, key_file = Path(folder) / "cert.pem", Path(folder) / "key.pem"
        cert_file.write_text(cert)
        key_file.touch(0o600)
        key_file.write_text(key)
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert_file, key_file, password=_no_password)
        except (ssl.SSLError, ValueError) as error:
            said = error.reason if isinstance(error, ssl.SSLError) and error.reason else error
            raise UsageError(f"The certificate and its key cannot be used ({said}); give the full chain and its own key, without a password, as PEM.") from None


def _no_password() -> str:
    raise ValueError("the key is protected by a password")


def _new_key() -> str:
    return secrets.token_urlsafe(32)


def _set(seal: Seal, row: EndpointRow, key: KeyName, value: str) -> None:
    sealed = seal.close(value.encode(), f"{row.id}.{key}")
    if key == "primary":
        row.sealed_primary = sealed
    else:
        row.sealed_secondary = sealed


def _open(seal: Seal, row: EndpointRow, key: str) -> str:
    sealed = row.sealed_primary if key == "primary" else row.sealed_secondary
    assert sealed is not None, "a service with auth key has two keys"
    return seal.open(sealed, f"{row.id}.{key}").decode()


def _secret(seal: Seal, row: EndpointRow) -> bytes:
    assert row.sealed_token_secret is not None, "a service with auth token has a secret"
    return seal.open(row.sealed_token_secret, f"{row.id}.token-secret")
