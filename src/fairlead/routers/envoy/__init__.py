"""One Envoy before many services: file-based xDS, no control plane of its own, alive while servers come and go."""

from __future__ import annotations

from fairlead.routers.envoy.router import EnvoyRouter

__all__ = ["EnvoyRouter"]
