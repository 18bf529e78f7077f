"""The front's part of the options, as the front reads it."""

from __future__ import annotations

import socket
from typing import Any

from fairlead_scoring.lines import LineWriter
from fairlead_scoring.supervisor.options import ServeOptions

WHOLE_NUMBERS = frozenset(("waiting", "body"))


def front_settings(options: ServeOptions, lines: LineWriter, *, on_loopback: bool) -> dict[str, Any]:
    return {
        "limits": {name: int(value) if name in WHOLE_NUMBERS else value for name, value in options.limits.items()},
        "name": options.name,
        "title": options.title,
        "version": options.version,
        "prefix": options.prefix,
        "keys_file": options.keys,
        "cors_origins": list(options.cors),
        "tls_cert": options.tls_cert,
        "tls_key": options.tls_key,
        "says_version": options.says_version,
        "is_loopback": on_loopback,
        "app_root": options.app_root,
        "log_form": lines.form,
        "log_level": options.log_level,
    }


def is_loopback(listener: socket.socket) -> bool:
    host = str(listener.getsockname()[0])
    return host == "::1" or host.startswith("127.")
