"""From configurations to what the server is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fairlead import AciWebservice, AksWebservice, LocalWebservice, UsageError
from fairlead.schemas.services import NewService, Settings, check_service_name
from fairlead.sdk.requests import auth_of, service_name_of, settings_of, tls_of


def test_aks_words_become_settings() -> None:
    said = AksWebservice.deploy_configuration(
        num_replicas=2, scoring_timeout_ms=5000, max_request_wait_time=100, replica_max_concurrent_requests=3, memory_gb=2, namespace="ns", period_seconds=5
    )
    settings = Settings.of(**settings_of(said, only_said=False))
    assert (settings.replicas, settings.scoring_timeout_ms, settings.max_queue_wait_ms, settings.max_waiting) == (2, 5000, 100, 3)
    assert settings.memory_gb == 2
    assert settings.kept == {"namespace": "ns", "compute_type": "aks"}
    assert settings.probes is not None
    assert settings.probes["period_seconds"] == 5


def test_an_update_says_only_what_was_said() -> None:
    assert settings_of(AksWebservice.deploy_configuration(num_replicas=2), only_said=True) == {"replicas": 2}
    assert settings_of(LocalWebservice.deploy_configuration(port=8890), only_said=True) == {}
    assert auth_of(LocalWebservice.deploy_configuration(), only_said=True) is None


@pytest.mark.parametrize(
    ("configuration", "auth"),
    [
        (None, None),
        (LocalWebservice.deploy_configuration(), "none"),
        (AciWebservice.deploy_configuration(cpu_cores=1), "none"),
        (AciWebservice.deploy_configuration(auth_enabled=True), "key"),
        (AksWebservice.deploy_configuration(), "key"),
        (AksWebservice.deploy_configuration(token_auth_enabled=True), "token"),
    ],
)
def test_each_kind_has_its_own_way_in(configuration: Any, auth: str | None) -> None:
    assert auth_of(configuration, only_said=False) == auth


def test_tls_files_are_sent_as_text(tmp_path: Path) -> None:
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).write_text(name)
    said = AciWebservice.deploy_configuration(ssl_enabled=True, ssl_cert_pem_file=tmp_path / "cert.pem", ssl_key_pem_file=tmp_path / "key.pem")
    assert tls_of(said) == {"tls_cert": "cert.pem", "tls_key": "key.pem"}
    assert tls_of(LocalWebservice.deploy_configuration()) == {}


@pytest.mark.parametrize("said", ["Churn Model", "churn_v2.pkl", "9lives", "a", "-", "x" * 50, "Ünïcode", "a--b-"])
def test_the_nearest_name_is_one(said: str) -> None:
    assert check_service_name(service_name_of(said)) == service_name_of(said)


def test_what_the_wire_does_not_take_is_a_sentence() -> None:
    with pytest.raises(UsageError, match=r"^primary_key must have 16 characters or more\.$"):
        NewService.of(name="churn", primary_key="short")


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: LocalWebservice.deploy_configuration(port=0), "port is 0"),
        (lambda: LocalWebservice.deploy_configuration(port=70000), "from 1 to 65535"),
        (lambda: AksWebservice.deploy_configuration(auth_enabled=True, token_auth_enabled=True), "exclude each other"),
        (lambda: AciWebservice.deploy_configuration(cpu_cores=-1), "above 0"),
        (lambda: AciWebservice.deploy_configuration(ssl_enabled=True), "sslCertificate"),
        (lambda: AksWebservice.deploy_configuration(namespace="n" * 64), "63"),
    ],
)
def test_configurations_refuse_what_makes_no_sense(call: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        call()
