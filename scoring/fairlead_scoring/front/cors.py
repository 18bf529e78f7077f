"""Cross-origin answers, for the origins that were named (AML_CORS_ORIGINS, --access_control_allow_origins)."""

from __future__ import annotations

from fairlead_scoring.front.exchange import Exchange


class Cors:
    """A refused origin gets the normal answer without the header; the browser does the rest."""

    def __init__(self, origins: tuple[str, ...]) -> None:
        self._any = "*" in origins
        self._origins = frozenset(origin.encode() for origin in origins)

    def head(self, exchange: Exchange) -> bytes:
        origin = exchange.header(b"origin")
        if not origin or not (self._any or origin in self._origins):
            return b"vary: Origin\r\n" if not self._any else b""
        return b"access-control-allow-origin: %b\r\nvary: Origin\r\n" % (b"*" if self._any else origin)

    def preflight(self, exchange: Exchange) -> bytes:
        """What a preflight's answer says beside `head`."""
        if b"access-control-allow-origin" not in self.head(exchange):
            return b""
        asked = exchange.header(b"access-control-request-headers")
        allowed = b"access-control-allow-headers: %b\r\n" % asked if asked.isascii() and asked else b""
        return b"access-control-allow-methods: GET, POST\r\naccess-control-max-age: 600\r\n" + allowed
