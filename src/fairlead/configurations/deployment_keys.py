"""Every key of a deployment configuration: its path in the file, its keywords in the seeds' SDK, what it may be, whether a service of this machine heeds it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from fairlead.configurations.keys import plain

Check = Callable[[object], object | None]  # the value as it is kept, or None when it is not allowed


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """`field`: where DeploymentConfiguration keeps it. `keywords`: further names. `allowed`: completes the sentence "it must be ...".

    local: a service of this machine heeds it; contained: one in containers does, too.
    """

    path: str
    field: str
    check: Check
    allowed: str
    keywords: tuple[str, ...] = ()
    local: bool = False
    contained: bool = False


def _boolean(value: object) -> object | None:
    if isinstance(value, str) and value.strip().lower() in {"true", "false"}:
        return value.strip().lower() == "true"
    return value if isinstance(value, bool) else None


def _whole(least: int, most: int) -> Check:
    def check(value: object) -> object | None:
        number = int(value) if isinstance(value, str) and value.strip().isdecimal() else value
        return number if isinstance(number, int) and not isinstance(number, bool) and least <= number <= most else None

    return check


def _positive(value: object) -> object | None:
    try:
        number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else math.nan
    except ValueError:
        return None
    return number if 0 < number < math.inf else None


def _text(value: object) -> object | None:
    return value if isinstance(value, str) and value.strip() else None


def _kind(value: object) -> object | None:
    return value.lower() if isinstance(value, str) and value.lower() in {"local", "aci", "aks"} else None


def _namespace(value: object) -> object | None:
    return value if isinstance(value, str) and 0 < len(value) <= 63 else None


def _flag(path: str, field: str, *keywords: str, local: bool = False) -> Key:
    return Key(path=path, field=field, check=_boolean, allowed="true or false", keywords=keywords, local=local)


def _count(path: str, field: str, *keywords: str, least: int = 1, most: int = 1_000_000, local: bool = False, contained: bool = False) -> Key:
    allowed = f"a whole number from {least} to {most}"
    return Key(path=path, field=field, check=_whole(least, most), allowed=allowed, keywords=keywords, local=local, contained=contained)


def _amount(path: str, field: str, *keywords: str, contained: bool = False) -> Key:
    return Key(path=path, field=field, check=_positive, allowed="a number above 0", keywords=keywords, contained=contained)


def _word(path: str, field: str, *keywords: str, local: bool = False) -> Key:
    return Key(path=path, field=field, check=_text, allowed="text", keywords=keywords, local=local)


_DAY_MS = 86_400_000
KEYS = (
    Key(path="computeType", field="compute_type", check=_kind, allowed="local, aci or aks", local=True),
    _count("port", "port", most=65535, local=True),
    _count("workers", "workers", most=1024, local=True),
    _flag("authEnabled", "auth_enabled", local=True),
    _flag("tokenAuthEnabled", "token_auth_enabled", local=True),
    _count("numReplicas", "num_replicas", local=True),
    _amount("containerResourceRequirements.cpu", "resources.cpu", "cpu_cores", "cpu", contained=True),
    _amount("containerResourceRequirements.memoryInGB", "resources.memory_gb", "memory_gb", contained=True),
    _amount("containerResourceRequirements.cpuLimit", "resources.cpu_limit", "cpu_cores_limit"),
    _amount("containerResourceRequirements.memoryInGBLimit", "resources.memory_gb_limit", "memory_gb_limit"),
    _count("gpuCores", "resources.gpu", "containerResourceRequirements.gpu", least=0, most=64, contained=True),
    _count("scoringTimeoutMs", "scoring_timeout_ms", most=_DAY_MS, local=True),
    _count("maxConcurrentRequestsPerContainer", "max_concurrent_requests", "replica_max_concurrent_requests", local=True),
    _count("maxQueueWaitMs", "max_queue_wait_ms", "max_request_wait_time", least=0, most=_DAY_MS, local=True),
    _flag("autoScaler.autoscaleEnabled", "autoscale.enabled", "autoscale_enabled"),
    _count("autoScaler.minReplicas", "autoscale.min_replicas", "autoscale_min_replicas"),
    _count("autoScaler.maxReplicas", "autoscale.max_replicas", "autoscale_max_replicas"),
    _count("autoScaler.refreshPeriodInSeconds", "autoscale.refresh_seconds", "autoscale_refresh_seconds"),
    _count("autoScaler.targetUtilization", "autoscale.target_utilization", "autoscale_target_utilization", most=100),
    _count("livenessProbeRequirements.periodSeconds", "probe.period_seconds", "period_seconds"),
    _count("livenessProbeRequirements.initialDelaySeconds", "probe.initial_delay_seconds", "initial_delay_seconds", least=0),
    _count("livenessProbeRequirements.timeoutSeconds", "probe.timeout_seconds", "timeout_seconds"),
    _count("livenessProbeRequirements.successThreshold", "probe.success_threshold", "success_threshold"),
    _count("livenessProbeRequirements.failureThreshold", "probe.failure_threshold", "failure_threshold"),
    _flag("sslEnabled", "tls.enabled", "ssl_enabled", local=True),
    _word("sslCertificate", "tls.certificate", "ssl_cert_pem_file", local=True),
    _word("sslKey", "tls.key", "ssl_key_pem_file", local=True),
    _word("cname", "tls.cname", "ssl_cname"),
    _word("keys.primaryKey", "primary_key", "primary_key", local=True),
    _word("keys.secondaryKey", "secondary_key", "secondary_key", local=True),
    _flag("appInsightsEnabled", "app_insights_enabled", "enable_app_insights"),
    _flag("dataCollection.storageEnabled", "data_collection_enabled", "collect_model_data"),
    _word("location", "location"),
    _word("dnsNameLabel", "dns_name_label"),
    _word("vnetName", "vnet_name"),
    _word("subnetName", "subnet_name"),
    Key(path="namespace", field="namespace", check=_namespace, allowed="text of at most 63 characters"),
    _word("computeTargetName", "compute_target_name"),
    _flag("blobfuseEnabled", "blobfuse_enabled"),
    _word("cmkVaultBaseUrl", "cmk_vault_base_url"),
    _word("cmkKeyName", "cmk_key_name"),
    _word("cmkKeyVersion", "cmk_key_version"),
    _word("description", "description", local=True),
)  # fmt: skip
BLOCKS = {plain(key.path.partition(".")[0]): key.path.partition(".")[0] for key in KEYS if "." in key.path}
LABELS = {"tags": "tags", "properties": "properties"}
BY_NAME = {plain(name): key for key in KEYS for name in (key.path, *key.keywords)}
BY_FIELD = {key.field: key for key in KEYS}
