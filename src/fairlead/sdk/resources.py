"""What a model wants where it is served."""

from __future__ import annotations

from dataclasses import dataclass

from fairlead.schemas import models as wire


@dataclass(frozen=True)
class ResourceConfiguration:
    """What a model wants where it is served.

    >>> ResourceConfiguration(cpu=1, memory_in_gb=0.5)
    """

    cpu: float | None = None
    memory_in_gb: float | None = None
    gpu: int | None = None

    def to_wire(self) -> wire.ResourceHints:
        said = {"cpu": self.cpu, "memory_gb": self.memory_in_gb, "gpu": self.gpu}
        return wire.ResourceHints(**{name: value for name, value in said.items() if value is not None})  # type: ignore[arg-type]  # checked there
