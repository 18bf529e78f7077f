"""Which replicas answer for which service: one table for all listeners, so that a change of replicas is a change of a line here."""

from __future__ import annotations

from typing import Any

from fairlead.routers.envoy.clusters import cluster_name
from fairlead.routers.envoy.resources import TYPE
from fairlead.routers.kept import Kept

ROUTES = "routes"
HANDLE = "x-fairlead-route"  # by this header, which each listener sets, a request finds its line; it is not passed on
FARTHEST = (1 << 63) - 1
FRAME = (f'{{"@type": "{TYPE}envoy.config.route.v3.RouteConfiguration", "name": "{ROUTES}", "vhost_header": "{HANDLE}", "virtual_hosts": [', "]}")
RETRIES = {
    "retry_on": "connect-failure,refused-stream,reset-before-request",  # nothing has been sent
    "num_retries": 4,
    "retry_host_predicate": [
        {
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": {"@type": f"{TYPE}envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"},
        }
    ],
    "host_selection_retry_max_attempts": 5,
}


def line(kept: Kept) -> dict[str, Any]:
    everything = {"match": {"prefix": "/"}, "route": {"cluster": cluster_name(kept), "timeout": "0s", "retry_policy": RETRIES}}
    return {"name": kept.handle, "domains": [kept.handle], "routes": [*_size_gate(kept.max_body), everything]}


def _size_gate(most: int | None) -> list[dict[str, Any]]:
    """By the length that is declared; of a chunked body the replica counts the bytes, because counting here would mean to keep them."""
    if most is None:
        return []
    too_long = {"name": "content-length", "range_match": {"start": most + 1, "end": FARTHEST}}
    message = {"inline_string": f"The body is larger than {most} bytes; send less at a time."}
    return [{"match": {"prefix": "/", "headers": [too_long]}, "direct_response": {"status": 413, "body": message}}]
