"""Keys that sign images: ECDSA P-256 in PEM, plain (PKCS 8) or encrypted as cosign keeps its own.

Contract: cosign's `generate-key-pair` and `encrypted` of go-securesystemslib: scrypt, then NaCl's secret box, as JSON inside PEM.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from fairlead.errors import UsageError
from fairlead.images import secret_box

PASSWORD_VARIABLE = "COSIGN_PASSWORD"  # noqa: S105 - the name of a variable, cosign's own

_LABEL = "ENCRYPTED SIGSTORE PRIVATE KEY"
_LABELS = (_LABEL, "ENCRYPTED COSIGN PRIVATE KEY")
_ROUNDS = (1 << 15, 1 << 16, 1 << 17)  # scrypt's N; no others are accepted, so that no file can ask for all memory
_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----\s+([A-Za-z0-9+/=\s]+)-----END \1-----")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """PEM both."""

    private: bytes = field(repr=False)
    public: bytes


def generate_key_pair(password: bytes | None = None) -> KeyPair:
    """With a password, an empty one too, a file that cosign takes; cosign takes no plain ones, everything else does."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    plain = serialization.NoEncryption()
    if password is None:
        private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    else:
        private = _wrap(_encrypt(key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, plain), password))
    return KeyPair(private=private, public=public)


def load_private_key(pem: bytes, password: bytes | None = None) -> ec.EllipticCurvePrivateKey:
    """`password` of an encrypted one: cosign's own, or PKCS 8's. Raises UsageError."""
    label = _label(pem)
    try:
        if label in _LABELS:
            key: Any = serialization.load_der_private_key(_decrypt(_content(pem), password), None)
        else:
            key = serialization.load_pem_private_key(pem, password if label == "ENCRYPTED PRIVATE KEY" else None)
    except (ValueError, TypeError, KeyError, UnsupportedAlgorithm):
        cure = f"set {PASSWORD_VARIABLE} to its password" if "ENCRYPTED" in label else "make one with `cosign generate-key-pair` or `openssl genpkey`"
        raise UsageError(f"The private key for signing cannot be opened: it is damaged, or the password is missing or another; {cure}.") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise UsageError("The private key for signing is of another kind than ECDSA P-256, which is what cosign makes; use such a one.")
    return key


def load_public_key(pem: bytes) -> ec.EllipticCurvePublicKey:
    """Raises UsageError."""
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UsageError("The public key for signatures is not in PEM; it begins with -----BEGIN PUBLIC KEY-----.") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise UsageError("The public key for signatures is of another kind than ECDSA P-256, which is what cosign makes; use such a one.")
    return key


def find_password(environ: Mapping[str, str] = os.environ) -> bytes | None:
    """Of the private key, where cosign looks for it too."""
    said = environ.get(PASSWORD_VARIABLE)
    return said.encode() if said is not None else None


def _label(pem: bytes) -> str:
    found = _PEM.search(pem.decode("ascii", "replace"))
    return found[1] if found else ""


def _content(pem: bytes) -> bytes:
    found = _PEM.search(pem.decode("ascii", "replace"))
    return base64.b64decode(found[2]) if found else b""


def _wrap(content: bytes) -> bytes:
    text = base64.b64encode(content).decode()
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {_LABEL}-----", *lines, f"-----END {_LABEL}-----", ""]).encode()


def _encrypt(plain: bytes, password: bytes) -> bytes:
    salt, nonce, rounds = secrets.token_bytes(32), secrets.token_bytes(secret_box.NONCE_SIZE), _ROUNDS[1]
    box = secret_box.seal(plain, nonce, _derive(password, salt, rounds))
    said = {
        "kdf": {"name": "scrypt", "params": {"N": rounds, "r": 8, "p": 1}, "salt": base64.b64encode(salt).decode()},
        "cipher": {"name": "nacl/secretbox", "nonce": base64.b64encode(nonce).decode()},
        "ciphertext": base64.b64encode(box).decode(),
    }
    return json.dumps(said, separators=(",", ":")).encode()


def _decrypt(content: bytes, password: bytes | None) -> bytes:
    """Raises ValueError, KeyError, TypeError. cosign asks for a password and takes an empty one."""
    said = json.loads(content)
    rounds, names = said["kdf"]["params"]["N"], (said["kdf"]["name"], said["cipher"]["name"])
    if names != ("scrypt", "nacl/secretbox") or rounds not in _ROUNDS or (said["kdf"]["params"]["r"], said["kdf"]["params"]["p"]) != (8, 1):
        raise ValueError(names)
    key = _derive(password or b"", base64.b64decode(said["kdf"]["salt"]), rounds)
    return secret_box.unseal(base64.b64decode(said["ciphertext"]), base64.b64decode(said["cipher"]["nonce"]), key)


def _derive(password: bytes, salt: bytes, rounds: int) -> bytes:
    return hashlib.scrypt(password, salt=salt, n=rounds, r=8, p=1, maxmem=rounds * 8 * 128 * 2, dklen=secret_box.KEY_SIZE)
