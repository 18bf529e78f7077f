"""Services as containers of Docker or Podman. Needs the extra `docker`; with replicas, also `router`."""

from __future__ import annotations

from fairlead.targets.docker.address import find
from fairlead.targets.docker.engine import Engine
from fairlead.targets.docker.target import DockerTarget

__all__ = ["DockerTarget", "Engine", "find"]
