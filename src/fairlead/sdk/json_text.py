"""Reading what should be JSON, with a sentence when it is not."""

from __future__ import annotations

import json
from typing import Any

from fairlead.errors import UsageError


def parse(text: str, where: str) -> Any:
    """Raises UsageError."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as fault:
        raise UsageError(f"{where} is not JSON: {fault}.") from fault
