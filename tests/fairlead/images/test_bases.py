"""Bases: what is found in them without running anything, what is refused with the reason, and archives that mean harm."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fairlead.errors import BlobNotFound, DigestMismatch, EnvironmentFailure, FairleadError, NotFound, UsageError
from fairlead.images import base_layers
from fairlead.images.archives import Archive
from fairlead.images.base_layers import look_into
from fairlead.images.bases import Base, open_base
from fairlead.images.kept import Kept
from fairlead.images.layout import LayoutBlobs
from fairlead.images.tar_reading import LONGEST_NOTE, TarReader
from fairlead.images.wheels import Libc
from tests.containers import base_layout, require_base
from tests.fairlead.images.made_bases import MadeBase, layout, put, put_link, save

AMD64, ARM64 = {"os": "linux", "architecture": "amd64"}, {"os": "linux", "architecture": "arm64", "variant": "v8"}
Open = Callable[..., Base]


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    """Opens a base into blobs of this test's own: `opened(path, platforms=…)`."""

    def opening(source: Path | str, **more: Any) -> Base:
        return open_base(source, LayoutBlobs(tmp_path / "blobs"), tmp_path / "cache", **more)

    return opening


def test_a_real_debian_is_the_same_whichever_way_it_comes(opened: Open, tmp_path: Path) -> None:
    archive = opened(require_base())
    folder = opened(f"{base_layout(tmp_path / 'oci')}:1")
    found = [base.platforms[0].python("3.11") for base in (archive, folder)]
    assert found[0] == found[1]
    assert (found[0].path, found[0].version[:5], found[0].libc) == ("/usr/bin/python3.11", "3.11.", Libc(kind="glibc", version="2.36"))
    assert [layer.diff_id for layer in archive.platforms[0].layers] == [layer.diff_id for layer in folder.platforms[0].layers]
    assert archive.name == "fairlead-test/base:1"
    assert {"libc.so.6", "libgomp.so.1", "libstdc++.so.6"} <= archive.platforms[0].libraries


@pytest.mark.needs("skopeo")
def test_an_oci_layout_in_a_tar_is_read_too(opened: Open, tmp_path: Path) -> None:
    made = MadeBase().archive(tmp_path / "base.tar")
    subprocess.run(["skopeo", "copy", "-q", f"docker-archive:{made}", f"oci-archive:{tmp_path / 'oci.tar'}:tag"], check=True)
    base = opened(tmp_path / "oci.tar")
    assert base.platforms[0].python("3.11").version == "3.11.2"
    assert base.platforms[0].layers[0].diff_id == hashlib.sha256(MadeBase().layer()).hexdigest()


def test_the_same_archive_gives_the_same_compressed_layer(tmp_path: Path) -> None:
    made = MadeBase().archive(tmp_path / "base.tar")
    layers = [open_base(made, LayoutBlobs(tmp_path / name), tmp_path / f"cache-{name}").platforms[0].layers for name in "ab"]
    assert layers[0] == layers[1]


def test_a_second_opening_reads_no_layer(opened: Open, tmp_path: Path) -> None:
    said: list[str] = []
    made = MadeBase().archive(tmp_path / "base.tar")
    first, again = opened(made, say=said.append), opened(made, say=said.append)
    assert (first, said) == (again, ["Compressing the base"])


@pytest.mark.parametrize(
    ("made", "path", "version", "libc"),
    [
        (MadeBase(folder="usr/local", python="3.12.7"), "/usr/local/bin/python3.12", "3.12.7", "glibc 2.36"),
        (MadeBase(libc="musl 1.2.5"), "/usr/bin/python3.11", "3.11.2", "musl 1.2.5"),
        (MadeBase(python="3.11"), "/usr/bin/python3.11", "3.11", "glibc 2.36"),
    ],
)
def test_python_and_libc_are_found(opened: Open, tmp_path: Path, made: MadeBase, path: str, version: str, libc: str) -> None:
    python = opened(made.archive(tmp_path / "base.tar")).platforms[0].pythons[0]
    assert (python.path, python.version, str(python.libc)) == (path, version, libc)


@pytest.mark.parametrize(
    ("made", "asked", "words"),
    [
        (MadeBase(python="3.12.7"), "3.11", "has 3.12.7. Take a base with Python 3.11"),
        (MadeBase(), "3.10", "images need Python 3.11"),
        (MadeBase(whole=False), "3.11", "no asyncio"),
        (MadeBase(libc="none"), "3.11", "neither glibc nor musl"),
        (MadeBase(machine="arm64"), "3.11", "its Python is for arm64"),
    ],
)
def test_a_base_that_does_not_fit_is_refused_with_the_reason(opened: Open, tmp_path: Path, made: MadeBase, asked: str, words: str) -> None:
    base = opened(made.archive(tmp_path / "base.tar"))
    with pytest.raises(EnvironmentFailure, match=words):
        base.platforms[0].python(asked)


def test_what_an_upper_layer_deletes_is_not_there(opened: Open, tmp_path: Path) -> None:
    for gone in ("usr/bin/.wh.python3.11", "usr/bin/.wh..wh..opq", "usr/.wh.bin"):
        upper = io.BytesIO()
        with tarfile.open(fileobj=upper, mode="w") as tar:
            put(tar, gone, b"")
        base = opened(MadeBase().archive(tmp_path / f"{len(gone)}.tar", upper.getvalue()))
        assert base.platforms[0].pythons == ()


def test_an_index_gives_the_platforms_that_are_asked_for(opened: Open, tmp_path: Path) -> None:
    folder = layout(tmp_path / "oci", [(MadeBase(), AMD64), (MadeBase(claims="arm64", machine="arm64"), ARM64)], gzip.compress)
    assert [each.platform for each in opened(folder, platforms=("linux/arm64", "linux/amd64")).platforms] == ["linux/arm64", "linux/amd64"]
    with pytest.raises(NotFound, match=r"linux/amd64, linux/arm64, not for linux/riscv64"):
        opened(folder, platforms=("linux/riscv64",))
    with pytest.raises(NotFound, match=r"no image tagged '2'; there are 1"):
        opened(f"{folder}:2")


def test_a_byte_changed_in_a_layer_is_refused(opened: Open, tmp_path: Path) -> None:
    folder = layout(tmp_path / "oci", [(MadeBase(), AMD64)], gzip.compress)
    for blob in sorted((folder / "blobs" / "sha256").iterdir()):
        raw = blob.read_bytes()
        blob.write_bytes(raw[:-9] + bytes([raw[-9] ^ 1]) + raw[-8:])
        with pytest.raises(DigestMismatch):
            opened(folder)
        assert not (tmp_path / "blobs" / "blobs" / "sha256" / blob.name).exists()
        blob.unlink()
        with pytest.raises(BlobNotFound):
            opened(folder)
        blob.write_bytes(raw)
    assert opened(folder).platforms


def test_a_layer_that_is_not_the_one_of_the_configuration_is_refused(opened: Open, tmp_path: Path) -> None:
    lie = MadeBase().configuration(b"something else")
    with pytest.raises(DigestMismatch, match="as its configuration says"):
        opened(save(tmp_path / "base.tar", [MadeBase().layer()], lie))
    folder = layout(tmp_path / "oci", [(MadeBase(), AMD64)], lambda _tar: gzip.compress(MadeBase(python="3.11.9").layer()))
    with pytest.raises(DigestMismatch, match="not to its diff_id"):
        opened(folder)


def test_a_bomb_ends_early(tmp_path: Path) -> None:
    bomb = io.BytesIO()
    with tarfile.open(fileobj=bomb, mode="w") as tar:
        put(tar, "zeros", bytes(8 << 20))
    blobs, kept = LayoutBlobs(tmp_path / "blobs"), Kept(tmp_path / "cache")
    source = base_layers.Source(
        open=lambda: io.BytesIO(bomb.getvalue()),
        media_type="application/vnd.oci.image.layer.v1.tar",
        diff_id=hashlib.sha256(bomb.getvalue()).hexdigest(),
    )
    layers = base_layers.take_layers([source], blobs, kept, lambda _line: None)
    with pytest.raises(UsageError, match="bomb"):
        look_into(layers, ["/usr/bin"], blobs, kept, most=1 << 20)
    assert look_into(layers, ["/usr/bin"], blobs, kept).pythons == ()


def test_links_in_a_layer_lead_nowhere_outside(opened: Open, tmp_path: Path) -> None:
    def hostile(tar: tarfile.TarFile) -> None:
        put(tar, "../../../etc/passwd", b"root")
        put(tar, "/etc/shadow", b"root")
        put_link(tar, "usr/bin/python3.12", "../../../../../../bin/sh")
        put_link(tar, "usr/bin/python3.13", "python3.14")
        put_link(tar, "usr/bin/python3.14", "python3.13")
        put_link(tar, "usr/bin/python3.15", "/nowhere", kind=tarfile.LNKTYPE)

    base = opened(MadeBase(extra=(hostile,)).archive(tmp_path / "base.tar"))
    assert base.platforms[0].python("3.11").version == "3.11.2"
    assert {each.name for each in tmp_path.iterdir()} == {"base.tar", "blobs", "cache"}


def test_links_in_an_archive_stay_inside_it(opened: Open, tmp_path: Path) -> None:
    """Old Dockers save a layer that occurs twice as a link to the first."""
    layer, config = MadeBase().layer(), json.dumps(MadeBase().configuration(MadeBase().layer())).encode()
    for to, fault in (("../0/layer.tar", None), ("../../../../etc/passwd", UsageError), ("/etc/passwd", UsageError), ("layer.tar", UsageError)):
        path = tmp_path / "linked.tar"
        with tarfile.open(path, "w") as tar:
            put(tar, "config.json", config)
            put(tar, "0/layer.tar", layer)
            put_link(tar, "1/layer.tar", to)
            put(tar, "manifest.json", json.dumps([{"Config": "config.json", "RepoTags": None, "Layers": ["1/layer.tar"]}]).encode())
        if fault is None:
            assert opened(path).platforms[0].pythons
        else:
            with pytest.raises(fault):
                opened(path)


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"[]",
        b"{}",
        b"[1]",
        b"[" * 100_000,
        b'[{"Config": "nothing.json", "Layers": []}]',
        b'[{"Config": "../config.json"}]',
        b'[{"Config": "c.json"}]',
        b"\xff",
    ],
)
def test_a_manifest_that_is_none_is_refused_in_one_sentence(opened: Open, tmp_path: Path, manifest: bytes) -> None:
    path = tmp_path / "broken.tar"
    with tarfile.open(path, "w") as tar:
        put(tar, "c.json", b"{}")
        put(tar, "manifest.json", manifest)
    with pytest.raises(FairleadError):
        opened(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("layers", [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": "sha256:../../etc/passwd", "size": 1}]),
        ("layers", [{"mediaType": "application/vnd.oci.image.layer.v1.tar+zstd", "digest": "sha256:" + "0" * 64, "size": 1}]),
        ("layers", "none"),
        ("layers", []),
        ("config", {"mediaType": "x", "digest": "md5:0", "size": 3}),
        ("config", None),
    ],
)
def test_a_hostile_manifest_of_a_layout_is_refused(opened: Open, tmp_path: Path, name: str, value: object) -> None:
    folder = layout(tmp_path / "oci", [(MadeBase(), AMD64)], gzip.compress)
    index = json.loads((folder / "index.json").read_text())
    listed = json.loads((folder / "blobs" / "sha256" / index["manifests"][0]["digest"][7:]).read_text())
    manifest = json.loads((folder / "blobs" / "sha256" / listed["manifests"][0]["digest"][7:]).read_text())
    raw = json.dumps({**manifest, name: value}).encode()
    digest = hashlib.sha256(raw).hexdigest()
    (folder / "blobs" / "sha256" / digest).write_bytes(raw)
    top = {"mediaType": manifest["mediaType"], "digest": f"sha256:{digest}", "size": len(raw)}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [top]}))
    with pytest.raises(FairleadError):
        opened(folder)


def test_what_is_no_image_is_refused(opened: Open, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello " * 400)
    (tmp_path / "folder").mkdir()
    with tarfile.open(tmp_path / "plain.tar", "w") as tar:
        put(tar, "file", b"1")
    for name, words in (("text", "no usable tar archive"), ("folder", "is no base"), ("plain.tar", "no image"), ("nothing", "is no base")):
        with pytest.raises(UsageError, match=words):
            opened(tmp_path / name)


def test_a_layout_without_its_index_is_refused(opened: Open, tmp_path: Path) -> None:
    folder = layout(tmp_path / "oci", [(MadeBase(), AMD64)], gzip.compress)
    (folder / "index.json").unlink()
    with pytest.raises(UsageError, match=r"no index\.json"):
        opened(folder)


@pytest.mark.parametrize("field", [b"\x80" + b"\xff" * 11, b"-0000000001\0", b"\xff" * 12])
def test_sizes_that_are_none_are_refused(field: bytes, tmp_path: Path) -> None:
    header = bytearray(tarfile.TarInfo("name").tobuf(tarfile.USTAR_FORMAT))
    header[124:136] = field
    header[148:156] = b"%06o\0 " % (sum(header[:148]) + sum(header[156:]) + 8 * 32)
    (tmp_path / "base.tar").write_bytes(bytes(header) + bytes(1024))
    with pytest.raises(UsageError, match="a size in it is none"):
        Archive(tmp_path / "base.tar")


@pytest.mark.parametrize(("said", "size"), [("²", 0), ("9" * 5000, 0), ("1", 1)])
def test_a_size_in_a_pax_record_is_a_plain_number(said: str, size: int) -> None:
    info = tarfile.TarInfo("name")
    info.pax_headers = {"size": said}
    stream = io.BytesIO(info.tobuf(tarfile.PAX_FORMAT) + bytes(1024))
    assert [each.size for each, _ in TarReader(stream.read, "It").members(lambda _member: False)] == [size]


def test_names_without_end_are_not_read_into_memory() -> None:
    info = tarfile.TarInfo("name")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, LONGEST_NOTE + 1
    stream = io.BytesIO(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    with pytest.raises(UsageError, match="longer than any system allows"):
        list(TarReader(stream.read, "It").members(lambda _member: False))


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_reads_what_other_programs_write(form: int) -> None:
    long = "a" * 90 + "/" + "b" * 90 + "/ü" if form != tarfile.USTAR_FORMAT else "a" * 90 + "/" + "b" * 90
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=form) as tar:
        put(tar, f"./{long}", b"content")
        put_link(tar, "link", long[:90])
        put(tar, "empty", b"")
    read = [(each.path, each.kind, each.link, content) for each, content in TarReader(io.BytesIO(raw.getvalue()).read, "It").members(lambda _member: True)]
    assert read == [(long, "file", "", b"content"), ("link", "link", long[:90], b""), ("empty", "file", "", b"")]


def test_docker_archives_of_two_images_name_the_cure(opened: Open, tmp_path: Path) -> None:
    path = MadeBase().archive(tmp_path / "base.tar")
    with tarfile.open(path) as tar:
        member = tar.extractfile("manifest.json")
        assert member is not None
        said = json.loads(member.read())
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    with tarfile.open(path, "a") as tar:
        put(tar, "manifest.json", json.dumps(said * 2).encode())
    with pytest.raises(UsageError, match=r"holds 2 images.*docker save"):
        opened(path)
