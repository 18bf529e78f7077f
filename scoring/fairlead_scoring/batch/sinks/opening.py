"""The sink that an order asks for."""

from __future__ import annotations

from fairlead_scoring.batch.job import Order
from fairlead_scoring.batch.ledger.layout import part_name, rows_name
from fairlead_scoring.batch.places import Place
from fairlead_scoring.batch.places.database import DatabasePlace
from fairlead_scoring.batch.sinks.counting import CountingSink
from fairlead_scoring.batch.sinks.database import DatabaseSink
from fairlead_scoring.batch.sinks.lines import LineSink
from fairlead_scoring.batch.sinks.sink import Sink, Unwritable
from fairlead_scoring.batch.sinks.tables import TableSink
from fairlead_scoring.batch.sinks.writers import ENDINGS, check_format

ACTIONS = ("rows", "append_row", "summary_only")


def open_sink(order: Order, place: Place, shard: int) -> Sink:
    """place: the output's, as open_place(order.output.url, ...) gives it. Raises Unwritable for an output that cannot be."""
    output = order.output
    assert output is not None, "a job that scores has an output"
    if output.action not in ACTIONS:
        raise Unwritable(f"{output.action!r} is no action for outputs; there are {', '.join(ACTIONS)}.")
    if output.action == "summary_only":
        return CountingSink(place, shard)
    if isinstance(place, DatabasePlace):
        return DatabaseSink(order, place, shard)
    if output.action == "append_row":
        return LineSink(place, shard, rows_name(shard))
    check_format(output.format)
    if output.format == "text" and not output.partition_by:
        return LineSink(place, shard, part_name(shard, ENDINGS["text"]))
    return TableSink(output, place, shard)
