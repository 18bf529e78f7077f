"""Signatures: OpenSSL accepts ours, we accept OpenSSL's, and nobody else's pass. (skopeo could, but Debian builds it without.)"""

from __future__ import annotations

import base64
import json
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from fairlead.errors import Forbidden, NotFound, UsageError
from fairlead.images.registry.documents import load_document
from fairlead.images.registry.references import Reference, parse_reference
from fairlead.images.registry.registry import Registry
from fairlead.images.secret_box import seal, unseal
from fairlead.images.signing import PAYLOAD, SIGNATURE, Signature, is_signed_by, push_signature, sign, signature_place, verify, write_signatures
from fairlead.images.signing_keys import KeyPair, find_password, generate_key_pair, load_private_key, load_public_key
from fairlead.images.types import CONFIG, MANIFEST
from fairlead.stores.folder import FolderStore
from tests.containers import RegistryServer, running_registry
from tests.fairlead.images.registry import small_images as small

DIGEST = "ab" * 32


@pytest.fixture(scope="module")
def registry_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    with running_registry(tmp_path_factory.mktemp("registry")) as server:
        yield server


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "store")


@pytest.fixture
def client() -> Iterator[Registry]:
    with Registry(lambda _: None, pauses=(0.01,)) as registry:
        yield registry


@pytest.fixture
def pushed(registry_server: RegistryServer, client: Registry, store: FolderStore) -> Reference:
    """An image in the registry, by digest."""
    manifest = small.image(store, small.layer({"a": b"a"}))
    return client.push(store, manifest, f"{registry_server.host}/signed/{uuid.uuid4().hex[:12]}:1").reference


@pytest.fixture(scope="module")
def keys() -> KeyPair:
    return generate_key_pair()


def signed(reference: Reference, keys: KeyPair, **claims: str) -> Signature:
    return sign(reference.name, str(reference.digest), load_private_key(keys.private), claims)


@pytest.mark.needs("openssl")
def test_openssl_accepts_the_signature_in_the_registry(client: Registry, store: FolderStore, pushed: Reference, keys: KeyPair, tmp_path: Path) -> None:
    place = push_signature(client, pushed, store, signed(pushed, keys))
    assert str(place) == f"{pushed.name}:sha256-{pushed.digest}.sig"
    said = client.fetch(place).said
    (layer,) = said["layers"]
    assert layer["mediaType"] == PAYLOAD
    with store.open(layer["digest"].removeprefix("sha256:")) as stream:
        (tmp_path / "payload").write_bytes(stream.read())
    (tmp_path / "signature").write_bytes(base64.b64decode(layer["annotations"][SIGNATURE]))
    (tmp_path / "key.pub").write_bytes(keys.public)
    check = ["openssl", "dgst", "-sha256", "-verify", "key.pub", "-signature", "signature", "payload"]
    assert subprocess.run(check, cwd=tmp_path, check=True, capture_output=True, text=True).stdout == "Verified OK\n"
    payload = json.loads((tmp_path / "payload").read_bytes())
    assert payload == {
        "critical": {
            "identity": {"docker-reference": pushed.name},
            "image": {"docker-manifest-digest": f"sha256:{pushed.digest}"},
            "type": "cosign container image signature",
        },
        "optional": None,
    }


def test_the_key_that_signed_is_accepted_and_no_other(client: Registry, store: FolderStore, pushed: Reference, keys: KeyPair) -> None:
    public, other = load_public_key(keys.public), generate_key_pair()
    with pytest.raises(NotFound, match="is not signed"):
        verify(client, pushed, store, public)
    push_signature(client, pushed, store, signed(pushed, other))
    with pytest.raises(Forbidden, match="not by the key"):
        verify(client, pushed, store, public)
    push_signature(client, pushed, store, signed(pushed, keys, commit="abc"))
    found = verify(client, pushed, store, public)
    assert json.loads(found.payload)["optional"] == {"commit": "abc"}
    assert verify(client, pushed, store, load_public_key(other.public)) != found  # the first signature has stayed


def test_signatures_of_one_payload_by_several_keys_all_stay(client: Registry, store: FolderStore, pushed: Reference) -> None:
    """What is signed is the same text for each key, so the registry has one blob for all of them."""
    several = [generate_key_pair() for _ in range(3)]
    for each in several:
        push_signature(client, pushed, store, signed(pushed, each))
    assert {verify(client, pushed, store, load_public_key(each.public)).payload for each in several} == {signed(pushed, several[0]).payload}


def test_a_signature_is_of_one_digest_only(keys: KeyPair) -> None:
    public, key = load_public_key(keys.public), load_private_key(keys.private)
    signature = sign("host.example/app", DIGEST, key)
    assert is_signed_by(signature, DIGEST, public)
    assert not is_signed_by(signature, "cd" * 32, public)
    assert not is_signed_by(replace(signature, payload=signature.payload.replace(b"ab", b"cd")), "cd" * 32, public)
    assert not is_signed_by(replace(signature, value=signature.value[:-4] + "AAAA"), DIGEST, public)
    assert not is_signed_by(replace(signature, value="not base64"), DIGEST, public)


@pytest.mark.parametrize(
    "payload",
    [
        b"[]",
        b"{}",
        b"not json",
        json.dumps({"critical": {"type": "atomic container signature", "image": {"docker-manifest-digest": f"sha256:{DIGEST}"}}}).encode(),
    ],
)
def test_a_signed_payload_of_another_kind_is_not_accepted(keys: KeyPair, payload: bytes) -> None:
    value = load_private_key(keys.private).sign(payload, ec.ECDSA(hashes.SHA256()))
    assert not is_signed_by(Signature(payload=payload, value=base64.b64encode(value).decode()), DIGEST, load_public_key(keys.public))


def test_a_signature_moved_to_another_image_is_refused(client: Registry, store: FolderStore, pushed: Reference, keys: KeyPair) -> None:
    """The registry, or who writes to it, can put any manifest under the tag."""
    other = client.push(store, small.image(store, small.layer({"b": b"b"})), f"{pushed.name}:2").reference
    client.push(store, write_signatures(store, [signed(pushed, keys)]), signature_place(other))
    with pytest.raises(Forbidden):
        verify(client, other, store, load_public_key(keys.public))


def test_tags_are_not_signed(client: Registry, store: FolderStore, keys: KeyPair) -> None:
    with pytest.raises(UsageError, match="resolve it first"):
        verify(client, parse_reference("127.0.0.1:1/app:1"), store, load_public_key(keys.public))


@pytest.mark.needs("openssl")
def test_we_accept_what_openssl_signs(client: Registry, store: FolderStore, pushed: Reference, keys: KeyPair, tmp_path: Path) -> None:
    """A payload as cosign writes it: other spaces and another order than ours, and claims that we do not know."""
    said = {
        "optional": {"creator": "somebody", "timestamp": 1458239713},
        "critical": {
            "type": "cosign container image signature",
            "image": {"docker-manifest-digest": f"sha256:{pushed.digest}"},
            "identity": {"docker-reference": "another/name"},
        },
    }
    (tmp_path / "payload").write_text(json.dumps(said, indent=4))
    (tmp_path / "key").write_bytes(keys.private)
    value = subprocess.run(["openssl", "dgst", "-sha256", "-sign", "key", "payload"], cwd=tmp_path, check=True, capture_output=True).stdout
    payload = small.put(store, PAYLOAD, (tmp_path / "payload").read_bytes())
    layer = {**small.wire(payload), "annotations": {SIGNATURE: base64.b64encode(value).decode(), "dev.sigstore.cosign/bundle": "{}"}}
    config = small.put(store, CONFIG, b'{"rootfs": {"type": "layers", "diff_ids": []}}')
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": small.wire(config), "layers": [layer]}
    client.push(store, small.put(store, MANIFEST, json.dumps(manifest).encode()), signature_place(pushed))
    assert verify(client, pushed, store, load_public_key(keys.public)).payload == (tmp_path / "payload").read_bytes()


@pytest.mark.parametrize("password", [None, b"", b"pass word"])
def test_a_pair_is_read_again(password: bytes | None) -> None:
    pair = generate_key_pair(password)
    assert load_private_key(pair.private, password).public_key() == load_public_key(pair.public)
    assert (b"BEGIN PRIVATE KEY" if password is None else b"BEGIN ENCRYPTED SIGSTORE PRIVATE KEY") in pair.private
    assert "PRIVATE" not in repr(pair)


@pytest.mark.needs("openssl")
def test_keys_of_openssl_are_read(tmp_path: Path) -> None:
    def openssl(*args: str) -> bytes:
        return subprocess.run(["openssl", *args], cwd=tmp_path, check=True, capture_output=True).stdout

    plain = openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout")
    (tmp_path / "plain").write_bytes(plain)
    encrypted = openssl("pkcs8", "-topk8", "-in", "plain", "-passout", "pass:word")
    assert load_private_key(plain).private_numbers() == load_private_key(encrypted, b"word").private_numbers()
    with pytest.raises(UsageError, match="COSIGN_PASSWORD"):
        load_private_key(encrypted, b"other")
    with pytest.raises(UsageError, match="another kind"):
        load_private_key(openssl("ecparam", "-name", "secp384r1", "-genkey", "-noout"))


def test_a_key_that_cannot_be_opened_is_said() -> None:
    pair = generate_key_pair(b"pass word")
    for password in (None, b"", b"other"):
        with pytest.raises(UsageError, match="COSIGN_PASSWORD"):
            load_private_key(pair.private, password)
    greedy = base64.b64encode(b'{"kdf":{"name":"scrypt","params":{"N":1073741824,"r":8,"p":1},"salt":""},"cipher":{"name":"nacl/secretbox"}}').decode()
    label = "ENCRYPTED SIGSTORE PRIVATE KEY"
    for pem in (b"", b"nonsense", f"-----BEGIN {label}-----\n{greedy}\n-----END {label}-----\n".encode(), pair.public):
        with pytest.raises(UsageError):
            load_private_key(pem, b"pass word")
    with pytest.raises(UsageError, match="BEGIN PUBLIC KEY"):
        load_public_key(pair.private)
    assert find_password({"COSIGN_PASSWORD": ""}) == b""
    assert find_password({}) is None


def test_the_box_is_that_of_nacl() -> None:
    """The example of «Cryptography in NaCl»."""
    key = bytes.fromhex("1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389")
    nonce = bytes.fromhex("69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37")
    message = bytes.fromhex(
        "be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffce5ecbaaf33bd751a1ac728d45e6c61296cdc3c01233561f41db66cce314adb31"
        "0e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a024a838f21af1fde048977eb48f59ffd4924ca1c60902e52f0a089bc76897040e082f93776384864"
        "5e0705"
    )
    box = bytes.fromhex(
        "f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce48332ea7164d96a4476fb8c531a1186ac0dfc17c98dce87b4da7f011ec48c972"
        "71d2c20f9b928fe2270d6fb863d51738b48eeee314a7cc8ab932164548e526ae90224368517acfeabd6bb3732bc0e9da99832b61ca01b6de56244a9e88d5f9b3"
        "7973f622a43d14a6599b1f654cb45a74e355a5"
    )
    assert seal(message, nonce, key) == box
    assert unseal(box, nonce, key) == message
    with pytest.raises(ValueError, match="another key"):
        unseal(box[:-1] + bytes([box[-1] ^ 1]), nonce, key)


def test_the_manifest_is_one_that_registries_take(store: FolderStore, keys: KeyPair) -> None:
    signature = sign("host.example/app", DIGEST, load_private_key(keys.private))
    document = load_document(store, write_signatures(store, [signature, signature]))
    assert len(document.blobs) == 2  # a configuration and a payload
    assert [each["annotations"][SIGNATURE] for each in document.said["layers"]] == [signature.value] * 2
