"""A service with a certificate of its own, as an ACI configuration asks for it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from fairlead import AciWebservice, InferenceConfig, Model, Workspace
from fairlead.errors import Unavailable, UsageError

NEW = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out cert.pem"


@pytest.mark.needs("openssl")
def test_a_service_speaks_tls_and_is_trusted_by_its_certificate(ws: Workspace, echo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run(NEW.split(), cwd=tmp_path, check=True, capture_output=True)
    certificate, key = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")
    configuration = AciWebservice.deploy_configuration(ssl_enabled=True, ssl_cert_pem_file=certificate, ssl_key_pem_file=key, ssl_cname="localhost")
    service = Model.deploy(ws, "over-tls", [], InferenceConfig(entry_script=echo), configuration)
    service.wait_for_deployment()
    assert str(service.scoring_uri).startswith("https://")
    with pytest.raises(Unavailable, match="signed by nobody that this machine trusts; set SSL_CERT_FILE"):
        service.run({"x": 1})
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "nothing.pem"))
    with pytest.raises(UsageError, match="which cannot be read"):
        service.run({"x": 1})
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    assert service.run({"x": 1}) is not None
