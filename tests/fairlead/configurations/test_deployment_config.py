"""Deployment configurations as the seeds' repositories have them, with every documented default."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fairlead.configurations.deployment_config import Autoscale, DeploymentConfiguration, Probe, Resources, read_deployment_config
from fairlead.configurations.deployment_keys import KEYS
from fairlead.errors import UsageError

AKS = """\
computeType: AKS
autoScaler:
    autoscaleEnabled: True
    minReplicas: 1
    maxReplicas: 3
    refreshPeriodInSeconds: 10
    targetUtilization: 70
authEnabled: True
containerResourceRequirements:
    cpu: 0.5
    memoryInGB: 2
appInsightsEnabled: True
scoringTimeoutMs: 5000
maxConcurrentRequestsPerContainer: 2
maxQueueWaitMs: 5000
sslEnabled: False
"""
ACI = "computeType: ACI\n\ncontainerResourceRequirements:\n    cpu: 0.5\n    memoryInGB: 1.0\n\nsslEnabled: False\nauthEnabled: True\nmaxQueueWaitMs: 500\n"


def written(folder: Path, content: object, name: str = "deploymentconfig.yml") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_aks_as_the_seeds_write_it(tmp_path: Path) -> None:
    read = read_deployment_config(written(tmp_path, AKS))
    assert (read.compute_type, read.auth_enabled, read.token_auth_enabled) == ("aks", True, False)
    assert read.autoscale == Autoscale(enabled=True, min_replicas=1, max_replicas=3, refresh_seconds=10, target_utilization=70)
    assert (read.resources, read.app_insights_enabled) == (Resources(cpu=0.5, memory_gb=2.0), True)
    assert (read.scoring_timeout_ms, read.max_concurrent_requests, read.max_queue_wait_ms) == (5000, 2, 5000)
    assert (read.tls.enabled, read.replicas) == (False, 1)
    assert read.notices_of()[0] == (
        "No effect on a service of this machine, kept for other targets: appInsightsEnabled, autoScaler.autoscaleEnabled, autoScaler.maxReplicas, "
        "autoScaler.minReplicas, autoScaler.refreshPeriodInSeconds, autoScaler.targetUtilization, containerResourceRequirements.cpu, "
        "containerResourceRequirements.memoryInGB."
    )


def test_the_documented_defaults(tmp_path: Path) -> None:
    aks = read_deployment_config(written(tmp_path, "computeType: aks\n"))
    assert (aks.auth_enabled, aks.token_auth_enabled, aks.app_insights_enabled, aks.data_collection_enabled) == (True, False, False, False)
    assert (aks.resources, aks.autoscale, aks.probe) == (Resources(cpu=0.1, memory_gb=0.5), Autoscale(), Probe())
    assert aks.autoscale == Autoscale(enabled=True, min_replicas=1, max_replicas=10, refresh_seconds=1, target_utilization=70)
    assert aks.probe == Probe(period_seconds=10, initial_delay_seconds=310, timeout_seconds=2, success_threshold=1, failure_threshold=3)
    assert (aks.scoring_timeout_ms, aks.max_concurrent_requests, aks.max_queue_wait_ms) == (60000, 1, 500)
    aci = read_deployment_config(written(tmp_path, "computeType: Aci\n"))
    assert (aci.auth_enabled, aci.tls.enabled, aci.app_insights_enabled, aci.resources) == (False, False, False, Resources(cpu=0.1, memory_gb=0.5))
    local = read_deployment_config(written(tmp_path, "computeType: LOCAL\nport:\n"))
    assert (local.auth_enabled, local.port, local.scoring_timeout_ms, local.autoscale, local.notices) == (False, None, None, None, ())
    nothing = read_deployment_config()
    assert (nothing, nothing.auth_enabled, nothing.compute_type) == (DeploymentConfiguration(), True, None)


def test_json_local_with_a_port(tmp_path: Path) -> None:
    read = read_deployment_config(written(tmp_path, {"computeType": "local", "port": 8890}, "deploymentconfig.json"))
    assert (read.compute_type, read.port, read.auth_enabled) == ("local", 8890, False)


def test_keys_of_aks_in_an_aci_file_hold(tmp_path: Path) -> None:
    read = read_deployment_config(written(tmp_path, ACI))
    assert (read.compute_type, read.auth_enabled, read.max_queue_wait_ms) == ("aci", True, 500)


def test_sets_override_the_file_and_flags_override_sets(tmp_path: Path) -> None:
    read = read_deployment_config(
        written(tmp_path, AKS),
        sets=["autoScaler.minReplicas=2", "scoring_timeout_ms=100", "tags.team=churn", "auth_enabled=false", "description=3"],
        flags={"replica_max_concurrent_requests": 7, "max_request_wait_time": None, "scoring_timeout_ms": 200, "tags": {"owner": "me"}},
    )
    assert read.autoscale == Autoscale(min_replicas=2, max_replicas=3, refresh_seconds=10)
    assert (read.scoring_timeout_ms, read.max_concurrent_requests, read.max_queue_wait_ms) == (200, 7, 5000)
    assert (read.auth_enabled, read.tags, read.replicas) == (False, {"team": "churn", "owner": "me"}, 2)
    assert "description" in read.set_keys


def test_the_kind_of_the_sdks_classes_holds_when_no_file_names_one() -> None:
    read = read_deployment_config(flags={"port": 8890, "cpu_cores": 1, "memory_gb": 1}, kind="local")
    assert (read.compute_type, read.port, read.auth_enabled, read.resources) == ("local", 8890, False, Resources(cpu=1.0, memory_gb=1.0))


def test_tokens_mean_no_keys() -> None:
    read = read_deployment_config(flags={"token_auth_enabled": True}, kind="aks")
    assert (read.auth_enabled, read.token_auth_enabled) == (False, True)


def test_keys_that_are_given_turn_keys_on(tmp_path: Path) -> None:
    read = read_deployment_config(written(tmp_path, {"computeType": "local", "keys": {"primaryKey": "verysecret", "secondaryKey": None}}))
    assert (read.auth_enabled, read.primary_key, read.secondary_key) == (True, "verysecret", None)
    assert "verysecret" not in repr(read)


def test_a_number_of_replicas_turns_the_autoscaler_off() -> None:
    read = read_deployment_config(flags={"num_replicas": 3}, kind="aks")
    assert (read.autoscale, read.replicas) == (None, 3)


def test_certificates_are_found_beside_the_file(tmp_path: Path) -> None:
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).write_text("-----BEGIN-----")
    read = read_deployment_config(written(tmp_path, {"sslCertificate": "cert.pem", "sslKey": "key.pem"}))
    assert (read.tls.enabled, read.tls.certificate, read.tls.key) == (True, str(tmp_path / "cert.pem"), str(tmp_path / "key.pem"))
    off = read_deployment_config(written(tmp_path, {"sslCertificate": "cert.pem", "sslKey": "key.pem", "sslEnabled": False}))
    assert off.tls.enabled is False


def test_unknown_keys_are_told_with_the_nearest(tmp_path: Path) -> None:
    read = read_deployment_config(written(tmp_path, {"autoscaler": {"minReplica": 2}, "prt": 1}))
    assert "key 'autoScaler.minReplica' is not known and changes nothing; did you mean 'autoScaler.minReplicas'?" in read.notices[0]
    assert "did you mean 'port'?" in read.notices[1]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("computeType: spark", "computeType is 'spark'; it must be local, aci or aks."),
        ("port: 70000", "port is 70000; it must be a whole number from 1 to 65535."),
        ("port: 80.5", "port is 80.5; it must be a whole number"),
        ("port: true", "port is True; it must be a whole number"),
        ("authEnabled: maybe", "authEnabled is 'maybe'; it must be true or false."),
        ("containerResourceRequirements: {cpu: 0}", "containerResourceRequirements.cpu is 0; it must be a number above 0."),
        ("containerResourceRequirements: {cpu: .nan}", "it must be a number above 0."),
        ("containerResourceRequirements: 3", "containerResourceRequirements is 3; it must hold keys with values."),
        ("autoScaler: {targetUtilization: 170}", "it must be a whole number from 1 to 100."),
        ("autoScaler: {minReplicas: 5, maxReplicas: 2}", "minReplicas is 5 and maxReplicas is 2"),
        ("autoScaler: {autoscaleEnabled: true}\nnumReplicas: 2", "numReplicas is set and autoScaler.autoscaleEnabled is true"),
        ("authEnabled: true\ntokenAuthEnabled: true", "authEnabled and tokenAuthEnabled are both true"),
        ("authEnabled: false\nkeys: {primaryKey: abc}", "keys.primaryKey is given, and authEnabled is false"),
        ("keys: {primaryKey: [secret]}", "keys.primaryKey is what was given; it must be text."),
        ("sslEnabled: true", "sslEnabled is true without sslCertificate and sslKey"),
        ("sslCertificate: nowhere.pem\nsslKey: nowhere.pem", "sslCertificate is 'nowhere.pem', and there is no such file"),
        ("sslKey: here.pem", "sslKey is set and sslCertificate is not. Set both."),
        ("namespace: " + "n" * 64, "it must be text of at most 63 characters."),
        ("tags: [a]", "yml: tags is ['a']; it must hold keys with values."),
        ("- a", "must hold keys with values"),
        ("a: [", "line 1: this is no YAML"),
    ],
)
def test_bad_values_are_told_with_file_key_value_and_cure(tmp_path: Path, content: str, reason: str) -> None:
    (tmp_path / "here.pem").write_text("")
    with pytest.raises(UsageError) as caught:
        read_deployment_config(written(tmp_path, content))
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("port", "write it as key=value"),
        ("=1", "write it as key=value"),
        ("prot=1", "there is no such key; did you mean 'port'?"),
        ("port=x", "--set port: port is 'x'; it must be a whole number"),
        ("cpu=[1", "must be a number above 0"),
        ("port=", "port is ''; it must be"),
    ],
)
def test_a_set_that_makes_no_sense_is_refused(said: str, reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_deployment_config(sets=[said])
    assert reason in str(caught.value)


def test_a_flag_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UsageError, match=r"cpu_core: there is no such setting; did you mean"):
        read_deployment_config(flags={"cpu_core": 1})


def test_it_survives_the_wire(tmp_path: Path) -> None:
    for content in (AKS, ACI, "computeType: local\ntags: {a: b}\nkeys: {primaryKey: secret}"):
        read = read_deployment_config(written(tmp_path, content))
        assert DeploymentConfiguration.from_json(json.loads(json.dumps(read.to_json()))) == read


@pytest.mark.parametrize(
    "content",
    [{"port": 0}, {"prot": 1}, {"resources": {"cpu": -1}}, {"resources": {"x": 1}}, {"resources": 1}, {"auth_enabled": True, "token_auth_enabled": True}],
)
def test_what_came_over_the_wire_is_checked_too(content: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        DeploymentConfiguration.from_json(content)


def test_every_key_has_a_place() -> None:
    """A key whose field DeploymentConfiguration lacks would fail only when somebody uses it."""
    fields = set(DeploymentConfiguration.__dataclass_fields__)
    assert {key.field.partition(".")[0] for key in KEYS} <= fields
