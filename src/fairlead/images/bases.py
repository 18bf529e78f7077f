"""Opens base images: an OCI layout (folder or tar), a Docker archive (tar), or what a registry has. Strangers made them.

Every blob is checked against its digest and every layer against its diff_id while it is read. Nothing is extracted, nothing of it runs.
"""

from __future__ import annotations

import platform as this_machine
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairlead.errors import EnvironmentFailure, NotFound, UsageError
from fairlead.images.archives import Archive, ArchiveBlobs, DockerImage
from fairlead.images.base_files import BasePython
from fairlead.images.base_layers import Source, look_into, take_layers
from fairlead.images.documents import INDEX_TYPES, LARGEST, MANIFEST_TYPES, digest_of, from_wire, listed, parsed, read_document
from fairlead.images.kept import Kept
from fairlead.images.layout import MARKER, REF_NAME, LayoutBlobs
from fairlead.images.types import Blobs, Descriptor, Layer, Say

OLDEST = (3, 11)  # of Python, for the front
MOST_LAYERS = 256

Pull = Callable[[str, Blobs, Collection[str]], Descriptor]
"""A reference, where its blobs go, platforms (none: this machine's): answers the manifest or index."""

_PATH = ("/usr/local/bin", "/usr/bin", "/bin")
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class BasePlatform:
    """A base for one platform, such as `linux/amd64`. `config`: its OCI configuration. `digest`: of its manifest; in a Docker archive, of its configuration."""

    platform: str
    digest: str
    layers: tuple[Layer, ...]
    config: Mapping[str, Any]
    pythons: tuple[BasePython, ...]
    libraries: frozenset[str] = frozenset()

    def python(self, minor: str) -> BasePython:
        """The base's Python of that minor. Raises EnvironmentFailure with the reason why none does."""
        if tuple(int(part) for part in minor.split(".")) < OLDEST:
            raise EnvironmentFailure(
                f"The lock is for Python {minor}, and images need Python 3.11 or newer. Lock the environment for 3.11.", cause="python-too-old"
            )
        found = next((each for each in self.pythons if each.minor == minor), None)
        if found is None:
            there = ", ".join(each.version for each in self.pythons) or "none"
            said = f"The lock is for Python {minor}, and the base for {self.platform} has {there}. Take a base with Python {minor}, or lock for another."
            raise EnvironmentFailure(said, cause="python-does-not-fit")
        _refuse_unusable(found, self.platform)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """`name`: the reference or tag under which the image goes, not where it lay; may be empty. `digest`: of its index, manifest or configuration."""

    name: str
    digest: str
    platforms: tuple[BasePlatform, ...]

    def __str__(self) -> str:
        return f"{self.name}@sha256:{self.digest}" if self.name else f"sha256:{self.digest}"

    def of(self, platform: str) -> BasePlatform:
        """Raises NotFound."""
        found = next((each for each in self.platforms if each.platform == platform), None)
        if found is None:
            there = ", ".join(each.platform for each in self.platforms)
            raise NotFound(f"The base {self} is for {there}, not for {platform}. Name a base that has it.")
        return found


def open_base(source: str | Path, blobs: Blobs, cache: Path, *, platforms: Sequence[str] = (), say: Say = lambda _line: None) -> Base:
    """Takes all layers over into `blobs`. `source`: a folder, FOLDER:TAG, or a tar file.

    platforms: which must be there; none: this machine's, else the only one. Raises UsageError, NotFound, DigestMismatch.
    """
    opening = _Opening(blobs, Kept(cache), tuple(_normal(each) for each in platforms), say)
    path, tag = _path_and_tag(str(source))
    if Path(path).is_dir() and (Path(path) / MARKER).is_file():
        folder = LayoutBlobs(Path(path))
        return opening.layout(folder, _index_of(Path(path)), tag, path)
    if Path(path).is_file():
        return opening.archive(Archive(Path(path)))
    raise UsageError(f"{source} is no base: neither an OCI layout folder nor a tar that `docker save` or `skopeo copy` wrote. Name one of these.")


def pull_base(reference: str, pull: Pull, blobs: Blobs, cache: Path, *, platforms: Sequence[str] = (), say: Say = lambda _line: None) -> Base:
    """The same for a reference to a registry, which is never taken for a path of this machine. Raises also what `pull` raises."""
    opening = _Opening(blobs, Kept(cache), tuple(_normal(each) for each in platforms), say)
    return opening.image(blobs, pull(reference, blobs, platforms), reference)


class _Opening:
    """One base as it is taken over."""

    def __init__(self, blobs: Blobs, kept: Kept, platforms: tuple[str, ...], say: Say) -> None:
        self._blobs = blobs
        self._kept = kept
        self._platforms = platforms
        self._say = say

    def archive(self, archive: Archive) -> Base:
        if archive.has("manifest.json"):
            image = DockerImage(archive)
            only = self._taken(image.digest, image.config, image.sources())
            return self._answer(image.name, image.digest, [only])
        if archive.has("index.json"):
            return self.layout(ArchiveBlobs(archive), parsed(archive.document("index.json"), "index.json"), "", str(archive.path))
        raise UsageError(f"{archive.path} is a tar archive but no image: it has neither manifest.json nor index.json. Save the image again.")

    def layout(self, there: Blobs, index: Mapping[str, Any], tag: str, where: str) -> Base:
        images = [each for each in map(from_wire, listed(index, "manifests")) if each.media_type in INDEX_TYPES | MANIFEST_TYPES and not each.artifact_type]
        chosen = [each for each in images if each.annotations.get(REF_NAME, "") == tag] if tag else images
        if len(chosen) != 1:
            tags = ", ".join(sorted(each.annotations.get(REF_NAME, "(no tag)") for each in images)) or "none"
            said = f"has no image tagged {tag!r}" if tag else f"has {len(images)} images"
            raise NotFound(f"{where} {said}; there are {tags}. Name one as {where}:TAG.")
        return self.image(there, chosen[0], chosen[0].annotations.get(REF_NAME, ""))

    def image(self, there: Blobs, descriptor: Descriptor, name: str) -> Base:
        """`there`: where its blobs lie now."""
        found = [self._manifest(there, each) for each in self._manifests(there, descriptor)]
        return self._answer(name, descriptor.digest, found)

    def _manifests(self, there: Blobs, descriptor: Descriptor) -> Iterator[Descriptor]:
        if descriptor.media_type not in INDEX_TYPES:
            yield descriptor
            return
        listed_ones = [from_wire(each) for each in listed(read_document(there, descriptor), "manifests")]
        offered = {_platform(each.platform or {}): each for each in listed_ones if each.media_type in MANIFEST_TYPES}
        wanted = self._platforms or ((own(),) if own() in offered else tuple(offered)[:1] if len(offered) == 1 else ())
        for platform in wanted or (own(),):
            if platform not in offered:
                raise NotFound(f"The base is for {', '.join(sorted(offered))}, not for {platform}. Name a base that has it.")
            yield offered[platform]

    def _manifest(self, there: Blobs, descriptor: Descriptor) -> BasePlatform:
        manifest = read_document(there, descriptor)
        config = read_document(there, from_wire(manifest.get("config")))
        layers = [from_wire(each) for each in listed(manifest, "layers")]
        diff_ids = [digest_of(each) for each in listed(_inside(config, "rootfs"), "diff_ids")]
        if len(layers) != len(diff_ids):
            raise UsageError(f"The base's manifest has {len(layers)} layers and its configuration names {len(diff_ids)}. Copy the image again.")
        return self._taken(descriptor.digest, config, [_source(there, layer, diff_id) for layer, diff_id in zip(layers, diff_ids, strict=True)])

    def _taken(self, digest: str, config: Mapping[str, Any], sources: Sequence[Source]) -> BasePlatform:
        if len(sources) > MOST_LAYERS:
            raise UsageError(f"The base has {len(sources)} layers; an image has at most {MOST_LAYERS}. Flatten it.")
        layers = take_layers(sources, self._blobs, self._kept, self._say)
        seen = look_into(layers, _search_path(config), self._blobs, self._kept)
        return BasePlatform(platform=_platform(config), digest=digest, layers=layers, config=config, pythons=seen.pythons, libraries=seen.libraries)

    def _answer(self, name: str, digest: str, found: Sequence[BasePlatform]) -> Base:
        base = Base(name=name, digest=digest, platforms=tuple(found))
        for platform in self._platforms:
            base.of(platform)
        return base


def own() -> str:
    """This machine's platform, as images name it."""
    machine = this_machine.machine().lower()
    return f"linux/{_MACHINES.get(machine, machine)}"


def _index_of(folder: Path) -> dict[str, Any]:
    try:
        with (folder / "index.json").open("rb") as file:
            return parsed(file.read(LARGEST + 1), f"index.json of {folder}")
    except OSError as fault:
        raise UsageError(f"{folder} has no index.json that can be read ({fault.strerror}), so it is no whole OCI layout. Copy the image again.") from fault


def _path_and_tag(source: str) -> tuple[str, str]:
    """`FOLDER:TAG`, unless something of that whole name is there."""
    path, colon, tag = source.rpartition(":")
    return (path, tag) if colon and not Path(source).exists() and Path(path).is_dir() else (source, "")


def _refuse_unusable(python: BasePython, platform: str) -> None:
    architecture = platform.split("/")[1]
    if not python.whole:
        said = f"The base has only the minimal part of Python {python.minor}'s standard library (no asyncio). Install the whole (Debian: python3) in it."
        raise EnvironmentFailure(said, cause="python-not-whole")
    if python.libc is None:
        raise EnvironmentFailure(f"The base has neither glibc nor musl that its Python {python.minor} could use. Take another base.", cause="no-libc")
    if python.machine is not None and python.machine != architecture:
        raise EnvironmentFailure(f"The base says that it is for {platform}, but its Python is for {python.machine}. Take another base.", cause="wrong-machine")


def _source(there: Blobs, layer: Descriptor, diff_id: str) -> Source:
    return Source(open=lambda: there.open(layer.digest), media_type=layer.media_type, diff_id=diff_id, digest=layer.digest)


def _platform(said: Mapping[str, Any]) -> str:
    variant = said.get("variant")
    return _normal("/".join(str(each) for each in (said.get("os"), said.get("architecture"), variant) if each))


def _normal(platform: str) -> str:
    """arm64 has one variant that matters, and everybody leaves it out or not."""
    return platform.strip().lower().removesuffix("/v8") if platform.strip().lower().startswith("linux/arm64") else platform.strip().lower()


def _search_path(config: Mapping[str, Any]) -> list[str]:
    """The folders of PATH, then where Python usually is."""
    variables = _inside(config, "config").get("Env")
    said = next((str(each)[5:] for each in variables if str(each).startswith("PATH=")), "") if isinstance(variables, list) else ""
    return list(dict.fromkeys([*(folder for folder in said.split(":") if folder.startswith("/")), *_PATH]))


def _inside(said: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = said.get(name)
    return value if isinstance(value, dict) else {}
