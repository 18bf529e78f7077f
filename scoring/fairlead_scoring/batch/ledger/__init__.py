"""What of a job is done: a plan that is made once, a line for each shard that is published, and a manifest in the end."""

from __future__ import annotations

from fairlead_scoring.batch.ledger.layout import COMMIT, OWN_FOLDER
from fairlead_scoring.batch.ledger.ledger import Ledger
from fairlead_scoring.batch.ledger.opening import discard, open_ledger
from fairlead_scoring.batch.ledger.orders import order_digest

__all__ = ["COMMIT", "OWN_FOLDER", "Ledger", "discard", "open_ledger", "order_digest"]
