"""Where inputs are read and outputs are written: a disk, an object store, a web server, all by URL and with the same words."""

from __future__ import annotations

from fairlead_scoring.batch.places.faults import PlaceFault, Refused, Vanished
from fairlead_scoring.batch.places.opening import open_place
from fairlead_scoring.batch.places.place import Entry, Outgoing, Place

__all__ = ["Entry", "Outgoing", "Place", "PlaceFault", "Refused", "Vanished", "open_place"]
