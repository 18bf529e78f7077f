"""The master key under a passphrase, for a backup that is to be restored where the key is not."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fairlead.errors import UsageError

SHORTEST = 12
_BOUND_TO = b"fairlead backup key 1"


def close(key: bytes, passphrase_file: Path) -> str:
    salt, nonce = secrets.token_bytes(16), secrets.token_bytes(12)
    sealed = AESGCM(_derived(_passphrase(passphrase_file), salt)).encrypt(nonce, key, _BOUND_TO)
    return json.dumps({name: base64.b64encode(value).decode() for name, value in (("salt", salt), ("nonce", nonce), ("sealed", sealed))})


def open_(text: str, passphrase_file: Path) -> bytes:
    """Raises UsageError for another passphrase."""
    try:
        said = {name: base64.b64decode(value, validate=True) for name, value in json.loads(text).items()}
        return AESGCM(_derived(_passphrase(passphrase_file), said["salt"])).decrypt(said["nonce"], said["sealed"], _BOUND_TO)
    except (ValueError, KeyError, TypeError, AttributeError, InvalidTag):
        raise UsageError(f"The master key in the backup does not open with the passphrase in {passphrase_file}; use the one that it was made with.") from None


def _derived(passphrase: bytes, salt: bytes) -> bytes:
    return hashlib.scrypt(passphrase, salt=salt, n=2**15, r=8, p=1, maxmem=64 << 20, dklen=32)


def _passphrase(path: Path) -> bytes:
    try:
        text = path.read_bytes().strip()
    except OSError as error:
        raise UsageError(f"The passphrase file {path} cannot be read ({error.strerror}).") from error
    if len(text) < SHORTEST:
        raise UsageError(f"The passphrase in {path} has {len(text)} characters; use {SHORTEST} or more.")
    return text
