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
PREVIOUS_HOSTS = {
    "name": "envoy.retry_host_predicates.previous_hosts",
    "typed_config": {"@type": f"{TYPE}envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"},
}
LEAST_RETRIES = 4  # also of the only replica, which may be about to be there again
MOST_PICKS = 2000
SOON = {"base_interval": "0.005s", "max_interval": "0.025s"}  # between tries of many: whoever waits for the last of a hundred waits a second, not a dozen


def line(kept: Kept) -> dict[str, Any]:
    everything = {"match": {"prefix": "/"}, "route": {"cluster": cluster_name(kept), "timeout": "0s", "retry_policy": _retries(kept)}}
    return {"name": kept.handle, "domains": [kept.handle], "routes": [*_size_gate(kept.max_body), everything]}


def _retries(kept: Kept) -> dict[str, Any]:
    """Each replica is tried before a request is given up. Only where nothing has been sent: a script may not meet a request twice."""
    weights = [one.weight for one in kept.upstreams if one.weight]
    return {
        "retry_on": "connect-failure,refused-stream,reset-before-request",
        "num_retries": max(LEAST_RETRIES, len(weights)),
        **({"retry_back_off": SOON} if len(weights) > LEAST_RETRIES else {}),
        "retry_host_predicate": [PREVIOUS_HOSTS],
        "host_selection_retry_max_attempts": _picks(weights),
    }


def _picks(weights: list[int]) -> int:
    """How often Envoy draws until it meets one that was not tried yet: of equal ones at random (missed once in 10⁸ requests), else in turns by weight."""
    if len(weights) < 2:
        return 1
    if len(set(weights)) == 1:
        return min(20 * len(weights), MOST_PICKS)
    return min(2 * sum(weights) // min(weights), MOST_PICKS)


def _size_gate(most: int | None) -> list[dict[str, Any]]:
    """By the length that is declared; of a chunked body the replica counts the bytes, because counting here would mean to keep them."""
    if most is None:
        return []
    too_long = {"name": "content-length", "range_match": {"start": most + 1, "end": FARTHEST}}
    message = {"inline_string": f"The body is larger than {most} bytes; send less at a time."}
    return [{"match": {"prefix": "/", "headers": [too_long]}, "direct_response": {"status": 413, "body": message}}]
