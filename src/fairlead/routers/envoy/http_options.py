"""What both sides of the proxy have in common."""

from __future__ import annotations

from fairlead.routers.envoy.resources import TYPE

BUFFER = 256 * 1024  # bytes that a connection may hold while the other side is slow
MOST_HEADER_COUNT = 2000  # the front refuses 200
PRESERVE_CASE = {
    "stateful_formatter": {
        "name": "preserve_case",
        "typed_config": {
            "@type": f"{TYPE}envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig",
            "forward_reason_phrase": True,
        },
    }
}
