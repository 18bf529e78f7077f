"""What fsck finds: a word for programs, a sentence for people, and the cure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlalchemy import Connection

from fairlead.server.db import Database
from fairlead.server.sealing import Seal
from fairlead.server.settings import Settings
from fairlead.stores import Store


@dataclass(frozen=True, kw_only=True)
class Finding:
    what: str
    message: str
    cure: str
    repaired: bool = False


@dataclass(kw_only=True)
class Ground:
    """What is looked at, through one connection whose transaction ends with the check; `checked` counts."""

    settings: Settings
    database: Database
    store: Store
    seal: Seal | None
    connection: Connection
    deep: bool = False
    repair: bool = False
    checked: int = 0


Check = Callable[[Ground], Iterator[Finding]]
