"""Files below FAIRLEAD_CAPTURE_DIR that several workers append to: whole lines under a lock, a header where the file is new."""

from __future__ import annotations

import datetime as dt
import fcntl
import os
import re
from typing import Optional

FOLDER = "FAIRLEAD_CAPTURE_DIR"
UNSAFE = re.compile(r"[^\w.=-]+")


def is_wanted(*switches: str) -> bool:
    """A folder is given, and one of these environment variables is true."""
    return bool(os.environ.get(FOLDER)) and any(os.environ.get(switch, "").lower() == "true" for switch in switches)


def append(parts: str, text: str, header: str = "") -> None:
    """To the file `parts`, a path with slashes below the capture folder."""
    path = os.path.join(os.environ[FOLDER], *parts.split("/"))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "a", encoding="utf-8", newline="") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(text if os.fstat(file.fileno()).st_size else header + text)


def part(name: str) -> str:
    """A name as one part of a path; it cannot lead out of the folder."""
    return UNSAFE.sub("_", name).lstrip(".") or "_"


def day(now: dt.datetime, *, hourly: bool = False) -> str:
    return now.strftime("%Y/%m/%d/%H" if hourly else "%Y/%m/%d")


def utc_now(given: Optional[float] = None) -> dt.datetime:
    return dt.datetime.fromtimestamp(given, dt.timezone.utc) if given is not None else dt.datetime.now(dt.timezone.utc)
