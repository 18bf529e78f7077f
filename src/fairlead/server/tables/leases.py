"""The columns of whatever the loop works on (DECISIONS 33)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column


class Leased:
    """`due_at`: when somebody should look at the row; null: not before it is changed. `lease_token` grows with each claim, so that a holder who lost
    the lease is found out when he records."""

    due_at: Mapped[datetime | None] = mapped_column(index=True)
    lease_owner: Mapped[str | None] = mapped_column(String(64), index=True)
    lease_until: Mapped[datetime | None] = mapped_column(index=True)
    lease_token: Mapped[int] = mapped_column(default=0)
    tries: Mapped[int] = mapped_column(default=0)
    """In vain, one after the other: what back-off is reckoned from."""
