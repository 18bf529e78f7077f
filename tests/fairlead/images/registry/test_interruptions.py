"""Transfers on bad days: cut, throttled, out of order, damaged. What arrives is right or refused."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest

from fairlead.errors import BlobDamaged, BlobNotFound, DigestMismatch, TooLarge, Unavailable, UsageError
from fairlead.images.registry import connection, pulling
from fairlead.images.registry.documents import load_document
from fairlead.images.registry.registry import Registry
from fairlead.images.types import Descriptor
from fairlead.stores.folder import FolderStore
from tests.containers import RegistryServer
from tests.fairlead.images.registry import small_images as small
from tests.fairlead.images.registry.conftest import anonymous
from tests.fairlead.images.registry.faulty_registry import Fault, FaultyRegistry, faulty
from tests.fairlead.images.registry.strict_uploads import StrictUploads, strict_uploads

SIZE = 300_000


@pytest.fixture
def proxy(open_registry: RegistryServer) -> Iterator[FaultyRegistry]:
    with faulty(open_registry.host) as server:
        yield server


@pytest.fixture
def strict() -> Iterator[StrictUploads]:
    with strict_uploads() as server:
        yield server


@pytest.fixture
def there(proxy: FaultyRegistry, client: Registry, store: FolderStore, name: str) -> tuple[str, Descriptor]:
    """An image in the registry behind the proxy, and its large layer."""
    manifest = small.image(store, small.layer({"a": small.noise(SIZE)}))
    client.push(store, manifest, f"{proxy.host}/{name}:1")
    proxy.seen.clear()
    return f"{proxy.host}/{name}:1", load_document(store, manifest).blobs[-1]


def test_a_download_goes_on_where_it_was_cut(
    proxy: FaultyRegistry, client: Registry, store: FolderStore, other_store: FolderStore, there: tuple[str, Descriptor]
) -> None:
    where, blob = there
    proxy.faults += [Fault(method="GET", path=blob.digest, cut_after=100_000), Fault(method="GET", path=blob.digest, cut_after=70_000)]
    client.pull(where, other_store)
    assert small.digests(other_store) == small.digests(store)
    asked = [each.headers.get("range") for each in proxy.seen if blob.digest in each.path]
    assert asked == [None, "bytes=100000-", "bytes=170000-"]


def test_a_registry_without_ranges_is_read_from_the_start(
    proxy: FaultyRegistry, client: Registry, store: FolderStore, other_store: FolderStore, there: tuple[str, Descriptor]
) -> None:
    where, blob = there
    proxy.faults += [Fault(method="GET", path=blob.digest, cut_after=100_000), Fault(method="GET", path=blob.digest, drop_range=True)]
    client.pull(where, other_store)
    assert small.digests(other_store) == small.digests(store)


def test_a_download_that_never_goes_on_ends(proxy: FaultyRegistry, client: Registry, other_store: FolderStore, there: tuple[str, Descriptor]) -> None:
    where, blob = there
    proxy.faults.append(Fault(method="GET", path=blob.digest, times=99, cut_after=0))
    with pytest.raises(Unavailable, match=f"{blob.digest} of the registry {proxy.host} does not arrive"):
        client.pull(where, other_store)
    assert other_store.size(blob.digest) is None
    assert proxy.count("GET", blob.digest) == 4


@pytest.mark.parametrize("at", [0, 150_000, SIZE])
def test_a_byte_changed_in_a_layer_is_refused(
    proxy: FaultyRegistry, client: Registry, other_store: FolderStore, there: tuple[str, Descriptor], at: int
) -> None:
    where, blob = there
    proxy.faults.append(Fault(method="GET", path=blob.digest, corrupt_at=at))
    with pytest.raises(DigestMismatch, match="damaged or forged"):
        client.pull(where, other_store)
    assert other_store.size(blob.digest) is None


def test_more_bytes_than_were_announced_are_refused(proxy: FaultyRegistry, client: Registry, other_store: FolderStore, there: tuple[str, Descriptor]) -> None:
    where, blob = there
    proxy.faults.append(Fault(method="GET", path=blob.digest, extra=b"x" * 10))
    with pytest.raises(DigestMismatch, match="has more than"):
        client.pull(where, other_store)
    assert other_store.size(blob.digest) is None


def test_fewer_bytes_than_were_announced_are_refused(
    proxy: FaultyRegistry, client: Registry, store: FolderStore, other_store: FolderStore, there: tuple[str, Descriptor]
) -> None:
    """The registry answers 416 to the rest, and Debian's with the length of the whole blob, which never comes."""
    where, blob = there
    document = client.fetch(where)
    said = document.content.replace(f'"size": {blob.size}'.encode(), f'"size": {blob.size + 5}'.encode())
    url = f"http://{proxy.host}/v2/{where.partition('/')[2].removesuffix(':1')}/manifests/lying"
    assert httpx2.put(url, content=said, headers={"content-type": document.descriptor.media_type}, trust_env=False).status_code == 201
    lying = where.removesuffix("1") + "lying"
    with pytest.raises(DigestMismatch, match=r"has fewer than its|damaged or forged"):
        client.pull(lying, other_store)
    assert proxy.seen[-1].headers["range"] == f"bytes={blob.size}-"
    with pytest.raises(BlobDamaged, match="has not the"):
        client.push(store, small.put(store, document.descriptor.media_type, said), lying.replace("/test/", "/test/again/"))


def test_what_is_no_manifest_is_refused(proxy: FaultyRegistry, client: Registry, there: tuple[str, Descriptor]) -> None:
    proxy.faults.append(Fault(method="GET", path="/manifests/", status=200))
    with pytest.raises(UsageError, match="no manifest"):
        client.resolve(there[0])


def test_a_forged_manifest_is_refused(proxy: FaultyRegistry, client: Registry, other_store: FolderStore, there: tuple[str, Descriptor]) -> None:
    pinned = f"{there[0].removesuffix(':1')}@sha256:{client.resolve(there[0]).digest}"
    for where in (pinned, there[0]):
        proxy.faults.append(Fault(method="GET", path="/manifests/", corrupt_at=30))
        with pytest.raises(DigestMismatch, match="damaged or forged"):
            client.pull(where, other_store)
    assert small.digests(other_store) == {}


def test_a_manifest_without_end_is_not_read(proxy: FaultyRegistry, client: Registry, there: tuple[str, Descriptor]) -> None:
    proxy.faults.append(Fault(method="GET", path="/manifests/", extra=b" " * (5 << 20)))
    with pytest.raises(TooLarge, match="more than 4 MiB"):
        client.resolve(there[0])


def test_an_image_that_would_fill_the_disk_is_not_fetched(
    client: Registry, other_store: FolderStore, there: tuple[str, Descriptor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulling, "MOST_BYTES", there[1].size)
    with pytest.raises(UsageError, match="nothing of it was fetched"):
        client.pull(there[0], other_store)
    assert small.digests(other_store) == {}


@pytest.mark.parametrize(("status", "headers"), [(429, {"retry-after": "0"}), (503, {}), (500, {}), (502, {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"})])
def test_what_passes_is_tried_again(
    proxy: FaultyRegistry, client: Registry, other_store: FolderStore, there: tuple[str, Descriptor], status: int, headers: dict[str, str]
) -> None:
    proxy.faults += [Fault(method="GET", path=path, times=3, status=status, headers=headers) for path in ("/manifests/", there[1].digest)]
    client.pull(there[0], other_store)
    assert other_store.size(there[1].digest) == there[1].size


def test_what_does_not_pass_is_said(proxy: FaultyRegistry, client: Registry, there: tuple[str, Descriptor]) -> None:
    proxy.faults.append(Fault(method="GET", path="/manifests/", times=99, status=503))
    with pytest.raises(Unavailable, match="answered 503 to GET"):
        client.resolve(there[0])
    assert proxy.count("GET", "/manifests/") == 4


def test_a_registry_that_wants_an_hour_is_not_waited_for(proxy: FaultyRegistry, client: Registry, there: tuple[str, Descriptor]) -> None:
    proxy.faults.append(Fault(method="GET", path="/manifests/", times=99, status=429, headers={"retry-after": "3600"}))
    with pytest.raises(Unavailable, match="answered 429"):
        client.resolve(there[0])
    assert proxy.count("GET", "/manifests/") == 1


def test_a_registry_that_is_not_there_is_said(client: Registry) -> None:
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1 cannot be reached"):
        client.resolve("127.0.0.1:1/app:1")


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds, of which none passes."""
    pauses: list[float] = []
    monkeypatch.setattr(connection, "wait", lambda *seconds: pauses.append(max(seconds)))
    return pauses


def test_each_pause_before_a_registry_that_refuses_is_told(waited: list[float]) -> None:
    said: list[str] = []
    with Registry(lambda _: None, say=said.append) as client, pytest.raises(Unavailable, match="cannot be reached"):
        client.resolve("127.0.0.1:1/app:1")
    assert said == [f"The registry 127.0.0.1:1 does not answer (connection refused); trying again in {pause} s" for pause in ("0.3", "1", "3", "6")]
    assert sum(waited) <= 12  # of seconds, which `wait` lengthens by at most a quarter


def test_a_push_to_a_registry_that_refuses_ends_with_its_first_blobs(store: FolderStore, waited: list[float]) -> None:
    """Several at a time, told as one; those that wait for their turn are not begun."""
    said: list[str] = []
    manifest = small.image(store, *(small.layer({f"{number}": small.noise(100)}) for number in range(8)))
    with Registry(lambda _: None, say=said.append) as client, pytest.raises(Unavailable, match="cannot be reached"):
        client.push(store, manifest, "127.0.0.1:1/app:1")
    assert sorted(said) == [f"The registry 127.0.0.1:1 does not answer (connection refused); trying again in {pause} s" for pause in ("0.3", "1", "3", "6")]
    assert len(waited) <= 3 * 4


def test_a_registry_that_is_busy_is_told_by_its_status(proxy: FaultyRegistry, there: tuple[str, Descriptor], waited: list[float]) -> None:
    said: list[str] = []
    proxy.faults.append(Fault(method="GET", path="/manifests/", times=2, status=429, headers={"retry-after": "7"}))
    with Registry(lambda _: None, say=said.append) as client:
        client.resolve(there[0])
    assert said == [f"The registry {proxy.host} answers 429; trying again in 7 s"] * 2
    assert waited == [7.0, 7.0]


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_an_upload_whose_session_died_begins_anew(proxy: FaultyRegistry, store: FolderStore, other_store: FolderStore, name: str, method: str) -> None:
    """Debian's registry forgets a session whose connection was cut in the middle of a chunk."""
    manifest = small.image(store, small.layer({"a": small.noise(SIZE)}))
    proxy.faults += [Fault(method=method, path="/blobs/uploads/", cut_upload_after=50_000), Fault(method="GET", path="/blobs/uploads/", status=404)]
    with anonymous(chunk=100_000 if method == "PATCH" else 1 << 20) as client:
        pushed = client.push(store, manifest, f"{proxy.host}/{name}:1")
        client.pull(f"{proxy.host}/{name}:1", other_store)
    assert small.digests(other_store) == small.digests(store)
    assert pushed.sent_bytes > sum(small.digests(store).values())


def test_an_upload_goes_on_at_the_acknowledged_byte(strict: StrictUploads, store: FolderStore) -> None:
    manifest = small.image(store, small.layer({"a": small.noise(SIZE)}))
    strict.cuts += [40_000, 0, 99_000]
    with anonymous(chunk=100_000) as client:
        client.push(store, manifest, f"{strict.host}/app:1")
    blob = load_document(store, manifest).blobs[-1]
    assert len(strict.blobs[f"sha256:{blob.digest}"]) == blob.size
    assert strict.received <= sum(small.digests(store).values())  # nothing that was acknowledged came twice


def test_a_chunk_whose_answer_was_lost_is_not_sent_again(strict: StrictUploads, store: FolderStore) -> None:
    manifest = small.image(store, small.layer({"a": small.noise(SIZE)}))
    strict.lose_first_answers = 2
    with anonymous(chunk=100_000) as client:
        client.push(store, manifest, f"{strict.host}/app:1")
    assert strict.received == sum(small.digests(store).values())


def test_small_chunks_are_as_large_as_the_registry_wants(strict: StrictUploads, store: FolderStore) -> None:
    manifest = small.image(store, small.layer({"a": small.noise(SIZE)}))
    strict.smallest = 200_000
    with anonymous(chunk=1000) as client:
        client.push(store, manifest, f"{strict.host}/app:1")
    assert len(strict.blobs) == 2


@pytest.mark.parametrize("refuses", [True, False])
def test_sessions_that_die_and_registries_without_chunks(strict: StrictUploads, store: FolderStore, refuses: bool) -> None:
    manifest = small.image(store, small.layer({"a": small.noise(SIZE)}))
    strict.refuse_chunks, strict.forget = refuses, 0 if refuses else 2
    with anonymous(chunk=100_000) as client:
        client.push(store, manifest, f"{strict.host}/app:1")
    assert f"sha256:{load_document(store, manifest).blobs[-1].digest}" in strict.blobs


def test_a_session_that_always_dies_ends(strict: StrictUploads, store: FolderStore) -> None:
    manifest = small.image(store, small.layer({"a": small.noise(SIZE)}))
    strict.forget = 99
    with anonymous(chunk=100_000) as client, pytest.raises(Unavailable, match="again and again"):
        client.push(store, manifest, f"{strict.host}/app:1")


def test_what_is_damaged_or_gone_here_is_said(proxy: FaultyRegistry, client: Registry, store: FolderStore, name: str) -> None:
    manifest = small.image(store, small.layer({"a": small.noise(SIZE)}))
    blob = load_document(store, manifest).blobs[-1]
    place = store.place(blob.digest)
    content = place.read_bytes()
    place.chmod(0o600)
    place.write_bytes(content[:-1] + b"x")
    with pytest.raises(BlobDamaged, match="damaged here"):
        client.push(store, manifest, f"{proxy.host}/{name}:1")
    place.unlink()
    with pytest.raises(BlobNotFound):
        client.push(store, manifest, f"{proxy.host}/{name}:1")
