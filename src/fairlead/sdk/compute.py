"""Compute pools for batch jobs, with the names that Azure ML programs use for clusters."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from fairlead.client import compute as client
from fairlead.errors import UsageError
from fairlead.schemas import compute as wire

if TYPE_CHECKING:
    from fairlead.sdk.workspace import Workspace

PAUSE = 0.5  # seconds


@dataclass(frozen=True, kw_only=True)
class AmlComputeProvisioningConfiguration:
    """What `AmlCompute.provisioning_configuration` makes, for `ComputeTarget.create`."""

    vm_size: str = ""
    vm_priority: str = "dedicated"
    min_nodes: int = 0
    max_nodes: int = 4
    idle_seconds: int = 1800
    engine: str = "local"
    processes: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ScaleSettings:
    minimum_node_count: int
    maximum_node_count: int
    idle_seconds_before_scaledown: int


@dataclass(frozen=True, kw_only=True)
class AmlComputeStatus:
    """allocation_state: Steady, or Resizing while nodes come. interruptions: nodes that went away under a job, which did their work again."""

    allocation_state: str
    current_node_count: int
    target_node_count: int
    busy_node_count: int
    scale_settings: ScaleSettings
    vm_priority: str
    vm_size: str
    interruptions: int = 0
    provisioning_state: str = "Succeeded"
    errors: tuple[str, ...] = ()

    def serialize(self) -> dict[str, Any]:
        """As Azure ML writes it."""
        scale = self.scale_settings
        return {
            "allocationState": self.allocation_state,
            "currentNodeCount": self.current_node_count,
            "targetNodeCount": self.target_node_count,
            "nodeStateCounts": {"runningNodeCount": self.busy_node_count, "idleNodeCount": self.current_node_count - self.busy_node_count},
            "scaleSettings": {
                "minNodeCount": scale.minimum_node_count,
                "maxNodeCount": scale.maximum_node_count,
                "nodeIdleTimeBeforeScaleDown": f"PT{scale.idle_seconds_before_scaledown}S",
            },
            "vmPriority": {"dedicated": "Dedicated", "lowpriority": "LowPriority"}[self.vm_priority],
            "vmSize": self.vm_size,
            "provisioningState": self.provisioning_state,
            "errors": list(self.errors) or None,
        }


class ComputeTarget:
    """A pool by its name. On one machine a node is a group of worker processes.

    >>> ComputeTarget(ws, "cpu-cluster").get_status().current_node_count
    0
    """

    def __init__(self, workspace: Workspace, name: str) -> None:
        """Raises ComputeTargetException when there is none."""
        self._open(workspace, client.show(workspace.transport, name))

    @staticmethod
    def create(workspace: Workspace, name: str, provisioning_configuration: AmlComputeProvisioningConfiguration) -> AmlCompute:
        """A new pool. Raises ComputeTargetException for a name that is there.

        >>> ComputeTarget.create(ws, "cpu-cluster", AmlCompute.provisioning_configuration(vm_size="STANDARD_D2_V2", max_nodes=4))
        """
        said = {**vars(provisioning_configuration), "options": dict(provisioning_configuration.options), "tags": dict(provisioning_configuration.tags)}
        return AmlCompute._of(workspace, client.create(workspace.transport, wire.NewPool.of(name=name, **said)))

    @staticmethod
    def list(workspace: Workspace) -> list[ComputeTarget]:
        """All pools of the workspace, by name. Raises Unavailable."""
        return [AmlCompute._of(workspace, each) for each in client.list_all(workspace.transport)]

    @classmethod
    def _of(cls, workspace: Workspace, facts: wire.Pool) -> Self:
        made = cls.__new__(cls)
        made._open(workspace, facts)
        return made

    @property
    def name(self) -> str:
        return self._facts.name

    @property
    def type(self) -> str:
        return "AmlCompute"

    @property
    def provisioning_state(self) -> str:
        """A pool is there as soon as it is made."""
        return "Succeeded"

    @property
    def vm_size(self) -> str:
        return self._facts.vm_size

    @property
    def vm_priority(self) -> str:
        return self._facts.vm_priority

    @property
    def tags(self) -> dict[str, str]:
        return dict(self._facts.tags)

    def get_status(self) -> AmlComputeStatus:
        """What it has now, asked anew."""
        self.refresh_state()
        facts, now = self._facts, self._facts.allocation
        return AmlComputeStatus(
            allocation_state=now.state,
            current_node_count=now.current_nodes,
            target_node_count=now.target_nodes,
            busy_node_count=now.busy_nodes,
            scale_settings=self.scale_settings,
            vm_priority=facts.vm_priority,
            vm_size=facts.vm_size,
            interruptions=facts.interruptions,
        )

    @property
    def scale_settings(self) -> ScaleSettings:
        facts = self._facts
        return ScaleSettings(minimum_node_count=facts.min_nodes, maximum_node_count=facts.max_nodes, idle_seconds_before_scaledown=facts.idle_seconds)

    def refresh_state(self) -> None:
        """Asks the server anew."""
        self._facts = client.show(self.workspace.transport, self.name)

    def wait_for_completion(
        self,
        show_output: bool = False,
        min_node_count: int | None = None,
        timeout_in_minutes: float = 25,
        is_delete_operation: bool = False,
    ) -> None:
        """Until it has `min_node_count` nodes; without it, a pool is there already. Raises ComputeTargetException after the time.

        >>> cluster.wait_for_completion(show_output=True, min_node_count=None, timeout_in_minutes=20)
        """
        if is_delete_operation:
            return
        wanted, until = min_node_count or 0, time.monotonic() + timeout_in_minutes * 60
        if wanted > self._facts.max_nodes:
            raise UsageError(f"The pool {self.name!r} has {self._facts.max_nodes} nodes at most, and {wanted} are waited for.")
        while (now := self.get_status()).current_node_count < wanted:
            if time.monotonic() >= until:
                raise UsageError(
                    f"The pool {self.name!r} has {now.current_node_count} nodes after {timeout_in_minutes:g} minutes, and {wanted} are waited for. Nodes come "
                    "with a job; raise min_nodes to have them before."
                )
            time.sleep(PAUSE)  # noqa: TID251 - by the clock
        if show_output:
            print(f"The pool {self.name} is there: {now.current_node_count} nodes, {now.scale_settings.maximum_node_count} at most.")

    def delete(self) -> None:
        """Raises ComputeTargetException while a job has nodes of it."""
        client.delete(self.workspace.transport, self.name)

    def serialize(self) -> dict[str, Any]:
        """As plain data."""
        return {"name": self.name, "computeType": self.type, "provisioningState": "Succeeded", "status": self.get_status().serialize()}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def _open(self, workspace: Workspace, facts: wire.Pool) -> None:
        self.workspace = workspace
        self._facts = facts


class AmlCompute(ComputeTarget):
    """A pool of nodes that come with jobs and go when they are idle.

    >>> try:
    ...     cluster = AmlCompute(ws, "cpu-cluster")
    ... except ComputeTargetException:
    ...     cluster = ComputeTarget.create(ws, "cpu-cluster", AmlCompute.provisioning_configuration(vm_size="STANDARD_D2_V2"))
    """

    @staticmethod
    def provisioning_configuration(
        vm_size: str = "",
        vm_priority: str = "dedicated",
        min_nodes: int = 0,
        max_nodes: int | None = None,
        idle_seconds_before_scaledown: int | None = None,
        admin_username: str | None = None,
        admin_user_password: str | None = None,
        admin_user_ssh_key: str | None = None,
        vnet_resourcegroup_name: str | None = None,
        vnet_name: str | None = None,
        subnet_name: str | None = None,
        tags: Mapping[str, str] | None = None,
        description: str | None = None,
        *,
        engine: str = "local",
        processes: int | None = None,
        options: Mapping[str, Any] | None = None,
        **others: object,
    ) -> AmlComputeProvisioningConfiguration:
        """`max_nodes`: 4, where it is not said. `engine`: local, ray or spark; `options`: its address. Words about machines have no effect. Raises UsageError.

        >>> AmlCompute.provisioning_configuration(vm_size="STANDARD_D2_V2", vm_priority="lowpriority", max_nodes=8)
        """
        made = AmlComputeProvisioningConfiguration(
            vm_size=vm_size,
            vm_priority=vm_priority,
            min_nodes=min_nodes,
            max_nodes=4 if max_nodes is None else max_nodes,
            idle_seconds=1800 if idle_seconds_before_scaledown is None else idle_seconds_before_scaledown,
            engine=engine,
            processes=processes,
            options=dict(options or {}),
            description=description or "",
            tags=dict(tags or {}),
        )
        wire.NewPool.of(name="checked", **{**vars(made), "tags": dict(made.tags), "options": dict(made.options)})
        return made

    def update(self, min_nodes: int | None = None, max_nodes: int | None = None, idle_seconds_before_scaledown: int | None = None) -> None:
        """Other limits; jobs that run keep what they have. Raises ComputeTargetException for limits that make no sense.

        >>> cluster.update(max_nodes=8)
        """
        said = {"min_nodes": min_nodes, "max_nodes": max_nodes, "idle_seconds": idle_seconds_before_scaledown}
        change = wire.PoolChange.of(**{name: value for name, value in said.items() if value is not None})
        self._facts = client.change(self.workspace.transport, self.name, change)
