"""An engine behind TLS: its certificate is held against ca.pem alone, ours is asked for, and what does not fit is said in words."""

from __future__ import annotations

import json
import ssl
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from fairlead.errors import Unavailable
from fairlead.targets.docker import Engine, faults
from fairlead.targets.docker.address import Address


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        content = json.dumps({"ApiVersion": "1.41", "Version": "20.10.24"}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing."""


def make_certificates(folder: Path) -> Path:
    """ca.pem, cert.pem and key.pem: one certificate that is its own authority, for this machine."""
    folder.mkdir()
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=engine", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*words, "-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")], check=True, capture_output=True)
    (folder / "ca.pem").write_bytes((folder / "cert.pem").read_bytes())
    return folder


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    return make_certificates(tmp_path / "good")


@pytest.fixture
def secure_engine(certificates: Path) -> Iterator[str]:
    """Its address; it lets in whom its authority has signed, and knows nothing but its version."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
    context.load_verify_locations(certificates / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as server:
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # handshakes that end are what is tested
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"tcp://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_authorities_that_the_environment_names_for_other_hosts_do_not_count(
    secure_engine: str, certificates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_certificates(tmp_path / "other")
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(variable, str(other / "ca.pem"))
    Engine(Address(url=secure_engine, certificates=certificates)).check()
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, str(certificates / "ca.pem"))
    (other / "cert.pem").write_bytes((certificates / "cert.pem").read_bytes())
    (other / "key.pem").write_bytes((certificates / "key.pem").read_bytes())
    with pytest.raises(Unavailable, match="do not trust each other's certificates"):
        Engine(Address(url=secure_engine, certificates=other)).check()


def test_an_engine_that_refuses_our_certificate_is_not_told_to_start() -> None:
    error = faults.unreachable("tcp://h:2376", OSError("[SSL: SSLV3_ALERT_BAD_CERTIFICATE] sslv3 alert bad certificate (_ssl.c:2580)"))
    assert "(sslv3 alert bad certificate)" in str(error)
    assert "DOCKER_CERT_PATH must be of the authority" in str(error)
    assert "start it" not in str(error)


def test_a_file_that_is_missing_is_named(secure_engine: str, certificates: Path) -> None:
    (certificates / "key.pem").unlink()
    with pytest.raises(Unavailable, match=r"no file key\.pem in .*DOCKER_CERT_PATH"):
        Engine(Address(url=secure_engine, certificates=certificates)).check()
