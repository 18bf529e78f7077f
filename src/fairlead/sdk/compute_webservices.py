"""The three kinds of web service that Azure ML programs name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fairlead.configurations.deployment_config import DeploymentConfiguration, read_deployment_config
from fairlead.sdk.image_wishes import check_target
from fairlead.sdk.reloading import same_elsewhere
from fairlead.sdk.webservice import LINES, Webservice

Path = str | os.PathLike[str]


class LocalWebservice(Webservice):
    """A service of this machine. Deployed with `LocalWebservice.deploy_configuration()` it asks for no key, and only this machine reaches it.

    >>> service = Model.deploy(ws, "churn", [model], inference_config, LocalWebservice.deploy_configuration(port=8890))
    >>> service.wait_for_deployment(True)
    >>> service.port
    8890
    """

    @staticmethod
    def deploy_configuration(port: int | None = None) -> DeploymentConfiguration:
        """`port`: None picks a free one, once; the service keeps it.

        >>> LocalWebservice.deploy_configuration(port=8890)
        """
        return read_deployment_config(flags={"port": port}, kind="local")

    def get_logs(self, num_lines: int = LINES, init: bool = False, raw: bool = False, *, request_id: str | None = None) -> str:
        """As `Webservice.get_logs`; `raw` makes no difference, lines are shown as they were written.

        >>> print(service.get_logs())
        """
        return super().get_logs(num_lines, init, request_id=request_id)

    def deploy_to_cloud(self, name: str, deployment_config: DeploymentConfiguration, deployment_target: object = None) -> Webservice:
        """The same models, script and packages under another name, such as in a container.

        >>> service.deploy_to_cloud("churn-live", AciWebservice.deploy_configuration(cpu_cores=1), "container")
        """
        wish = same_elsewhere(self._facts, self._revision(), deployment_config, check_target(deployment_target))
        if self._inference is not None:
            wish = replace(wish, source=self._inference.source(), environment=self._inference.packages())
        return Webservice._deployed(self.workspace, name, wish, self._inference, overwrite=False)


class AciWebservice(Webservice):
    """What was one container in Azure is one container here, where the server has an engine such as Docker, and else processes of its machine.

    Its configuration is taken whole: keys, TLS, tags and limits act. cpu_cores and memory_gb bound the container when they are said; for processes they
    are only noted. Without effect, kept with the deployment, and named in a notice: location, dns_name_label, vnet_name, subnet_name, ssl_cname, cmk_*.
    Callers need a key only with auth_enabled=True, as in Azure.

        >>> service = Model.deploy(ws, "churn", [model], inference_config, AciWebservice.deploy_configuration(cpu_cores=1, memory_gb=1))
    """

    @staticmethod
    def deploy_configuration(
        cpu_cores: float | None = None,
        memory_gb: float | None = None,
        tags: Mapping[str, str] | None = None,
        properties: Mapping[str, str] | None = None,
        description: str | None = None,
        location: str | None = None,
        auth_enabled: bool | None = None,
        ssl_enabled: bool | None = None,
        enable_app_insights: bool | None = None,
        ssl_cert_pem_file: Path | None = None,
        ssl_key_pem_file: Path | None = None,
        ssl_cname: str | None = None,
        dns_name_label: str | None = None,
        primary_key: str | None = None,
        secondary_key: str | None = None,
        collect_model_data: bool | None = None,
        cmk_vault_base_url: str | None = None,
        cmk_key_name: str | None = None,
        cmk_key_version: str | None = None,
        vnet_name: str | None = None,
        subnet_name: str | None = None,
    ) -> DeploymentConfiguration:
        """Every argument of Azure ML v1; what is left out has its default there: no key, no TLS.

        >>> AciWebservice.deploy_configuration(cpu_cores=1, memory_gb=1, auth_enabled=True)
        """
        return read_deployment_config(flags=_words(locals()), kind="aci")


class AksWebservice(Webservice):
    """What ran on Azure Kubernetes Service. Its configuration is taken whole: keys or tokens, replicas (processes here), timeouts and queue limits act,
    and the service runs on this machine.

    Without effect here, kept with the deployment, and named in a notice: autoscale_*, gpu_cores, namespace, period_seconds and the other probe
    settings, cpu and memory limits, blobfuse_enabled, compute_target_name. Callers need a key unless auth_enabled=False or token_auth_enabled=True.

        >>> service = Model.deploy(ws, "churn", [model], inference_config, AksWebservice.deploy_configuration(num_replicas=2))
    """

    @staticmethod
    def deploy_configuration(
        autoscale_enabled: bool | None = None,
        autoscale_min_replicas: int | None = None,
        autoscale_max_replicas: int | None = None,
        autoscale_refresh_seconds: int | None = None,
        autoscale_target_utilization: int | None = None,
        collect_model_data: bool | None = None,
        auth_enabled: bool | None = None,
        cpu_cores: float | None = None,
        memory_gb: float | None = None,
        enable_app_insights: bool | None = None,
        scoring_timeout_ms: int | None = None,
        replica_max_concurrent_requests: int | None = None,
        max_request_wait_time: int | None = None,
        num_replicas: int | None = None,
        primary_key: str | None = None,
        secondary_key: str | None = None,
        tags: Mapping[str, str] | None = None,
        properties: Mapping[str, str] | None = None,
        description: str | None = None,
        gpu_cores: int | None = None,
        period_seconds: int | None = None,
        initial_delay_seconds: int | None = None,
        timeout_seconds: int | None = None,
        success_threshold: int | None = None,
        failure_threshold: int | None = None,
        namespace: str | None = None,
        token_auth_enabled: bool | None = None,
        compute_target_name: str | None = None,
        cpu_cores_limit: float | None = None,
        memory_gb_limit: float | None = None,
        blobfuse_enabled: bool | None = None,
        *,
        ssl_enabled: bool | None = None,
        ssl_cert_pem_file: Path | None = None,
        ssl_key_pem_file: Path | None = None,
        ssl_cname: str | None = None,
    ) -> DeploymentConfiguration:
        """Every argument of Azure ML v1; TLS, which was the cluster's there, is the service's own here.

        >>> AksWebservice.deploy_configuration(cpu_cores=1, memory_gb=1, scoring_timeout_ms=5000)
        """
        return read_deployment_config(flags=_words(locals()), kind="aks")


def _words(said: Mapping[str, Any]) -> dict[str, Any]:
    """Paths as text, as a file would have them."""
    return {name: os.fspath(value) if isinstance(value, os.PathLike) else value for name, value in said.items()}


KINDS: dict[str, type[Webservice]] = {"local": LocalWebservice, "aci": AciWebservice, "aks": AksWebservice}
