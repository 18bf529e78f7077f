"""The certificate of a route, checked, and as text."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from fairlead.errors import UsageError
from fairlead.routers.types import Certificate


@dataclass(frozen=True, kw_only=True)
class Pem:
    chain: str
    key: str

    def __repr__(self) -> str:
        return "Pem()"  # a key belongs in no log


def read(certificate: Certificate) -> Pem:
    """Raises UsageError for two files that do not make a certificate."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate.cert, certificate.key, password=_no_password)
        return Pem(chain=certificate.cert.read_text(encoding="utf-8"), key=certificate.key.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        both = f"The certificate {certificate.cert} cannot be used with the key {certificate.key}"
        raise UsageError(f"{both} ({error}); give two PEM files that match, the key without a password.") from error


def _no_password() -> str:
    """Else it would be asked for at a terminal."""
    raise ValueError("the key asks for a password")
