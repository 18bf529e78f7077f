"""Takes an image over that an engine has built of one of our Dockerfiles: its own configuration, so the engine knows it by the same id, and its layers."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fairlead.images.archives import Archive, DockerImage
from fairlead.images.bases import BasePlatform, open_base
from fairlead.images.dockerfile_text import ROOT
from fairlead.images.documents import put_document, to_wire
from fairlead.images.types import CONFIG, MANIFEST, Blobs, BuiltImage, Descriptor, Layer, PlatformImage, Say


def take_built(archive: Path, blobs: Blobs, cache: Path, *, python: str, base: str, say: Say = lambda _line: None) -> BuiltImage:
    """`archive`: as `docker save` wrote it. `base`: how the Dockerfile's base is named. Raises UsageError, DigestMismatch, EnvironmentFailure."""
    only = open_base(archive, blobs, cache, say=say).platforms[0]
    config = _configuration(archive, blobs)
    layers = tuple(replace(layer, what=what) for layer, what in zip(only.layers, _kinds(only), strict=True))
    said = {"schemaVersion": 2, "mediaType": MANIFEST, "config": to_wire(config), "layers": [to_wire(each.descriptor) for each in layers]}
    os, _, architecture = only.platform.partition("/")
    manifest = put_document(blobs, said, MANIFEST, platform={"os": os, "architecture": architecture.partition("/")[0]})
    found = only.python(python)
    image = PlatformImage(platform=only.platform, manifest=manifest, config=config, layers=layers, python_version=found.version, libc=str(found.libc))
    return BuiltImage(descriptor=manifest, platforms=(image,), base=base)


def _configuration(archive: Path, blobs: Blobs) -> Descriptor:
    """Its very bytes, whose digest is the engine's id."""
    read = Archive(archive)
    digest = DockerImage(read).digest
    name = next(name for name in (f"{digest}.json", f"blobs/sha256/{digest}") if read.has(name))
    raw = read.document(name)
    blobs.put(io.BytesIO(raw), expect=digest)
    return Descriptor(media_type=CONFIG, digest=digest, size=len(raw))


def _kinds(image: BasePlatform) -> list[str]:
    """What each layer is, by the instruction that made it. Builders write instructions in words of their own; the folders that they name are ours."""
    made_by = _instructions(image.config, image.layers)
    kinds: list[str] = []
    for said in made_by:
        before = kinds[-1] if kinds else "base"
        if f"{ROOT}/env" in said and "COPY" in said:
            kinds.append("environment")
        elif f"{ROOT}/runtime" in said and "COPY" in said:
            kinds.append("runtime")
        elif f"{ROOT}/bundle" in said and "COPY" in said:
            kinds.append("models" if before == "code" else "code")
        else:
            kinds.append({"base": "base", "environment": "steps", "steps": "steps"}.get(before, "other"))
    return kinds


def _instructions(config: Mapping[str, Any], layers: Sequence[Layer]) -> list[str]:
    """One for each layer; empty where the image does not tell."""
    history = config.get("history")
    said = [str(each.get("created_by", "")) for each in history if isinstance(each, dict) and not each.get("empty_layer")] if isinstance(history, list) else []
    return said if len(said) == len(layers) else [""] * len(layers)
