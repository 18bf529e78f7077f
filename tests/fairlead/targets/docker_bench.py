"""A DockerTarget on the real engine, in a folder of its own: images built as users get them, and nothing of it left at the end."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fairlead.bundles import Recipe, make
from fairlead.images.archive import docker_archive
from fairlead.images.bases import Base, open_base
from fairlead.images.building import ImageRecipe, build_image
from fairlead.images.layout import LayoutBlobs
from fairlead.images.types import PlatformImage
from fairlead.routers.envoy import EnvoyRouter
from fairlead.routers.types import Router
from fairlead.targets.docker import DockerTarget
from fairlead.targets.docker.address import find
from fairlead.targets.docker.engine import Engine
from fairlead.targets.docker.looking import INSTALLATION
from fairlead.targets.types import Image, Service
from fairlead.testing.routers import FakeRouter
from tests.containers import require_base
from tests.fairlead.targets.bench import PLAIN, ask
from tests.live import Reply
from tests.waiting import until

PLATFORM = "linux/amd64"


@dataclass
class Gallery:
    """Images of bundles; layers below the bundle are made once."""

    folder: Path
    made: dict[str, Image] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.blobs = LayoutBlobs(self.folder / "blobs")
        self.base: Base = open_base(require_base(), self.blobs, self.folder / "cache", platforms=(PLATFORM,))

    def image(self, script: str) -> Image:
        name = hashlib.sha256(script.encode()).hexdigest()[:12]
        if name not in self.made:
            source = self.folder / name
            source.mkdir()
            (source / "score.py").write_text(script)
            bundle = make(Recipe(script=source / "score.py", name="m"), source / "bundle", _no_flavor).path
            built = build_image(ImageRecipe(bundle=bundle, lock="", python="3.11", base=self.base), self.blobs, self.folder / "cache")
            self.made[name] = _image(built.platforms[0], name)
        return self.made[name]

    def without_bundle(self) -> Image:
        """The layers of one, less the last, which holds the bundle's manifest."""
        if "bare" not in self.made:
            self.made["bare"] = self._less_one_layer(self.image(PLAIN.format(version="bare")))
        return self.made["bare"]

    def foreign(self) -> Image:
        """The base alone: there is no runtime in it."""
        if "foreign" not in self.made:
            image = self.without_bundle()
            for _ in self.layers(image)[1:]:
                image = self._less_one_layer(image)
            self.made["foreign"] = replace(image, name="fairlead-test/foreign:1")
        return self.made["foreign"]

    def layers(self, image: Image) -> list[str]:
        """Their diff ids, the lowest first."""
        return [each.removeprefix("sha256:") for each in self._document(image.id)["rootfs"]["diff_ids"]]

    def archive(self, image: Image, leave_out: Collection[str]) -> Iterator[bytes]:
        return docker_archive(self.blobs, image.digest, image.name, leave_out)

    def end(self) -> None:
        for image in self.made.values():
            subprocess.run(["docker", "image", "rm", "--force", image.name], capture_output=True)

    def _less_one_layer(self, image: Image) -> Image:
        config, manifest = (self._document(digest) for digest in (image.id, image.digest))
        config["rootfs"]["diff_ids"].pop()
        config.pop("history", None)
        manifest["layers"].pop()
        raw = json.dumps(config).encode()
        put = self.blobs.put(io.BytesIO(raw))
        manifest["config"] |= {"digest": f"sha256:{put.digest}", "size": put.size}
        digest = self.blobs.put(io.BytesIO(json.dumps(manifest).encode())).digest
        return replace(image, digest=digest, id=put.digest, name="fairlead-test/bare:1")

    def _document(self, digest: str) -> Any:
        with self.blobs.open(digest) as file:
            return json.loads(file.read())


@dataclass
class DockerBench:
    folder: Path
    gallery: Gallery
    router: Router | None
    target: DockerTarget = field(init=False)

    def __post_init__(self) -> None:
        self.state = self.folder / "state"
        self.engine = Engine(find())
        self.target = self.another_target()

    def another_target(self) -> DockerTarget:
        """As after a restart of the server."""
        return DockerTarget(self.state, self.engine, self.router, self.gallery.archive)

    def service(self, script: str = PLAIN.format(version=1), **changes: Any) -> Service:
        said: dict[str, Any] = {"handle": "fl-0000000a", "workspace": "default", "name": "churn", "revision": "r1", "generation": 1}
        return Service(**{**said, "image": self.gallery.image(script), **changes})

    @property
    def labels(self) -> dict[str, str]:
        return {INSTALLATION: (self.state / "installation").read_text()}

    def containers(self, **wanted: str) -> list[str]:
        """Ids. wanted: by label, without the prefix."""
        return [each.id for each in self.engine.containers({**self.labels, **{f"ai.fairlead.{name}": value for name, value in wanted.items()}})]

    def port(self, handle: str) -> int:
        """Of the service; without a proxy, of a replica."""
        if isinstance(self.router, FakeRouter):
            route = next(each for each in reversed(self.router.published) if each.handle == handle)
            return next(each.port for each in route.upstreams if each.weight)
        return int(str(self.target.observe(handle).endpoint).rpartition(":")[2])

    def request(self, service: Service, path: str = "/score", body: Any = None, headers: Mapping[str, str] | None = None) -> Reply:
        return ask(self.port(service.handle), path, body, headers)

    def end(self) -> None:
        """Everything of this installation, whatever has become of it."""
        if isinstance(self.router, EnvoyRouter):
            self.router.end()
        if not (self.state / "installation").exists():
            return
        for container in self.containers():
            self.engine.remove(container)
        until(lambda: not self.containers(), "containers to be gone")
        for volume in self.engine.volumes(self.labels):
            self.engine.remove_volume(volume)


def _image(built: PlatformImage, name: str) -> Image:
    size = sum(layer.descriptor.size for layer in built.layers)
    return Image(digest=built.manifest.digest, id=built.config.digest, name=f"fairlead-test/{name}:1", size=size)


def _no_flavor(_path: Path) -> Any:
    raise AssertionError("a bundle with a script asks no flavor")
