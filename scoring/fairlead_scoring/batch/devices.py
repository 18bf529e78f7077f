"""How many processes score on a machine: one per device where there are some, else one per core that this process may use."""

from __future__ import annotations

import os
import re
from typing import List

VISIBLE = "CUDA_VISIBLE_DEVICES"


def devices() -> List[str]:
    """As CUDA_VISIBLE_DEVICES names them; empty without a GPU."""
    said = os.environ.get(VISIBLE)
    if said is not None:
        return [each.strip() for each in said.split(",") if each.strip() and each.strip() != "-1"]
    try:
        names = os.listdir("/dev")
    except OSError:
        return []
    return sorted((name[6:] for name in names if re.fullmatch(r"nvidia\d+", name)), key=int)


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processes() -> int:
    return len(devices()) or cores()
