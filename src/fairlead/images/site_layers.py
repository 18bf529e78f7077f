"""Makes a layer that is a Python environment: the wheels of a lock, their modules compiled, at the path where they will lie.

The layer is joined of parts, one per distribution and one for the folders and links around them; each is packed and compressed once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fairlead.images.bytecode import Compiler, Module
from fairlead.images.distributions import Distribution, Site, distributions_in
from fairlead.images.joining import Joined, join
from fairlead.images.kept import Kept, key_of
from fairlead.images.packing import COMPRESSOR, Count, pack, unpacked
from fairlead.images.shared_libraries import libraries_wanted
from fairlead.images.tar_writing import END, Entry, archive_of, folders_above
from fairlead.images.types import LAYER, Blobs, Descriptor, Layer, Say
from fairlead.images.wheel_hashes import Wheels, expanded, hash_of, wheels_that_fit
from fairlead.images.wheels import WheelTarget, lay_down_wheels

_AT_ONCE = 2
_LOCKED = "fairlead.json"  # as in environments that are built here: the runtime's cure for a missing package is a new requirement, not pip
_Part = tuple[str, Distribution]
_CONFIGURATION = "home = {home}\ninclude-system-site-packages = false\nversion = {version}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One distribution in a layer. `sha256`: of its wheel, empty where it is not known."""

    name: str
    version: str
    licence: str = ""
    summary: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteLayer:
    """`compiled_by`: such as `CPython 3.11.7`; empty when there was no such Python here and modules are compiled at each start.

    `wants`: shared library of the system to the first package that needs it.
    """

    layer: Layer
    packages: tuple[Package, ...]
    compiled_by: str
    wants: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteRecipe:
    """`interpreter`: the base's Python, absolute. `extra`: distributions that are not in the lock."""

    what: str
    site: Site
    lock: str
    target: WheelTarget
    interpreter: str
    compiler: Compiler | None
    created: int
    extra: tuple[Distribution, ...] = ()

    @property
    def key(self) -> str:
        facts = {"site": self.site.path, "lock": self.lock, "platform": self.target.tag, "python": self.target.python, "interpreter": self.interpreter}
        extra = {each.name: content_of(each) for each in self.extra}
        return key_of({**facts, "extra": extra, **self._same_for_all})

    def part_key(self, distribution: Distribution) -> str:
        return key_of({"files": content_of(distribution), "site": self.site.path, "minor": self.site.minor, **self._same_for_all})

    @property
    def _same_for_all(self) -> dict[str, Any]:
        return {"compiler": self.compiler.version if self.compiler else None, "created": self.created, "packed": COMPRESSOR}


def make_site_layer(recipe: SiteRecipe, blobs: Blobs, kept: Kept, say: Say) -> SiteLayer:
    """From what is kept when it was made before. Raises EnvironmentFailure."""
    with kept.room() as room, ThreadPoolExecutor(1) as beside:
        known = kept.facts("layers", recipe.key)
        if known is not None and (joined := _again(known, blobs, kept)) is not None:
            return _answer(recipe, joined, known)
        say(f"Laying down packages of the {recipe.what} for {recipe.target.platform}, Python {recipe.target.minor}, {recipe.target.libc}")
        lay_down_wheels(recipe.lock, recipe.target, room / "wheels")
        wheels = beside.submit(wheels_that_fit, recipe.lock, recipe.target, kept)
        distributions = [*distributions_in(room / "wheels", recipe.site), *recipe.extra]
        joined = _join_parts([_around(recipe, distributions), *distributions], recipe, blobs, kept, room, say)
        packages = [_package(each, wheels.result()) for each in distributions if each.version]
        known = {**joined.to_json(), "packages": [asdict(each) for each in packages], "wants": libraries_wanted(distributions)}
        kept.remember("layers", recipe.key, known)
        return _answer(recipe, joined, known)


def content_of(distribution: Distribution) -> str:
    """SHA-256 over paths, modes and bytes."""
    hasher = hashlib.sha256()
    for entry in distribution.entries:
        inside = hashlib.sha256((entry.file.read_bytes() if entry.file else entry.content) or b"").hexdigest()
        hasher.update(json.dumps([entry.path, entry.link, entry.executable, inside]).encode())
    return hasher.hexdigest()


def _again(known: dict[str, Any], blobs: Blobs, kept: Kept) -> Joined | None:
    """The layer that was made before, put among the blobs again if it is not there; None when its parts are gone."""
    joined = Joined.from_json(known)
    if blobs.size(joined.digest) is not None:
        return joined
    if all(kept.has_part(key) for key in joined.parts):
        return join(joined.parts, joined.diff_id, blobs, kept)
    return None


def _answer(recipe: SiteRecipe, joined: Joined, known: dict[str, Any]) -> SiteLayer:
    layer = Layer(descriptor=Descriptor(media_type=LAYER, digest=joined.digest, size=joined.size), diff_id=joined.diff_id, what=recipe.what)
    packages = tuple(Package(**each) for each in known["packages"])
    return SiteLayer(layer=layer, packages=packages, compiled_by=recipe.compiler.version if recipe.compiler else "", wants=known["wants"])


def _package(distribution: Distribution, wheels: Wheels) -> Package:
    return Package(
        name=distribution.name,
        version=distribution.version,
        licence=distribution.licence,
        summary=distribution.summary,
        sha256=hash_of(distribution.name, expanded(distribution.tags), wheels),
    )


def _around(recipe: SiteRecipe, distributions: Sequence[Distribution]) -> Distribution:
    """What makes a folder a virtual environment, and every folder in it."""
    path = recipe.site.path
    home = recipe.interpreter.rpartition("/")[0]
    own = [
        Entry(path=f"{path}/pyvenv.cfg", content=_CONFIGURATION.format(home=home, version=recipe.target.python).encode()),
        Entry(path=f"{path}/{_LOCKED}", content=json.dumps({"python": recipe.site.minor}).encode()),
        Entry(path=f"{path}/bin/python", link=recipe.interpreter),
        Entry(path=f"{path}/bin/python3", link="python"),
        Entry(path=f"{path}/bin/python{recipe.site.minor}", link="python"),
    ]
    files = [entry.path for each in distributions for entry in each.entries]
    compiled = [_cached_path(place, "x") for place in files if recipe.compiler and _is_module(place, recipe.site)]
    folders = folders_above([*files, *compiled, f"{recipe.site.packages}/", *(entry.path for entry in own)])
    return Distribution(name="environment", version="", entries=(*(Entry(path=each) for each in folders), *own))


def _join_parts(distributions: Sequence[Distribution], recipe: SiteRecipe, blobs: Blobs, kept: Kept, room: Path, say: Say) -> Joined:
    parts = [(recipe.part_key(each), each) for each in distributions]
    fresh = [part for part in parts if not kept.has_part(part[0])]
    if fresh:
        say(f"Packing {len(fresh)} of {len(parts)} parts of the {recipe.what}")
    diff_id = _pack_parts(parts, fresh, recipe, kept, room)
    return join([key for key, _ in parts], diff_id, blobs, kept)


def _pack_parts(parts: Sequence[_Part], fresh: Sequence[_Part], recipe: SiteRecipe, kept: Kept, room: Path) -> str:
    """Answers the diff_id of all of them. Compiling is other processes' work and goes ahead of packing, the largest first."""
    archive = Count()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        largest_first = sorted(fresh, key=lambda part: -_weight(part[1], recipe.site))
        compiled = {key: pool.submit(_compiled, each, recipe, room / "compiled" / key) for key, each in largest_first}
        for key, each in parts:
            if key in compiled:
                blocks = archive.through(archive_of([*each.entries, *compiled[key].result()], recipe.created))
                kept.put_part(key, lambda out, blocks=blocks: pack(blocks, out))  # type: ignore[misc]
            else:
                with kept.open_part(key) as part:
                    for chunk in unpacked(part):
                        archive.add(chunk)
    archive.add(END)
    return archive.digest


def _compiled(distribution: Distribution, recipe: SiteRecipe, room: Path) -> list[Entry]:
    if recipe.compiler is None:
        return []
    modules = []
    for number, entry in enumerate(distribution.entries):
        if entry.file is not None and _is_module(entry.path, recipe.site):
            modules.append((Module(source=entry.file, place=f"/{entry.path}", target=room / f"{number}.pyc"), entry.path))
    if modules:
        recipe.compiler.compile([module for module, _ in modules])
    return [Entry(path=_cached_path(path, recipe.compiler.tag), file=module.target) for module, path in modules if module.target.is_file()]


def _is_module(path: str, site: Site) -> bool:
    """One that is compiled. Packages' own tests, half of what NumPy, SciPy and scikit-learn consist of, stay sources: no service imports them."""
    return path.endswith(".py") and path.startswith(f"{site.packages}/") and "/tests/" not in path


def _cached_path(path: str, tag: str) -> str:
    folder, _, name = path.rpartition("/")
    return f"{folder}/__pycache__/{name.removesuffix('.py')}.{tag}.pyc"


def _weight(distribution: Distribution, site: Site) -> int:
    return sum(entry.file.stat().st_size for entry in distribution.entries if entry.file and _is_module(entry.path, site))
