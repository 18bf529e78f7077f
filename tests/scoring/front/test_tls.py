"""TLS from PEM files: versions, renewal without a restart, and what goes wrong at the start."""

from __future__ import annotations

import http.client
import json
import ssl
import subprocess
from pathlib import Path

import pytest

from tests.live import Launcher, Reply, Service, free_port, read_reply
from tests.scoring.front.conftest import BEHAVING
from tests.waiting import until

pytestmark = pytest.mark.needs("openssl")


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """Self-signed, for localhost, with `name` as its organisation."""
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    subject = f"/O={name}/CN=localhost"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", subject]
    subprocess.run([*made, "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", cert], check=True, capture_output=True)
    return cert, key


class Secure:
    """A service behind TLS; `metrics_port` speaks plain HTTP."""

    def __init__(self, launch: Launcher, folder: Path) -> None:
        (folder / "score.py").write_text(BEHAVING)
        self.cert, self.key = folder / "tls.pem", folder / "tls.key"
        self.use(*certificate(folder, "first"))
        self.metrics_port = free_port()
        options: list[str | Path] = ["--entry-script", folder / "score.py", "--app-root", folder, "--tls-cert", self.cert, "--tls-key", self.key]
        self.service: Service = launch(*options, "--metrics-port", str(self.metrics_port), "--max-body", "3000000", ready=False)
        until(self._is_ready, "the service to be ready")

    def use(self, cert: Path, key: Path) -> None:
        for source, target in ((cert, self.cert), (key, self.key)):
            target.with_suffix(".new").write_bytes(source.read_bytes())
            target.with_suffix(".new").replace(target)

    def connect(self, highest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> http.client.HTTPSConnection:
        context = ssl.create_default_context(cafile=self.cert)
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.maximum_version = highest
        return http.client.HTTPSConnection("localhost", self.service.port, timeout=20, context=context)

    def post(self, body: bytes) -> Reply:
        connection = self.connect()
        try:
            connection.request("POST", "/score", body)
            return read_reply(connection)
        finally:
            connection.close()

    def organisation(self) -> str:
        connection = self.connect()
        connection.connect()
        told = connection.sock.getpeercert() or {}
        connection.close()
        return str(dict(pair[0] for pair in told["subject"])["organizationName"])  # type: ignore[misc]

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.metrics_port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            return read_reply(connection).status == 200
        except OSError:
            return False
        finally:
            connection.close()


@pytest.fixture(scope="module")
def secure(launch: Launcher, tmp_path_factory: pytest.TempPathFactory) -> Secure:
    return Secure(launch, tmp_path_factory.mktemp("secure"))


def test_scoring_over_tls_with_small_and_large_bodies(secure: Secure) -> None:
    assert secure.post(b'{"tag": 1}').json()["tag"] == 1
    assert secure.post(b"a" * 2_500_000).json()["size"] == 2_500_000
    large = secure.post(json.dumps({"do": "large", "size": 2_500_000}).encode())
    assert len(large.json()) == 2_500_000


def test_a_stream_and_a_kept_connection_over_tls(secure: Secure) -> None:
    connection = secure.connect()
    for _ in range(3):
        connection.request("POST", "/score", json.dumps({"do": "stream", "chunks": 500}))
        assert len(read_reply(connection).body) == 4000
    connection.close()


def test_413_is_seen_over_tls(secure: Secure) -> None:
    reply = secure.post(b"a" * 10_000_000)
    assert reply.status == 413


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_current_versions_are_spoken(secure: Secure, version: ssl.TLSVersion) -> None:
    connection = secure.connect(version)
    connection.connect()
    assert connection.sock.version() == version.name.replace("_", ".")
    connection.close()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
def test_older_ones_are_not(secure: Secure) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError)):
        secure.connect(ssl.TLSVersion.TLSv1_1).connect()


def test_plain_http_on_the_tls_port_gets_nothing(secure: Secure) -> None:
    with pytest.raises((http.client.HTTPException, OSError)):
        secure.service.get("/version")


def test_the_metrics_port_is_plain_and_has_health_and_metrics_only(secure: Secure) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", secure.metrics_port, timeout=10)
    answers = {}
    for path in ("/metrics", "/", "/livez", "/score", "/status", "/docs"):
        connection.request("GET", path)
        answers[path] = read_reply(connection).status
    connection.close()
    assert answers == {"/metrics": 200, "/": 200, "/livez": 200, "/score": 404, "/status": 404, "/docs": 404}


def test_a_renewed_certificate_is_taken_without_a_restart_and_a_broken_one_is_not(secure: Secure, tmp_path: Path) -> None:
    kept = secure.connect()
    kept.request("GET", "/version")
    assert read_reply(kept).status == 200
    old_cert, old_key = secure.cert.read_bytes(), secure.key.read_bytes()
    (_, other_key), renewed = certificate(tmp_path, "other"), certificate(tmp_path, "second")
    secure.key.write_bytes(other_key.read_bytes())
    secure.service.wait_log("The old certificate stays in use")
    assert secure.organisation() == "first", "a key that does not match harms nobody"
    secure.key.write_bytes(old_key)
    secure.cert.write_bytes(old_cert)
    secure.use(*renewed)
    until(lambda: _organisation(secure) == "second", "the new certificate")
    kept.request("GET", "/version")
    assert read_reply(kept).status == 200, "connections outlive the certificate"
    kept.close()


def _organisation(secure: Secure) -> str:
    try:
        return secure.organisation()
    except ssl.SSLError:
        return ""  # the old certificate, which the new one does not vouch for


@pytest.mark.parametrize("wrong", ["another key", "no certificate", "no file"])
def test_a_certificate_that_cannot_be_used_ends_the_start_with_its_reason(launch: Launcher, tmp_path: Path, wrong: str) -> None:
    (tmp_path / "score.py").write_text(BEHAVING)
    cert, key = certificate(tmp_path, "a")
    if wrong == "another key":
        key = certificate(tmp_path, "b")[1]
    elif wrong == "no certificate":
        cert.write_text("nonsense")
    else:
        cert.unlink()
    service = launch("--entry-script", tmp_path / "score.py", "--app-root", tmp_path, "--tls-cert", cert, "--tls-key", key, ready=False)
    assert service.wait_exit(30) == 3
    said = service.log.read_text()
    assert f"{cert} cannot be used" in said
    assert "Traceback" not in said
