"""Compute pools: how many nodes batch jobs may take, on which engine, and how many there are now."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from fairlead.schemas.models import Labels
from fairlead.schemas.spelling import Spelling
from fairlead.schemas.wire import Answer, JsonObject, Key, Request, Stamped, Text, Whole

PoolName = Annotated[
    str, Spelling(r"^[A-Za-z][A-Za-z0-9-]{0,30}[A-Za-z0-9]$", "name for a pool", "has 2 to 32 letters, digits and -, a letter first and no - at the end")
]
EngineName = Literal["local", "ray", "spark"]
AllocationState = Literal["Steady", "Resizing"]


def _priority(said: Any) -> Any:
    """Azure's words, as they are typed."""
    plain = said.replace("_", "").replace("-", "").lower() if isinstance(said, str) else said
    return {"low": "lowpriority"}.get(plain, plain)


Priority = Annotated[Literal["dedicated", "lowpriority"], BeforeValidator(_priority)]
Nodes = Annotated[Whole, Field(ge=0, le=10_000)]
Seconds = Annotated[Whole, Field(ge=0, le=10 * 366 * 86_400)]


class NewPool(Request):
    """vm_size: kept as text, for you and for clusters to come. options: of the engine, such as the address of a Ray cluster or Spark master.

    processes: per node; omitted: one per core, or per GPU.
    """

    name: PoolName
    kind: Literal["batch"] = "batch"
    vm_size: Text = ""
    min_nodes: Nodes = 0
    max_nodes: Annotated[Whole, Field(ge=1, le=10_000)] = 4
    vm_priority: Priority = "dedicated"
    idle_seconds: Seconds = 1800
    engine: EngineName = "local"
    options: JsonObject = Field(default_factory=dict)
    processes: Annotated[Whole, Field(ge=1, le=1024)] | None = None
    description: Text = ""
    tags: Labels = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check_nodes(self) -> Self:
        if self.min_nodes > self.max_nodes:
            raise ValueError(f"min_nodes is {self.min_nodes} and max_nodes {self.max_nodes}; the least cannot be more than the most")
        return self


class PoolChange(Request):
    """Jobs that run keep the nodes that they have. Tags are replaced one by one; null removes one."""

    min_nodes: Nodes | None = None
    max_nodes: Annotated[Whole, Field(ge=1, le=10_000)] | None = None
    idle_seconds: Seconds | None = None
    options: JsonObject | None = None
    processes: Annotated[Whole, Field(ge=1, le=1024)] | None = None
    description: Text | None = None
    tags: dict[Key, Text | None] | None = None


class Allocation(Answer):
    """state: Resizing while nodes come. current, target: nodes that there are, and that there are to be; busy: those that a job has.

    idle_until: when those beyond min_nodes go, if no job comes.
    """

    state: AllocationState
    current_nodes: int
    target_nodes: int
    busy_nodes: int
    jobs: int
    idle_until: datetime | None = None


class Pool(Stamped):
    """interruptions: nodes that went away while a job had them; their work was done again without counting as a failure."""

    name: str
    kind: str
    vm_size: str
    min_nodes: int
    max_nodes: int
    vm_priority: str
    idle_seconds: int
    engine: str
    options: dict[str, Any]
    processes: int | None = None
    description: str = ""
    tags: dict[str, str]
    updated_at: datetime
    allocation: Allocation
    interruptions: int = 0


class PoolUse(Answer):
    """A job that has nodes of the pool, or had."""

    job: str
    nodes: int
    since: datetime
    until: datetime | None = None
    interruptions: int = 0
