"""Makes the layers that hold a bundle: its code, then one per model; bundle.json lies with the last, so that another model is one other layer."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path

from fairlead_scoring.bundle import MANIFEST, Bundle, BundledFile, BundledModel

from fairlead.images.container import BUNDLE
from fairlead.images.kept import Kept, key_of
from fairlead.images.packing import COMPRESSOR, pack
from fairlead.images.tar_writing import END, Entry, archive_of, folders_above
from fairlead.images.types import LAYER, Blobs, Descriptor, Layer, Say


def make_bundle_layers(bundle: Bundle, created: int, blobs: Blobs, kept: Kept, say: Say) -> tuple[Layer, ...]:
    """Code first, models in the bundle's order. Raises DigestMismatch when a file is not what bundle.json says."""
    models = bundle.manifest.models
    files = {model: [each for each in bundle.manifest.files if _belongs(each, model)] for model in models}
    of_models = {each.path for each in itertools.chain(*files.values())}
    rest = [each for each in bundle.manifest.files if each.path not in of_models]
    groups = [("code", _entries(bundle, rest)), *((f"model:{model.name}", _entries(bundle, files[model])) for model in models)]
    groups[-1][1].append(Entry(path=f"{BUNDLE}/{MANIFEST}", file=bundle.path / MANIFEST, sha256=bundle.digest))
    return tuple(_layer(what, _with_folders(entries), created, blobs, kept, say) for what, entries in groups)


def _belongs(file: BundledFile, model: BundledModel) -> bool:
    return file.path == model.path or file.path.startswith(f"{model.path}/")


def _entries(bundle: Bundle, files: Iterable[BundledFile]) -> list[Entry]:
    return [Entry(path=f"{BUNDLE}/{each.path}", file=bundle.path / each.path, executable=each.executable, sha256=each.sha256) for each in files]


def _with_folders(entries: Iterable[Entry]) -> list[Entry]:
    files = sorted(entries, key=lambda each: each.path)
    return [*(Entry(path=each) for each in folders_above([f"{BUNDLE}/", *(each.path for each in files)])), *files]


def _layer(what: str, entries: Sequence[Entry], created: int, blobs: Blobs, kept: Kept, say: Say) -> Layer:
    """Files go by the digests that bundle.json says; they are only read when the layer is not there yet."""
    key = key_of({"files": [[each.path, each.sha256, each.executable] for each in entries], "created": created, "packed": COMPRESSOR})
    known = kept.facts("layers", key)
    if known is None or blobs.size(known["digest"]) is None:
        say(f"Packing {what.replace(':', ' ')}")
        with kept.room() as room:
            path = room / "layer"
            with path.open("wb") as out:
                packed = pack(itertools.chain(archive_of(entries, created), [END]), out)
            _put(blobs, path, packed.digest)
        known = {"digest": packed.digest, "size": packed.size, "diff_id": packed.tar_digest}
        kept.remember("layers", key, known)
    return Layer(descriptor=Descriptor(media_type=LAYER, digest=known["digest"], size=known["size"]), diff_id=known["diff_id"], what=what)


def _put(blobs: Blobs, path: Path, digest: str) -> None:
    with path.open("rb") as stream:
        blobs.put(stream, expect=digest)
