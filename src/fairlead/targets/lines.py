"""Which lines of a service's log are asked for."""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Filter:
    revision: str | None = None
    request_id: str | None = None

    def fits(self, line: bytes) -> bool:
        """A look at the bytes first: parsing costs twenty times as much, and few lines fit."""
        if self.revision is None and self.request_id is None:
            return True
        if any(wanted is not None and wanted.encode() not in line for wanted in (self.revision, self.request_id)):
            return False
        try:
            record = json.loads(line)
        except ValueError:
            return False
        if not isinstance(record, dict):
            return False
        ids = (record.get("request_id"), record.get("client_request_id"), record.get("trace_id"))
        return self.revision in (None, record.get("revision")) and (self.request_id is None or self.request_id in ids)
