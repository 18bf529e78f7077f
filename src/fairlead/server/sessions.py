"""One request = one transaction: `Reading` and `Writing` are the session that a route works in.

The scope is the function's: a writing transaction is committed before the answer leaves, so what was acknowledged is stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends
from sqlalchemy.orm import Session

from fairlead.server.context import Parts


def _reading(parts: Parts) -> Iterator[Session]:
    with parts.database.reading() as session:
        yield session


def _writing(parts: Parts) -> Iterator[Session]:
    with parts.database.writing() as session:
        yield session


Reading = Annotated[Session, Depends(_reading, scope="function")]
Writing = Annotated[Session, Depends(_writing, scope="function")]
