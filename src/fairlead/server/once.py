"""Idempotency keys: a create that is sent twice with the same `Idempotency-Key` happens once and is answered twice.

Answers are kept as they were given, so a route whose answer shows a secret does not use this.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any, cast

from fastapi import Depends, Header, Request
from pydantic import BaseModel
from sqlalchemy import CursorResult, delete
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from starlette.responses import Response

from fairlead.errors import Conflict
from fairlead.server.access import Access
from fairlead.server.clock import now
from fairlead.server.tables.access import IdempotencyRow

KEPT_FOR = timedelta(days=7)
REPLAYED = "idempotency-replayed"


class Once:
    """What the request's own header says of repetition."""

    def __init__(self, key: str | None, route: str) -> None:
        self._key = key
        self._route = route

    def answer(self, session: Session, access: Access, body: BaseModel, make: Callable[[], BaseModel], status: int = 201) -> Response:
        """Runs `make` unless this caller's key has an answer already; both in the session's transaction. Raises Conflict for another body."""
        if self._key is None:
            return Response(make().model_dump_json(), status, media_type="application/json")
        asked = hashlib.sha256(f"{self._route}\n{body.model_dump_json()}".encode()).hexdigest()
        known = session.get(IdempotencyRow, (access.principal_id, self._key))
        if known is not None:
            return self._again(known, asked)
        row = IdempotencyRow(principal_id=access.principal_id, key=self._key, request_hash=asked, status=status, answer="", created_at=now())
        session.add(row)
        try:
            session.flush()  # on PostgreSQL a second request with the key waits here for the first
        except IntegrityError as error:
            raise Conflict(f"The Idempotency-Key {self._key!r} was being used by another request; send this one again.") from error
        row.answer = make().model_dump_json()
        return Response(row.answer, status, media_type="application/json")

    def _again(self, known: IdempotencyRow, asked: str) -> Response:
        if known.request_hash != asked:
            raise Conflict(f"The Idempotency-Key {self._key!r} was used for another request; take a new one for each thing you create.")
        return Response(known.answer, known.status, {REPLAYED: "true"}, "application/json")


def forget(session: Session, older_than: timedelta = KEPT_FOR) -> int:
    """For the garbage collection: how many answers were deleted that nobody will ask for again."""
    done = session.execute(delete(IdempotencyRow).where(IdempotencyRow.created_at < now() - older_than))
    return cast(CursorResult[Any], done).rowcount


def _once(request: Request, key: Annotated[str | None, Header(alias="idempotency-key", min_length=1, max_length=255)] = None) -> Once:
    return Once(key, f"{request.method} {request.url.path}")


Repeatable = Annotated[Once, Depends(_once)]
