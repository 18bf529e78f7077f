"""How Envoy is started: where its resources lie, who may administer it, and what it may use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fairlead.routers.envoy.place import Place
from fairlead.routers.envoy.resources import TYPE

MOST_CONNECTIONS = 20_000  # of clients; a front takes 10,000
MOST_HEAP = 1 << 30  # bytes; 60 MB are in use at rest
DRAIN_SECONDS = 600  # how long requests of a retired address may take
MANAGERS = ("listener_manager", "cluster_manager")
CONNECTIONS = ".downstream_cx_active"  # the keeper ends Envoy when nothing is published and nobody is connected
MONITORS = "envoy.extensions.resource_monitors"


def bootstrap(place: Place) -> dict[str, Any]:
    return {
        "node": {"id": "fairlead-router", "cluster": "fairlead"},
        "admin": {"address": {"pipe": {"path": str(place.admin), "mode": 0o600}}},
        "dynamic_resources": {"lds_config": file_source(place.listeners.path), "cds_config": file_source(place.clusters.path)},
        "overload_manager": _overload_manager(),
        "stats_config": {"stats_matcher": {"inclusion_list": {"patterns": [*({"prefix": name} for name in MANAGERS), {"suffix": CONNECTIONS}]}}},
        "stats_flush_interval": "60s",
    }


def command(program: str, place: Place, concurrency: int) -> list[str]:
    """Hot restart is off: it needs shared memory, and what must not end is handed on by listeners and clusters."""
    return [
        program,
        *("--config-path", str(place.bootstrap), "--concurrency", str(concurrency), "--disable-hot-restart"),
        *("--log-level", "warning", "--drain-time-s", str(DRAIN_SECONDS), "--drain-strategy", "immediate"),
    ]


def file_source(path: Path) -> dict[str, Any]:
    """Read again whenever a file is renamed to this path. There are three: each costs one of the 128 inotify instances of a user, and Envoy dies without."""
    return {"path_config_source": {"path": str(path)}, "resource_api_version": "V3"}


def _overload_manager() -> dict[str, Any]:
    def monitor(name: str, **limits: int) -> dict[str, Any]:
        kind = "".join(part.title() for part in name.split("_"))
        return {
            "name": f"envoy.resource_monitors.{name}",
            "typed_config": {"@type": f"{TYPE}{MONITORS}.{name}.v3.{kind}Config", **limits},
        }

    def action(name: str, heap: float) -> dict[str, Any]:
        return {"name": f"envoy.overload_actions.{name}", "triggers": [{"name": "envoy.resource_monitors.fixed_heap", "threshold": {"value": heap}}]}

    return {
        "refresh_interval": "1s",
        "resource_monitors": [
            monitor("fixed_heap", max_heap_size_bytes=MOST_HEAP),
            {
                "name": "envoy.resource_monitors.global_downstream_max_connections",
                "typed_config": {
                    "@type": f"{TYPE}{MONITORS}.downstream_connections.v3.DownstreamConnectionsConfig",
                    "max_active_downstream_connections": MOST_CONNECTIONS,
                },
            },
        ],
        "actions": [action("shrink_heap", 0.9), action("disable_http_keepalive", 0.95), action("stop_accepting_requests", 0.98)],
    }
