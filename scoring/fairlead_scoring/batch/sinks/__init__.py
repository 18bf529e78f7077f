"""Where answers go: parts of a table, lines of text, rows of a database; each shard's whole or not at all, and always the same bytes."""

from __future__ import annotations

from fairlead_scoring.batch.sinks.finishing import finish
from fairlead_scoring.batch.sinks.opening import open_sink
from fairlead_scoring.batch.sinks.sink import Sink, Unwritable

__all__ = ["Sink", "Unwritable", "finish", "open_sink"]
