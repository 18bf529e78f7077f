"""Who may: Basic and tokens against Debian's registry, and where credentials never go."""

from __future__ import annotations

import base64
import logging
import re
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fairlead.errors import Forbidden, Unauthenticated, Unavailable, UsageError
from fairlead.images.registry.connection import Connection
from fairlead.images.registry.credentials import Credentials
from fairlead.images.registry.references import parse_reference
from fairlead.images.registry.registry import Registry
from fairlead.stores.folder import FolderStore
from tests.containers import RegistryServer, running_registry
from tests.fairlead.images.registry import small_images as small
from tests.fairlead.images.registry.conftest import PAUSES, anonymous, login
from tests.fairlead.images.registry.faulty_registry import Fault, FaultyRegistry, faulty
from tests.fairlead.images.registry.token_server import IDENTITY_TOKEN, TokenServer, running_token_server

PASSWORD = "s3cret"
BCRYPT = "$2b$04$po/6fnphoV87o9t7ocyz7OqpSl7LNQyI672S6xvCCA.O6D12rgmZW"  # of the password


@pytest.fixture(scope="module")
def basic_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    folder = tmp_path_factory.mktemp("basic-registry")
    (folder / "htpasswd").write_text(f"ann:{BCRYPT}\n")
    with running_registry(folder, auth=f"auth:\n  htpasswd: {{realm: tests, path: '{folder / 'htpasswd'}'}}\n") as server:
        yield server


@pytest.fixture(scope="module")
def realm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    with running_token_server(tmp_path_factory.mktemp("realm")) as server:
        yield server


@pytest.fixture(scope="module")
def token_registry(tmp_path_factory: pytest.TempPathFactory, realm: TokenServer) -> Iterator[RegistryServer]:
    with running_registry(tmp_path_factory.mktemp("token-registry"), auth=realm.yaml()) as server:
        yield server


@pytest.fixture
def proxied(open_registry: RegistryServer) -> Iterator[FaultyRegistry]:
    with faulty(open_registry.host) as proxy:
        yield proxy


def round_trip(client: Registry, store: FolderStore, other_store: FolderStore, where: str) -> None:
    manifest = small.image(store, small.layer({"a": small.noise(2000)}))
    client.push(store, manifest, f"{where}:1")
    assert client.pull(f"{where}:1", other_store) == manifest
    assert client.tags(where) == ["1"]


def test_basic(basic_registry: RegistryServer, store: FolderStore, other_store: FolderStore, name: str) -> None:
    with login("ann", PASSWORD) as client:
        round_trip(client, store, other_store, f"{basic_registry.host}/{name}")


@pytest.mark.parametrize("user", ["ann", "bob"])
def test_a_wrong_password_is_said_without_it(basic_registry: RegistryServer, name: str, user: str) -> None:
    with login(user, "wr0ng") as client, pytest.raises(Unauthenticated, match=f"does not accept the credentials of {user}") as error:
        client.resolve(f"{basic_registry.host}/{name}:1")
    assert "wr0ng" not in str(error.value)


def test_nobody_is_told_how_to_log_in(basic_registry: RegistryServer, name: str) -> None:
    with anonymous() as client, pytest.raises(Unauthenticated, match=f"docker login {basic_registry.host}"):
        client.resolve(f"{basic_registry.host}/{name}:1")


def test_tokens(token_registry: RegistryServer, realm: TokenServer, store: FolderStore, other_store: FolderStore, name: str) -> None:
    """Docker's registry itself verifies the signature and the scope of each."""
    realm.asked.clear()
    with login("writer", PASSWORD) as client:
        round_trip(client, store, other_store, f"{token_registry.host}/{name}")
    scopes = [scopes for _, _, scopes in realm.asked]
    assert scopes == [(f"repository:{name}:pull,push",), (f"repository:{name}:pull",)]  # one each, however many requests


def test_a_token_near_its_end_is_renewed(
    token_registry: RegistryServer, realm: TokenServer, store: FolderStore, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    realm.asked.clear()
    monkeypatch.setattr(realm, "life", 0.0001)
    with login("writer", PASSWORD) as client:
        client.push(store, small.image(store, small.layer({"a": b"a"})), f"{token_registry.host}/{name}:1")
    assert len(realm.asked) > 3


def test_an_identity_token_is_exchanged(token_registry: RegistryServer, realm: TokenServer, store: FolderStore, other_store: FolderStore, name: str) -> None:
    realm.asked.clear()
    with login(identity_token=IDENTITY_TOKEN) as client:
        round_trip(client, store, other_store, f"{token_registry.host}/{name}")
    assert {method for method, _, _ in realm.asked} == {"POST"}
    with login(identity_token="0ther") as client, pytest.raises(Unauthenticated) as error:
        client.tags(f"{token_registry.host}/{name}")
    assert "0ther" not in str(error.value)


def test_who_may_read_may_not_write(token_registry: RegistryServer, store: FolderStore, other_store: FolderStore, name: str) -> None:
    manifest = small.image(store, small.layer({"a": b"a"}))
    where = f"{token_registry.host}/{name}:1"
    with login("writer", PASSWORD) as client:
        client.push(store, manifest, where)
    with login("reader", PASSWORD) as client:
        assert client.pull(where, other_store) == manifest
        with pytest.raises(Forbidden, match="knows reader and does not allow this"):
            client.push(store, small.image(store, small.layer({"b": b"b"})), where)
    with anonymous() as client:
        assert client.resolve(where) == manifest  # a token for nobody
        with pytest.raises(Unauthenticated, match="docker login"):
            client.push(store, small.image(store, small.layer({"c": b"c"})), where)


def test_blobs_are_mounted_with_a_token_for_both(token_registry: RegistryServer, store: FolderStore, name: str) -> None:
    manifest = small.image(store, small.layer({"a": small.noise(4000)}))
    with login("writer", PASSWORD) as client:
        client.push(store, manifest, f"{token_registry.host}/{name}/a:1")
        pushed = client.push(store, manifest, f"{token_registry.host}/{name}/b:1", sources=[f"{token_registry.host}/{name}/a:1"])
    assert (len(pushed.mounted), pushed.sent_bytes) == (2, manifest.size)


@pytest.fixture
def redirecting(basic_registry: RegistryServer, proxied: FaultyRegistry) -> Iterator[FaultyRegistry]:
    """It knows ann, and keeps its blobs on another host, as registries do that have object storage."""
    with faulty(basic_registry.host) as front:
        front.faults.append(Fault(method="GET", path="/blobs/", times=99, redirect_to=proxied.host))
        yield front


def test_a_redirect_to_another_host_carries_no_authorization(
    redirecting: FaultyRegistry, proxied: FaultyRegistry, store: FolderStore, other_store: FolderStore, name: str
) -> None:
    manifest = small.image(store, small.layer({"a": small.noise(4000)}))
    with anonymous() as client:
        client.push(store, manifest, f"{proxied.host}/{name}:1")
    proxied.seen.clear()
    with login("ann", PASSWORD) as client:
        client.push(store, manifest, f"{redirecting.host}/{name}:1")
        assert client.pull(f"{redirecting.host}/{name}:1", other_store) == manifest
    assert redirecting.seen[-1].headers["authorization"].startswith("Basic ")
    assert len(proxied.seen) == 2
    assert all("authorization" not in each.headers for each in proxied.seen)


def test_another_host_that_asks_for_a_login_gets_none(
    redirecting: FaultyRegistry, proxied: FaultyRegistry, store: FolderStore, other_store: FolderStore, name: str
) -> None:
    proxied.faults.append(Fault(method="GET", path="/blobs/", times=99, status=401, headers={"www-authenticate": "Basic realm=x"}))
    with login("ann", PASSWORD) as client:
        client.push(store, small.image(store, small.layer({"a": b"a"})), f"{redirecting.host}/{name}:1")
        with pytest.raises(Unauthenticated):
            client.pull(f"{redirecting.host}/{name}:1", other_store)
    assert proxied.seen
    assert all("authorization" not in each.headers for each in proxied.seen)


def test_a_realm_that_is_not_safe_gets_no_credentials(proxied: FaultyRegistry, name: str) -> None:
    challenge = {"www-authenticate": 'Bearer realm="http://192.0.2.1/token",service="x"'}
    proxied.faults.append(Fault(method="GET", path="/manifests/", times=9, status=401, headers=challenge))
    with login("ann", PASSWORD) as client, pytest.raises(UsageError, match=r"192\.0\.2\.1, which is not safe"):
        client.resolve(f"{proxied.host}/{name}:1")


def test_a_redirect_to_what_is_not_safe_is_not_followed(proxied: FaultyRegistry, name: str) -> None:
    proxied.faults.append(Fault(method="GET", path="/manifests/", status=307, headers={"location": "http://192.0.2.1/x"}))
    with anonymous() as client, pytest.raises(UsageError, match="not safe"):
        client.resolve(f"{proxied.host}/{name}:1")


def test_credentials_wait_until_they_are_asked_for(proxied: FaultyRegistry, store: FolderStore, name: str) -> None:
    with login("ann", PASSWORD) as client:
        client.push(store, small.image(store, small.layer({"a": b"a"})), f"{proxied.host}/{name}:1")
    assert all("authorization" not in each.headers for each in proxied.seen)


@pytest.mark.parametrize("challenge", ["", "Negotiate", "Bearer service=x"])
def test_an_unknown_kind_of_login_is_said(proxied: FaultyRegistry, name: str, challenge: str) -> None:
    proxied.faults.append(Fault(method="GET", path="/manifests/", status=401, headers={"www-authenticate": challenge}))
    with login("ann", PASSWORD) as client, pytest.raises(Unauthenticated, match="Basic and Bearer are known"):
        client.resolve(f"{proxied.host}/{name}:1")


def test_no_log_has_a_secret(
    basic_registry: RegistryServer, token_registry: RegistryServer, realm: TokenServer, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for host in (basic_registry.host, token_registry.host):
        for user in ("ann", "writer"):
            with login(user, PASSWORD) as client:
                try:
                    client.tags(f"{host}/{name}")
                except Unauthenticated:
                    continue
    secrets = [PASSWORD, base64.b64encode(f"ann:{PASSWORD}".encode()).decode(), base64.b64encode(f"writer:{PASSWORD}".encode()).decode(), *realm.issued]
    assert caplog.text
    assert not re.search("|".join(map(re.escape, secrets)), caplog.text)


@pytest.mark.parametrize("host", ["127.0.0.1:5000", "127.8.8.8", "[::1]:5000", "localhost"])
def test_this_machine_may_do_without_tls(host: str) -> None:
    with Connection(parse_reference(f"{host}/app")) as connection:
        assert connection.may_be_plain


@pytest.mark.parametrize("host", ["10.0.0.1:5000", "registry.example.org", "localhost.example.org", "127.0.0.1.example.org", "docker.io"])
def test_tls_is_the_rule_elsewhere(host: str) -> None:
    with Connection(parse_reference(f"{host}/app")) as connection:
        assert connection.origin.scheme == "https"
    with Connection(parse_reference(f"{host}/app"), insecure=True) as connection:
        assert connection.may_be_plain


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that is its own authority, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(subject_name=name, issuer_name=name, public_key=key.public_key(), serial_number=1)
    builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(hours=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
    certificate = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(key, hashes.SHA256())
    path = tmp_path_factory.mktemp("authority") / "both.pem"
    plain = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + plain)
    return path


@pytest.fixture
def secure(basic_registry: RegistryServer, authority: Path) -> Iterator[FaultyRegistry]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority)
    with faulty(basic_registry.host, context) as front:
        yield front


def test_tls_of_this_machine(secure: FaultyRegistry, authority: Path, store: FolderStore, other_store: FolderStore, name: str) -> None:
    with Registry(lambda _: Credentials(user="ann", password=PASSWORD), trust=authority, pauses=PAUSES) as client:
        round_trip(client, store, other_store, f"{secure.host}/{name}")


def test_the_environment_says_whom_to_trust(secure: FaultyRegistry, authority: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with login("ann", PASSWORD) as client, pytest.raises(Unavailable, match=r"not trusted here .* set SSL_CERT_FILE"):
        client.tags(f"{secure.host}/{name}")
    assert not secure.seen
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    with login("ann", PASSWORD) as client:
        assert client.tags(f"{secure.host}/{name}") == []


def test_a_registry_behind_tls_cannot_send_us_out_of_it(secure: FaultyRegistry, proxied: FaultyRegistry, authority: Path, name: str) -> None:
    """Not even to this machine, where plain HTTP would do otherwise."""
    secure.faults.append(Fault(method="GET", path="/manifests/", redirect_to=proxied.host))
    with Registry(lambda _: None, trust=authority, pauses=PAUSES) as client, pytest.raises(UsageError, match="not safe"):
        client.resolve(f"{secure.host}/{name}:1")
    challenge = {"www-authenticate": f'Bearer realm="http://{proxied.host}/token",service="x"'}
    secure.faults.append(Fault(method="GET", path="/manifests/", status=401, headers=challenge))
    with Registry(lambda _: Credentials(user="ann", password=PASSWORD), trust=authority, pauses=PAUSES) as client, pytest.raises(UsageError, match="not safe"):
        client.resolve(f"{secure.host}/{name}:1")
    assert not proxied.seen
