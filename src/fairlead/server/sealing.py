"""Secrets at rest: AES-256-GCM under the server's master key, each bound to the row it belongs to (DECISIONS 27)."""

from __future__ import annotations

import base64
import os
import secrets
import stat
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fairlead.errors import BootFailure, FairleadError
from fairlead.places import make_private
from fairlead.server.settings import KEY_FILE, Settings
from fairlead.stores.durable import flush_folder

VARIABLE = "FAIRLEAD_MASTER_KEY"
_NONCE = 12


class Seal:
    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def close(self, content: bytes, belongs_to: str) -> bytes:
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._cipher.encrypt(nonce, content, belongs_to.encode())

    def open(self, sealed: bytes, belongs_to: str) -> bytes:
        """Raises FairleadError when another master key sealed it, or when it was moved from another row."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], belongs_to.encode())
        except InvalidTag:
            raise FairleadError(
                f"The secret of {belongs_to} cannot be opened: it was sealed under another master key. Start the server with the key that it had "
                f"({VARIABLE}, or --master-key-file), or set the secret again."
            ) from None


def load(settings: Settings) -> Seal:
    """Under the master key, which is made in the state folder when there is none."""
    key = key_of(settings)
    if key is None:
        keep(settings.state_dir / KEY_FILE, secrets.token_bytes(32))
        key = _read(settings.state_dir / KEY_FILE)
    return Seal(key)


def key_of(settings: Settings) -> bytes | None:
    """The master key: of the file that was named, else of the variable, else of the state folder; None when it is nowhere."""
    if settings.master_key_file:
        return _read(Path(settings.master_key_file))
    if os.environ.get(VARIABLE):
        return _parse(os.environ[VARIABLE], VARIABLE)
    path = settings.state_dir / KEY_FILE
    return _read(path) if path.exists() else None


def keep(path: Path, key: bytes) -> None:
    """Whole or not at all, and never over one that is there."""
    make_private(path.parent)
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")  # a number of a process is given again, in a container at each start
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(base64.b64encode(key) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(new, path)
    except FileExistsError:
        pass
    finally:
        new.unlink()
    flush_folder(path.parent)


def _read(path: Path) -> bytes:
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="ascii")
    except (OSError, ValueError) as error:
        raise BootFailure(f"The master key {path} cannot be read ({error}); restore it from the backup: without it no service key can be opened.") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise BootFailure(f"The master key {path} can be read by others; run `chmod 600 {path}`.")
    return _parse(text, str(path))


def _parse(text: str, source: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise BootFailure(f"{source} holds no master key: it must be 32 bytes in base64, as `openssl rand -base64 32` makes them.")
    return key
