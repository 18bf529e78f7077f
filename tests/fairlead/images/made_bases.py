"""Base images made by the standard library alone: they hold what tells of a Python and a C library, and nothing that runs."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LIBRARIES = ("libpthread.so.0", "librt.so.1", "libm.so.6", "libdl.so.2", "libgcc_s.so.1", "libstdc++.so.6", "ld-linux-aarch64.so.1", "ld-linux-x86-64.so.2")
MACHINES = {"amd64": 0x3E, "arm64": 0xB7}


@dataclass(frozen=True, kw_only=True)
class MadeBase:
    """What a base says it has. `whole`: with all of the standard library."""

    python: str = "3.11.2"
    libc: str = "glibc 2.36"
    machine: str = "amd64"
    claims: str = "amd64"
    whole: bool = True
    folder: str = "usr"
    libraries: tuple[str, ...] = LIBRARIES
    extra: tuple[Callable[[tarfile.TarFile], None], ...] = ()
    config: dict[str, Any] = field(default_factory=dict)

    def layer(self) -> bytes:
        minor = ".".join(self.python.split(".")[:2])
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
            put_link(tar, "lib", "usr/lib")
            put_link(tar, f"{self.folder}/bin/python3", f"python{minor}")
            put(tar, f"{self.folder}/bin/python{minor}", self._interpreter(), mode=0o755)
            kind, _, version = self.libc.partition(" ")
            if kind == "musl":
                put(tar, "usr/lib/ld-musl-x86_64.so.1", b"\x7fELF musl\0" + version.encode() + b"\0")
            elif kind == "glibc":
                put(tar, "usr/lib/x86_64-linux-gnu/libc.so.6", f"\x7fELF GNU C Library (Debian GLIBC {version}-9) stable release version {version}.\n".encode())
            for library in self.libraries:
                put(tar, f"usr/lib/x86_64-linux-gnu/{library}", b"")
            if self.whole:
                put(tar, f"{self.folder}/lib/python{minor}/asyncio/__init__.py", b"")
            for each in self.extra:
                each(tar)
        return raw.getvalue()

    def configuration(self, *layers: bytes) -> dict[str, Any]:
        diff_ids = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]
        return {
            "architecture": self.claims,
            "os": "linux",
            "config": {"Env": [f"PATH=/{self.folder}/bin:/bin"], "Entrypoint": ["/bin/tini"], "Labels": {"of": "the base"}},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            **self.config,
        }

    def archive(self, path: Path, *more: bytes, tag: str = "made/base:1") -> Path:
        """As `docker save` writes it."""
        return save(path, [self.layer(), *more], self.configuration(self.layer(), *more), tag=tag)

    def _interpreter(self) -> bytes:
        loader = b"/lib/ld-musl-x86_64.so.1" if self.libc.startswith("musl") else b"/lib64/ld-linux-x86-64.so.2"
        header = b"\x7fELF" + bytes(14) + struct.pack("<H", MACHINES[self.machine])
        return header + bytes(100) + b"\0" + loader + b"\0" + bytes(5000) + b"\0" + self.python.encode() + b"\0"


def save(path: Path, layers: list[bytes], configuration: dict[str, Any], tag: str = "made/base:1") -> Path:
    config = json.dumps(configuration).encode()
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    with tarfile.open(path, "w") as tar:
        put(tar, name, config)
        for number, layer in enumerate(layers):
            put(tar, f"{number}/layer.tar", layer)
        put(tar, "manifest.json", json.dumps([{"Config": name, "RepoTags": [tag], "Layers": [f"{n}/layer.tar" for n in range(len(layers))]}]).encode())
    return path


def layout(folder: Path, images: list[tuple[MadeBase, dict[str, str]]], compress: Callable[[bytes], bytes]) -> Path:
    """An OCI layout folder with one index of several platforms, tagged `1`."""

    def put_blob(raw: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(raw).hexdigest()
        (folder / "blobs" / "sha256" / digest).write_bytes(raw)
        return {"digest": f"sha256:{digest}", "size": len(raw)}

    (folder / "blobs" / "sha256").mkdir(parents=True)
    manifests = []
    for base, platform in images:
        layer = {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", **put_blob(compress(base.layer()))}
        config = {"mediaType": "application/vnd.oci.image.config.v1+json", **put_blob(json.dumps(base.configuration(base.layer())).encode())}
        said = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": [layer]}
        manifests.append({"mediaType": said["mediaType"], "platform": platform, **put_blob(json.dumps(said).encode())})
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": manifests}
    top = {"mediaType": index["mediaType"], "annotations": {"org.opencontainers.image.ref.name": "1"}, **put_blob(json.dumps(index).encode())}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [top]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    return folder


def put(tar: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), mode
    tar.addfile(info, io.BytesIO(content))


def put_link(tar: tarfile.TarFile, name: str, to: str, *, kind: bytes = tarfile.SYMTYPE) -> None:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, to
    tar.addfile(info)
