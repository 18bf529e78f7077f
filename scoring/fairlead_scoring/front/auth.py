"""Who may score: two keys, known here only by their SHA-256; the file is read again when it changes."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from pathlib import Path

from fairlead_scoring.errors import BootFault

SHA256 = re.compile(r"(?:sha256:)?([0-9a-f]{64})")


class Keys:
    """File: `{"primary": "sha256:<hex>", "secondary": "sha256:<hex>"}`. Raises BootFault when it makes no sense at start-up."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._hashes: tuple[bytes, ...] = ()
        self.trouble = ""
        self.refresh()
        if self.trouble:
            raise BootFault(self.trouble)

    def allow(self, authorization: bytes) -> bool:
        """`authorization`: the header's value, `Bearer KEY`. Constant time in the key."""
        scheme, _, key = authorization.partition(b" ")
        if scheme.lower() != b"bearer" or not key:
            return False
        digest = hashlib.sha256(key.strip()).digest()
        allowed = False
        for known in self._hashes:
            allowed |= hmac.compare_digest(digest, known)
        return allowed

    def refresh(self) -> None:
        """Read the file again if it has changed. A file that is missing or wrong keeps the keys that were valid, and is `trouble`."""
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            if stamp == self._stamp:
                self.trouble = ""
                return
            self._hashes = _parse(self._path.read_text(encoding="utf-8"))
            self._stamp, self.trouble = stamp, ""
        except (OSError, ValueError) as error:
            self.trouble = f"The keys file {self._path} cannot be used ({error}); write it with `fairlead keys new {self._path}`."


def _parse(text: str) -> tuple[bytes, ...]:
    content = json.loads(text)
    if not isinstance(content, dict) or "primary" not in content or not content.keys() <= {"primary", "secondary"}:
        raise ValueError("it must be an object with primary and secondary")
    hashes = []
    for name, value in content.items():
        match = SHA256.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise ValueError(f"{name} is not a SHA-256 in hex: keys themselves do not belong in this file")
        hashes.append(bytes.fromhex(match[1]))
    return tuple(hashes)
