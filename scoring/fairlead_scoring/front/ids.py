"""Request ids: the Azure server's truth table, and W3C trace context."""

from __future__ import annotations

import os
import re

LIMIT = 100
POOL_SIZE = 256
TRACEPARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
NOT_PRINTABLE = re.compile(rb"[^\x20-\x7e]")


class IdTooLong(Exception):
    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is longer than {LIMIT} characters.")


class Ids:
    """Given x-request-id A, x-ms-request-id B, x-ms-client-request-id C (each may be absent):

    request = A or a new GUID; legacy = B or C or request; client = C or B or absent.
    """

    __slots__ = ("client", "legacy", "request", "trace", "trace_id", "trace_parent")

    def __init__(self, request: bytes, legacy: bytes, client: bytes, trace: bytes, trace_parent: bytes) -> None:
        self.request = request
        self.legacy = legacy
        self.client = client
        self.trace = trace
        match = TRACEPARENT.fullmatch(trace_parent) if trace_parent else None
        self.trace_parent = trace_parent if match else b""
        self.trace_id = match[1] if match else b""

    def head(self) -> bytes:
        """Response header lines."""
        lines = b"x-request-id: %b\r\nx-ms-request-id: %b\r\n" % (self.request, self.legacy)
        if self.client:
            lines += b"x-ms-client-request-id: %b\r\n" % self.client
        if self.trace:
            lines += b"TraceId: %b\r\n" % self.trace
        if self.trace_parent:
            lines += b"traceparent: %b\r\n" % self.trace_parent
        return lines


NAMES = (b"x-request-id", b"x-ms-request-id", b"x-ms-client-request-id")
TRACE_NAMES = (b"traceid", b"traceparent")
WANTED = frozenset((*NAMES, *TRACE_NAMES))


class IdSource:
    """New GUIDs (version 4) from a pool of random bytes, and the ids of a request."""

    def __init__(self) -> None:
        self._pool = ""
        self._at = 0

    def new(self) -> bytes:
        if self._at >= len(self._pool):
            self._pool, self._at = os.urandom(16 * POOL_SIZE).hex(), 0
        digits = self._pool[self._at : self._at + 32]
        self._at += 32
        variant = "89ab"[int(digits[16], 16) & 3]
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}".encode()

    def of(self, fields: dict[bytes, bytes]) -> Ids:
        """`fields`: headers by lower-case name. Raises IdTooLong."""
        if WANTED.isdisjoint(fields):
            request = self.new()
            return Ids(request, request, b"", b"", b"")
        asked, legacy, client = (_clean(fields.get(name, b"")) for name in NAMES)
        for name, value in zip(NAMES, (asked, legacy, client), strict=True):
            if len(value) > LIMIT:
                raise IdTooLong(name.decode())
        request = asked or self.new()
        trace, parent = (fields.get(name, b"") for name in TRACE_NAMES)
        return Ids(request, legacy or client or request, client or legacy, _clean(trace), parent)


def _clean(value: bytes) -> bytes:
    """What can stand in a header and in a log line."""
    return NOT_PRINTABLE.sub(b"?", value) if value else value
