"""Pools by the names of Azure ML's clusters."""

from __future__ import annotations

import pytest

from fairlead import AmlCompute, ComputeTarget, ComputeTargetException, Workspace

# `create_aml_cluster.py` of the CI seeds (MS1), as it stands there but for its imports and arguments.
GET_OR_CREATE = """
try:
    aml_cluster = AmlCompute(ws, args.aml_compute_target)
    print("found existing compute target.")
except ComputeTargetException:
    print("creating new compute target")

    provisioning_config = AmlCompute.provisioning_configuration(vm_size = "STANDARD_D2_V2",
                                                                min_nodes = 1,
                                                                max_nodes = 1)
    aml_cluster = ComputeTarget.create(ws, args.aml_compute_target, provisioning_config)
    aml_cluster.wait_for_completion(show_output=True, min_node_count=None, timeout_in_minutes=20)

print("Aml Compute attached")
"""


def test_a_cluster_is_got_or_created(ws: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    class args:  # noqa: N801 - the seed's name
        aml_compute_target = "cpu-cluster"

    names = {"ws": ws, "args": args, "AmlCompute": AmlCompute, "ComputeTarget": ComputeTarget, "ComputeTargetException": ComputeTargetException}
    for said in ("creating new compute target", "found existing compute target."):
        exec(GET_OR_CREATE, dict(names))  # noqa: S102 - the seed's own code
        out = capsys.readouterr().out
        assert said in out
        assert "Aml Compute attached" in out


def test_a_cluster_says_what_it_has(ws: Workspace) -> None:
    settings = AmlCompute.provisioning_configuration("STANDARD_NC6", "lowpriority", idle_seconds_before_scaledown=600, vnet_name="none", tags={"a": "1"})
    made = ComputeTarget.create(ws, "gpu", settings)
    assert (made.vm_size, made.vm_priority, made.provisioning_state, made.tags) == ("STANDARD_NC6", "lowpriority", "Succeeded", {"a": "1"})
    assert made.get_status().serialize() == {
        "allocationState": "Steady",
        "currentNodeCount": 0,
        "targetNodeCount": 0,
        "nodeStateCounts": {"runningNodeCount": 0, "idleNodeCount": 0},
        "scaleSettings": {"minNodeCount": 0, "maxNodeCount": 4, "nodeIdleTimeBeforeScaleDown": "PT600S"},
        "vmPriority": "LowPriority",
        "vmSize": "STANDARD_NC6",
        "provisioningState": "Succeeded",
        "errors": None,
    }
    made.update(min_nodes=2, max_nodes=8)
    made.wait_for_completion(min_node_count=2, timeout_in_minutes=1)
    assert ws.compute_targets["gpu"].get_status().current_node_count == 2
    with pytest.raises(ComputeTargetException, match="Nodes come with a job"):
        made.wait_for_completion(min_node_count=3, timeout_in_minutes=0)
    with pytest.raises(ComputeTargetException, match="a compute pool 'gpu' already"):
        ComputeTarget.create(ws, "gpu", settings)
    with pytest.raises(ComputeTargetException, match="the least cannot be more"):
        AmlCompute.provisioning_configuration(min_nodes=5, max_nodes=4)
    made.delete()
    with pytest.raises(ComputeTargetException, match="no compute pool 'gpu'"):
        AmlCompute(ws, "gpu")
