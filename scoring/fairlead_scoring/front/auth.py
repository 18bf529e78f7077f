"""Who may score: two keys, known here only by their SHA-256, or tokens that one secret has signed; the file is read again when it changes."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

from fairlead_scoring import service_keys
from fairlead_scoring.errors import BootFault
from fairlead_scoring.front import tokens
from fairlead_scoring.service_keys import ServiceKeys


class Keys:
    """File: `{"primary": "sha256:<hex>", "secondary": "sha256:<hex>"}`, or `{"token": {"secret": "<base64url>", "audience": …, "issuer": …}}`."""

    def __init__(self, path: Path) -> None:
        """A file that makes no sense lets nobody in, and is `trouble`."""
        self.path = path
        self._stamp: tuple[int, int, int] | None = None
        self._known = ServiceKeys()
        self.trouble = ""
        self.refresh()

    def check(self) -> None:
        """Raises BootFault when there is trouble: at a start somebody waits to hear of it."""
        if self.trouble:
            raise BootFault(self.trouble)

    def refusal(self, authorization: bytes) -> str | None:
        """None: may enter. Else why not, for a caller who sent a token; "" when there is nothing to say but that it is wrong."""
        scheme, _, sent = authorization.partition(b" ")
        if scheme.lower() != b"bearer" or not sent:
            return ""
        if self._known.token is not None:
            return tokens.refusal(sent.strip(), self._known.token)
        return None if self._is_key(sent.strip()) else ""

    def _is_key(self, key: bytes) -> bool:
        """Constant time in the key."""
        digest = hashlib.sha256(key).digest()
        allowed = False
        for known in self._known.hashes:
            allowed |= hmac.compare_digest(digest, known)
        return allowed

    def refresh(self) -> None:
        """Read the file again if it has changed. A file that is missing or wrong keeps the keys that were valid, and is `trouble`."""
        try:
            status = self.path.stat()
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            if stamp == self._stamp:
                self.trouble = ""
                return
            self._known = service_keys.parse(self.path.read_text(encoding="utf-8"))
            self._stamp, self.trouble = stamp, ""
        except (OSError, ValueError) as error:
            self.trouble = service_keys.unusable(self.path, error)
