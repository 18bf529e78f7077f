"""What a child and its parent say to each other, in frames of `worker.link`."""

from __future__ import annotations

import json
import struct
from typing import Any, Dict, NamedTuple

from fairlead_scoring.worker.link import Frame, Link

# parent → child
TASK, SHARD, STOP = 64, 65, 66
# child → parent
READY, BEGUN, ENDED, OUTCOME, HOPELESS, TROUBLE, GONE = 72, 73, 74, 75, 76, 77, 78

_BEGUN = struct.Struct("<III")


class InHand(NamedTuple):
    """Items of a mini-batch that are in a run() now."""

    batch: int  # its index in the shard
    start: int
    stop: int


def tell(link: Link, kind: int, message: Dict[str, Any]) -> None:
    """Raises LinkClosed."""
    link.send(kind, json.dumps(message, default=str).encode())


def said(frame: Frame) -> Dict[str, Any]:
    found: Dict[str, Any] = json.loads(bytes(frame.payload))
    return found


def pack_in_hand(index: int, start: int, stop: int) -> bytes:
    return _BEGUN.pack(index, start, stop)


def unpack_in_hand(frame: Frame) -> InHand:
    return InHand(*_BEGUN.unpack(frame.payload))
