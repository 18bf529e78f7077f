"""Writes an image from a bundle, a lock and a base: no daemon, no root, and nothing of the user's or of a package runs.

Layers, lowest first: the base's, environment, runtime, code, models. The same inputs give the same digests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from fairlead_scoring.bundle import Bundle, BundleError, open_bundle

from fairlead.errors import InvalidBundle, UsageError
from fairlead.images.base_files import BasePython
from fairlead.images.bases import Base, BasePlatform
from fairlead.images.bundle_layers import make_bundle_layers
from fairlead.images.bytecode import find_compiler
from fairlead.images.configuration import Stated, configuration
from fairlead.images.container import ENVIRONMENT, OCI, RUNTIME, moment
from fairlead.images.distributions import Site
from fairlead.images.documents import put_document, to_wire
from fairlead.images.kept import Kept
from fairlead.images.runtime import runtime_distribution, runtime_lock
from fairlead.images.sbom import Materials, attach_sbom
from fairlead.images.shared_libraries import lacking
from fairlead.images.site_layers import SiteLayer, SiteRecipe, make_site_layer
from fairlead.images.types import CONFIG, INDEX, MANIFEST, Blobs, BuiltImage, Descriptor, Layer, PlatformImage, Say
from fairlead.images.wheels import WheelTarget


@dataclass(frozen=True, kw_only=True)
class ImageRecipe:
    """What goes into an image.

    lock: pinned, hashed requirement lines; empty: no packages. python: the lock's minor. platforms: none: those that the base was opened for.
    labels, variables: beside our own. created: seconds since the epoch, of every file (SOURCE_DATE_EPOCH).
    """

    bundle: Path
    lock: str
    python: str
    base: Base
    platforms: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    created: int = 0


def build_image(recipe: ImageRecipe, blobs: Blobs, cache: Path, say: Say = lambda _line: None) -> BuiltImage:
    """Puts every part among the blobs: layers, configurations, manifests, bills of materials. `cache`: remembers what was packed before.

    Raises InvalidBundle, EnvironmentFailure (a wheel, the base's Python or its libc does not fit), NotFound, UsageError, DigestMismatch.
    """
    try:
        bundle = open_bundle(recipe.bundle, verify=False)  # each file is checked when it is packed
    except BundleError as fault:
        raise InvalidBundle(str(fault)) from fault
    platforms = recipe.platforms or tuple(each.platform for each in recipe.base.platforms)
    if not 0 <= recipe.created < 1 << 33:
        raise UsageError(f"{recipe.created} is no time for files (SOURCE_DATE_EPOCH); give seconds since 1970.")
    kept = Kept(cache)
    own = make_bundle_layers(bundle, recipe.created, blobs, kept, say)
    builds = [_PlatformBuild(recipe, bundle, recipe.base.of(each), own) for each in platforms]
    images = tuple(each.build(blobs, kept, say) for each in builds)
    descriptor = images[0].manifest if len(images) == 1 else _index(images, recipe, blobs)
    return BuiltImage(
        descriptor=descriptor, platforms=images, base=str(recipe.base), notices=tuple(dict.fromkeys(notice for each in builds for notice in each.notices))
    )


@dataclass(frozen=True, kw_only=True)
class _Environment:
    python: BasePython
    user: SiteLayer
    ours: SiteLayer


class _PlatformBuild:
    """The image of one platform."""

    def __init__(self, recipe: ImageRecipe, bundle: Bundle, base: BasePlatform, own: tuple[Layer, ...]) -> None:
        self._recipe = recipe
        self._bundle = bundle
        self._base = base
        self._own = own
        self.notices: list[str] = []

    def build(self, blobs: Blobs, kept: Kept, say: Say) -> PlatformImage:
        environment = self._environment(blobs, kept, say)
        layers = (*self._base.layers, environment.user.layer, environment.ours.layer, *self._own)
        config = put_document(blobs, configuration(self._base, layers, self._stated(environment)), CONFIG)
        said = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": to_wire(config),
            "layers": [to_wire(layer.descriptor) for layer in layers],
            "annotations": {f"{OCI}.created": moment(self._recipe.created), f"{OCI}.title": self._bundle.manifest.name},
        }
        manifest = put_document(blobs, said, MANIFEST, platform=_platform(self._base.platform))
        materials = Materials(
            bundle=self._bundle,
            base=self._recipe.base,
            on=self._base,
            python=environment.python.version,
            sites=(environment.user, environment.ours),
            created=self._recipe.created,
        )
        return PlatformImage(
            platform=self._base.platform,
            manifest=manifest,
            config=config,
            layers=layers,
            python_version=environment.python.version,
            libc=str(environment.python.libc),
            sbom=attach_sbom(materials, manifest, blobs),
        )

    def _environment(self, blobs: Blobs, kept: Kept, say: Say) -> _Environment:
        python = self._base.python(self._recipe.python)
        assert python.libc is not None
        target = WheelTarget(platform=self._base.platform, python=python.version, libc=python.libc)
        compiler = find_compiler(python.minor)
        if compiler is None:
            self._note(
                f"There is no Python {python.minor} on this machine to compile modules with; the container compiles them at each start, which takes longer.",
                say,
            )

        def made(what: str, place: str, lock: str) -> SiteLayer:
            site = Site(path=place, minor=python.minor)
            extra = (runtime_distribution(site),) if what == "runtime" else ()
            made_of = SiteRecipe(
                what=what, site=site, lock=lock, target=target, interpreter=python.path, compiler=compiler, created=self._recipe.created, extra=extra
            )
            return make_site_layer(made_of, blobs, kept, say)

        with ThreadPoolExecutor(2) as pool:  # each has stretches that keep one processor only busy
            user, ours = pool.map(made, ("environment", "runtime"), (ENVIRONMENT, RUNTIME), (self._recipe.lock, runtime_lock()))
        for sentence in lacking({**ours.wants, **user.wants}, self._base.libraries):
            self._note(sentence, say)
        return _Environment(python=python, user=user, ours=ours)

    def _note(self, sentence: str, say: Say) -> None:
        self.notices.append(sentence)
        say(sentence)

    def _stated(self, environment: _Environment) -> Stated:
        manifest = self._bundle.manifest
        models = ",".join(f"{each.name}:{each.version}" for each in manifest.models)
        labels = {
            f"{OCI}.title": manifest.name,
            f"{OCI}.created": moment(self._recipe.created),
            f"{OCI}.base.digest": f"sha256:{self._base.digest}",
            "ai.fairlead.model": models,
            "ai.fairlead.bundle": self._bundle.digest,
            "ai.fairlead.lock": hashlib.sha256(self._recipe.lock.encode()).hexdigest(),
            "ai.fairlead.base": str(self._recipe.base),
            "ai.fairlead.bytecode": environment.user.compiled_by,
        }
        if self._recipe.base.name:
            labels[f"{OCI}.base.name"] = self._recipe.base.name
        count = len(environment.user.packages)
        notes = {"environment": f"environment: {count} packages", "runtime": "runtime: fairlead-scoring and what it needs"}
        return Stated(labels=labels | dict(self._recipe.labels), variables=self._recipe.variables, created=self._recipe.created, notes=notes)


def _index(images: tuple[PlatformImage, ...], recipe: ImageRecipe, blobs: Blobs) -> Descriptor:
    annotations = {f"{OCI}.created": moment(recipe.created)}
    said = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [to_wire(each.manifest) for each in images], "annotations": annotations}
    return put_document(blobs, said, INDEX)


def _platform(platform: str) -> dict[str, str]:
    names = ("os", "architecture", "variant")
    return dict(zip(names, platform.split("/"), strict=False))
