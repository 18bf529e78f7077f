"""A shard's outcome as a line, or an object, that shows whether it is whole."""

from __future__ import annotations

import hashlib
import json
from typing import Dict, Optional, Tuple

from fairlead_scoring.batch.shards import Outcome


def line_of(outcome: Outcome) -> bytes:
    text = json.dumps(outcome.to_json(), sort_keys=True, separators=(",", ":"))
    return f'{{"check":"{_check(text)}","outcome":{text}}}\n'.encode()


def outcome_of(line: bytes) -> Optional[Outcome]:
    """None for what is not whole."""
    try:
        said = json.loads(line)
        text = json.dumps(said["outcome"], sort_keys=True, separators=(",", ":"))
        return Outcome.from_json(said["outcome"]) if said["check"] == _check(text) else None
    except (ValueError, KeyError, TypeError):
        return None


def read_lines(content: bytes) -> Tuple[Dict[int, Outcome], int]:
    """The last word on each shard, and where the whole lines end: behind that is what a power failure left of one."""
    found: Dict[int, Outcome] = {}
    end = at = 0
    for line in content.splitlines(keepends=True):
        at += len(line)
        outcome = outcome_of(line) if line.endswith(b"\n") else None
        if outcome is not None:
            found[outcome.shard] = outcome
            end = at
    return found, end


def _check(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
