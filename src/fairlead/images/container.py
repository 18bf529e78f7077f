"""What a container of an image of ours is like inside: where everything lies, how it starts, as whom, and how its health is asked.

Contract: OCI image configuration 1.1; `Healthcheck` is Docker's addition to it, which others leave alone.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

BUNDLE = "opt/fairlead/bundle"
ENVIRONMENT = "opt/fairlead/env"
RUNTIME = "opt/fairlead/runtime"
OCI = "org.opencontainers.image"
PORT = 5001
USER = "10001:10001"

_PYTHON = f"/{RUNTIME}/bin/python"
COMMAND = (
    _PYTHON, "-m", "fairlead_scoring", "serve", f"/{BUNDLE}", "--python", f"/{ENVIRONMENT}/bin/python", "--host", "0.0.0.0",  # noqa: S104 - inside a container
)  # fmt: skip
SECOND = 1_000_000_000
HEALTH: dict[str, Any] = {
    "Test": ["CMD", _PYTHON, "-m", "fairlead_scoring", "ready"],
    "Interval": 10 * SECOND,
    "Timeout": 5 * SECOND,
    "StartPeriod": 60 * SECOND,
    "Retries": 3,
}
OURS = {"HOME": "/tmp", "USER": "fairlead"}  # noqa: S108 - the one place that can be written; user 10001 has no entry in passwd


def moment(seconds: int) -> str:
    """RFC 3339."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
