"""What goes on, on standard error: one sentence per line."""

from __future__ import annotations

import sys


def say(sentence: str) -> None:
    sys.stderr.write(sentence + "\n")
    sys.stderr.flush()
