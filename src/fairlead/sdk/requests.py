"""From what a person said to what the server is asked: configurations as wire types, and a sentence for what the wire does not take."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from fairlead.configurations.deployment_config import DeploymentConfiguration
from fairlead.errors import UsageError

T = TypeVar("T", bound=BaseModel)
_KEPT = ("location", "dns_name_label", "vnet_name", "subnet_name", "namespace", "compute_target_name", "blobfuse_enabled", "cmk_vault_base_url")
_LIMITS = ("cpu", "memory_gb")
_PATHS = {  # of a deployment configuration, by the member of Settings that it becomes
    "workers": "workers",
    "replicas": "numReplicas",
    "scoring_timeout_ms": "scoringTimeoutMs",
    "max_queue_wait_ms": "maxQueueWaitMs",
    "max_waiting": "maxConcurrentRequestsPerContainer",
    "cpu": "containerResourceRequirements.cpu",
    "memory_gb": "containerResourceRequirements.memoryInGB",
    "gpu": "gpuCores",
    "app_insights": "appInsightsEnabled",
    "data_collection": "dataCollection.storageEnabled",
}


def service_name_of(said: str) -> str:
    """A name that a service may have, from a model's or file's."""
    plain = re.sub(r"[^a-z0-9]+", "-", said.lower()).lstrip("-0123456789")[:32].strip("-") or "service"
    return plain if len(plain) >= 3 else f"{plain}-service"


def settings_of(configuration: DeploymentConfiguration | None, *, only_said: bool, enforced: bool = False) -> dict[str, Any]:
    """Members of Settings. only_said: leave out what is a default of the kind, so that an update changes nothing by omission.

    enforced: the target limits containers, so CPU and memory are what was said, and not a kind's default of a tenth of a core.
    """
    if configuration is None:
        return {}
    values = _values(configuration)
    chosen = configuration.set_keys
    said = {name: value for name, value in values.items() if value is not None and (_PATHS[name] in chosen or not (only_said or _is_limit(name, enforced)))}
    if _is_said(configuration, "autoScaler", only_said=only_said) and configuration.autoscale is not None:
        said["autoscale"] = asdict(configuration.autoscale)
    if _is_said(configuration, "livenessProbeRequirements", only_said=only_said) and configuration.probe is not None:
        said["probes"] = asdict(configuration.probe)
    kept = {name: value for name in _KEPT if (value := getattr(configuration, name)) is not None}
    if configuration.tls.cname:
        kept["cname"] = configuration.tls.cname
    if configuration.compute_type in ("aci", "aks") and not only_said:
        kept["compute_type"] = configuration.compute_type  # where it was meant to run; its target says where it does
    return {**said, "kept": kept} if kept else said


def auth_of(configuration: DeploymentConfiguration | None, *, only_said: bool) -> str | None:
    """none, key or token; None when nobody said."""
    if configuration is None or (only_said and not {"authEnabled", "tokenAuthEnabled"} & {*configuration.set_keys}):
        return None
    if configuration.token_auth_enabled:
        return "token"
    return "key" if configuration.auth_enabled else "none"


def tls_of(configuration: DeploymentConfiguration | None) -> dict[str, str]:
    """tls_cert and tls_key as text. Raises UsageError for files that cannot be read."""
    if configuration is None or not configuration.tls.enabled:
        return {}
    return {name: _pem(path) for name, path in (("tls_cert", configuration.tls.certificate), ("tls_key", configuration.tls.key)) if path}


def _values(configuration: DeploymentConfiguration) -> dict[str, Any]:
    wait = configuration.max_queue_wait_ms
    return {
        "workers": configuration.workers,
        "replicas": configuration.num_replicas,
        "scoring_timeout_ms": configuration.scoring_timeout_ms,
        "max_queue_wait_ms": None if wait is None else max(1, wait),
        "max_waiting": configuration.max_concurrent_requests,
        "cpu": configuration.resources.cpu,
        "memory_gb": configuration.resources.memory_gb,
        "gpu": configuration.resources.gpu,
        "app_insights": configuration.app_insights_enabled or None,
        "data_collection": configuration.data_collection_enabled or None,
    }


def _is_limit(name: str, enforced: bool) -> bool:
    return enforced and name in _LIMITS


def _is_said(configuration: DeploymentConfiguration, block: str, *, only_said: bool) -> bool:
    return not only_said or any(path.startswith(f"{block}.") for path in configuration.set_keys)


def _pem(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read as a PEM file ({error}).") from error
