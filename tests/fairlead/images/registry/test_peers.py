"""Against Debian's registry, with skopeo and Docker as peers: what one pushes, the other pulls, byte for byte."""

from __future__ import annotations

import io
import json
import subprocess
import uuid
from pathlib import Path

import pytest

from fairlead.errors import BlobNotFound, NotFound, UsageError
from fairlead.images.registry.documents import load_document
from fairlead.images.registry.registry import Registry
from fairlead.images.types import INDEX, Descriptor
from fairlead.stores.folder import FolderStore
from tests.containers import RegistryServer, require_engine
from tests.cutting import cutting
from tests.fairlead.images.registry import small_images as small
from tests.fairlead.images.registry.conftest import PAUSES

TEN_MB = 10 * 1000 * 1000


def skopeo(*args: str | Path) -> str:
    return subprocess.run(["skopeo", *map(str, args)], check=True, capture_output=True, text=True).stdout


def two_layers(store: FolderStore, **how: str | bool) -> Descriptor:
    return small.image(store, small.layer({"a.txt": b"a"}), small.layer({"b.bin": small.noise(3000)}), **how)  # type: ignore[arg-type]


@pytest.mark.needs("skopeo")
@pytest.mark.parametrize("docker", [False, True])
def test_skopeo_pulls_what_we_push(where: str, client: Registry, store: FolderStore, tmp_path: Path, docker: bool) -> None:
    manifest = two_layers(store, docker=docker)
    pushed = client.push(store, manifest, f"{where}:1")
    assert str(pushed.reference) == f"{where}@sha256:{manifest.digest}"
    assert json.loads(skopeo("inspect", "--tls-verify=false", f"docker://{where}:1"))["Digest"] == f"sha256:{manifest.digest}"
    skopeo("copy", "--src-tls-verify=false", f"docker://{where}:1", f"dir:{tmp_path / 'dir'}")
    for blob in load_document(store, manifest).blobs:
        with store.open(blob.digest) as kept:
            assert (tmp_path / "dir" / blob.digest).read_bytes() == kept.read()
    with store.open(manifest.digest) as kept:
        assert (tmp_path / "dir" / "manifest.json").read_bytes() == kept.read()


@pytest.mark.needs("skopeo")
@pytest.mark.parametrize("docker", [False, True])
def test_we_pull_what_skopeo_pushed(where: str, client: Registry, store: FolderStore, other_store: FolderStore, tmp_path: Path, docker: bool) -> None:
    manifest = two_layers(store, docker=docker)
    client.push(store, manifest, f"{where}-made:1")
    folder = f"{'dir' if docker else 'oci'}:{tmp_path / 'folder'}"
    skopeo("copy", "--src-tls-verify=false", f"docker://{where}-made:1", folder)
    skopeo("copy", "--dest-tls-verify=false", folder, f"docker://{where}:1")
    assert client.pull(f"{where}:1", other_store, ["linux/amd64"]) == manifest
    assert small.digests(other_store) == small.digests(store)


@pytest.mark.needs("skopeo")
def test_an_index_goes_both_ways(where: str, client: Registry, store: FolderStore, other_store: FolderStore, tmp_path: Path) -> None:
    amd, arm = two_layers(store), two_layers(store, architecture="arm64")
    top = small.index(store, amd64=amd, arm64=arm)
    client.push(store, top, f"{where}:1")
    skopeo("copy", "--all", "--src-tls-verify=false", f"docker://{where}:1", f"oci:{tmp_path / 'oci'}:1")
    assert small.layout_digests(tmp_path / "oci") == small.digests(store)
    skopeo("copy", "--all", "--dest-tls-verify=false", f"oci:{tmp_path / 'oci'}:1", f"docker://{where}:2")
    found = client.pull(f"{where}:2", other_store)
    assert (found.digest, found.media_type, found.size) == (top.digest, INDEX, top.size)
    assert small.digests(other_store) == small.digests(store)


def test_of_an_index_only_the_platforms_that_were_asked_for_come(where: str, client: Registry, store: FolderStore, other_store: FolderStore) -> None:
    amd, arm = two_layers(store), two_layers(store, architecture="arm64")
    top = small.index(store, amd64=amd, arm64=arm)
    tagged = f"{where}:1"
    client.push(store, top, tagged)
    assert client.pull(tagged, other_store, ["linux/arm64/v8"]).digest == top.digest
    wanted = {top.digest, arm.digest, *(each.digest for each in load_document(store, arm).blobs)}
    assert set(small.digests(other_store)) == wanted
    assert client.resolve(tagged, "linux/amd64").digest == amd.digest
    assert client.resolve(tagged).digest == top.digest
    with pytest.raises(NotFound, match="it has linux/amd64, linux/arm64"):
        client.resolve(tagged, "linux/s390x")
    with pytest.raises(BlobNotFound):
        client.push(other_store, top, f"{tagged}-again")


def test_a_lone_manifest_must_be_for_the_platform(where: str, client: Registry, store: FolderStore) -> None:
    client.push(store, two_layers(store, architecture="arm64"), f"{where}:1")
    with pytest.raises(NotFound, match="it is for linux/arm64"):
        client.pull(f"{where}:1", store, ["linux/amd64"])


def test_docker_pulls_what_we_push(where: str, client: Registry, store: FolderStore) -> None:
    require_engine()
    manifest = two_layers(store)
    tagged = f"{where}:1"
    client.push(store, manifest, tagged)
    try:
        said = subprocess.run(["docker", "pull", tagged], check=True, capture_output=True, text=True).stdout
        found = json.loads(subprocess.run(["docker", "image", "inspect", tagged], check=True, capture_output=True, text=True).stdout)[0]
    finally:
        subprocess.run(["docker", "image", "rm", "-f", tagged], check=False, capture_output=True)
    assert f"sha256:{manifest.digest}" in said
    assert found["Id"] == f"sha256:{load_document(store, manifest).blobs[0].digest}"


def test_a_second_push_sends_nothing(where: str, client: Registry, store: FolderStore) -> None:
    manifest = two_layers(store)
    first = client.push(store, manifest, f"{where}:1")
    assert (set(first.sent), first.skipped, first.mounted) == (set(small.digests(store)), (), ())
    assert first.sent_bytes == sum(small.digests(store).values())
    again = client.push(store, manifest, f"{where}:1")
    assert (again.sent, again.sent_bytes, set(again.skipped)) == ((), 0, set(first.sent))


def test_a_swapped_model_sends_the_model_and_little_more(open_registry: RegistryServer, store: FolderStore, name: str, where: str) -> None:
    """Counted where the bytes pass: headers, manifests and repeated questions included."""
    base = [small.layer({f"lib/{number}": small.noise(200_000)}) for number in range(8)]
    with cutting(f"http://{open_registry.host}") as wire:
        behind = f"{wire.url.removeprefix('http://')}/{name}"
        with Registry(lambda _: None, pauses=PAUSES) as client:
            client.push(store, small.image(store, *base, small.layer({"model": small.noise(TEN_MB)})), f"{behind}:1")
        before = wire.carried["up"]
        swapped = small.layer({"model": small.noise(TEN_MB)})
        second = small.image(store, *base, swapped)
        with Registry(lambda _: None, pauses=PAUSES) as client:
            pushed = client.push(store, second, f"{behind}:2")
        sent = wire.carried["up"] - before
    assert len(pushed.skipped) == len(base)
    assert TEN_MB < sent <= load_document(store, second).blobs[-1].size + 65536
    assert pushed.sent_bytes <= sent


def test_blobs_are_mounted_from_another_repository(where: str, client: Registry, store: FolderStore) -> None:
    shared, own = small.layer({"shared": small.noise(5000)}), small.layer({"own": b"own"})
    client.push(store, small.image(store, shared), f"{where}/base:1")
    manifest = small.image(store, shared, own)
    pushed = client.push(store, manifest, f"{where}/app:1", sources=[f"{where}/base:1", "elsewhere.example/x:1"])
    config, first, second = load_document(store, manifest).blobs
    assert pushed.mounted == (first.digest,)
    assert set(pushed.sent) == {config.digest, second.digest, manifest.digest}
    assert pushed.sent_bytes == config.size + second.size + manifest.size


def test_copying_within_a_registry_sends_only_the_manifest(where: str, client: Registry, store: FolderStore) -> None:
    top = small.index(store, amd64=two_layers(store), arm64=two_layers(store, architecture="arm64"))
    client.push(store, top, f"{where}/a:1")
    copied = client.copy(f"{where}/a:1", f"{where}/b:1", store)
    assert (copied.descriptor.digest, len(copied.mounted)) == (top.digest, 5)  # one layer is in both
    one = client.copy(f"{where}/a:1", f"{where}/c:1", store, platform="linux/arm64")
    assert one.descriptor.digest == client.resolve(f"{where}/a:1", "linux/arm64").digest


def test_large_blobs_go_in_chunks(open_registry: RegistryServer, client: Registry, store: FolderStore, other_store: FolderStore, name: str, where: str) -> None:
    manifest = small.image(store, small.layer({"model": small.noise(3_500_000)}))
    client.push(store, manifest, f"{where}:1")
    assert sum(f"/v2/{name}/blobs/uploads/" in line for line in open_registry.requests("PATCH")) == 4
    client.pull(f"{where}:1", other_store)
    assert small.digests(other_store) == small.digests(store)


def test_tags_in_pages(open_registry: RegistryServer, client: Registry, store: FolderStore, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    monkeypatch.setattr("fairlead.images.registry.pages._PAGE", 2)
    manifest = two_layers(store)
    for tag in "abcde":
        client.push(store, manifest, f"{where}:{tag}")
    assert sorted(client.tags(f"{where}")) == list("abcde")
    assert client.tags(f"{open_registry.host}/{uuid.uuid4().hex}") == []


def test_an_sbom_is_attached_and_found(where: str, client: Registry, store: FolderStore) -> None:
    """This registry has no list of referrers: the tag stands in for it."""
    manifest = two_layers(store)
    tagged = f"{where}:1"
    client.push(store, manifest, tagged)
    assert client.referrers(tagged) == ()
    kinds = ["application/vnd.cyclonedx+json", "application/spdx+json"]
    contents = [small.put(store, kind, b'{"bomFormat": "any"}' + kind.encode()) for kind in kinds]
    for content in contents:
        client.attach(store, manifest, content, content.media_type, tagged)
        client.attach(store, manifest, content, content.media_type, tagged)  # twice is once
    assert [each.artifact_type for each in client.referrers(tagged)] == kinds
    (found,) = client.referrers(tagged, kinds[0])
    document = client.fetch(f"{where}@sha256:{found.digest}")
    assert document.blobs[-1].digest == contents[0].digest
    assert document.subject
    assert document.subject.digest == manifest.digest


def test_what_is_not_there_is_said(where: str, client: Registry, store: FolderStore) -> None:
    with pytest.raises(NotFound, match="There is no image"):
        client.pull(f"{where}:1", store)
    stored = store.put(io.BytesIO(b"not an image"))
    with pytest.raises(UsageError, match="no manifest"):
        client.push(store, Descriptor(media_type=INDEX, digest=stored.digest, size=stored.size), f"{where}:1")
    with pytest.raises(UsageError, match="another digest"):
        client.push(store, two_layers(store), f"{where}@sha256:{'0' * 64}")
