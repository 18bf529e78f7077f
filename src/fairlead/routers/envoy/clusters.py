"""Replicas of a service, as Envoy is told of them."""

from __future__ import annotations

from typing import Any

from fairlead.routers.envoy.http_options import BUFFER, MOST_HEADER_COUNT, PRESERVE_CASE
from fairlead.routers.envoy.resources import TYPE
from fairlead.routers.kept import Kept, Replica

REST = "30s"  # of a connection to a replica; a front closes after 75 s, and must never be the first
CONNECTS_WITHIN = "5s"
UNBOUNDED = 1_000_000_000  # replicas have queues and limits of their own
PROTOCOL = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def cluster_name(kept: Kept) -> str:
    return f"{kept.handle}@{kept.generation}"


def cluster(kept: Kept) -> dict[str, Any]:
    """One per generation of replicas, never changed: Envoy goes on counting what the older ones have in hand."""
    served = [{"endpoint": _endpoint(one), "load_balancing_weight": one.weight} for one in kept.upstreams if one.weight]
    return {
        "@type": f"{TYPE}envoy.config.cluster.v3.Cluster",
        "name": cluster_name(kept),
        "type": "STATIC",
        "load_assignment": {"cluster_name": cluster_name(kept), "endpoints": [{"lb_endpoints": served}]},
        "connect_timeout": CONNECTS_WITHIN,
        "per_connection_buffer_limit_bytes": BUFFER,
        "lb_policy": "LEAST_REQUEST",  # of two at random; where weights differ, exactly by weight: bias 0
        "least_request_lb_config": {"active_request_bias": {"default_value": 0.0, "runtime_key": "fairlead.bias"}},
        "circuit_breakers": {"thresholds": [dict.fromkeys(("max_connections", "max_pending_requests", "max_requests", "max_retries"), UNBOUNDED)]},
        "typed_extension_protocol_options": {
            PROTOCOL: {
                "@type": f"{TYPE}{PROTOCOL}",
                "common_http_protocol_options": {"idle_timeout": REST, "max_headers_count": MOST_HEADER_COUNT},
                "explicit_http_config": {"http_protocol_options": {"header_key_format": PRESERVE_CASE}},
            }
        },
    }


def _endpoint(replica: Replica) -> dict[str, Any]:
    return {"address": {"socket_address": {"address": replica.address, "port_value": replica.port}}}
