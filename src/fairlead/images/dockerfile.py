"""A Dockerfile and its context instead of an image: for packages without wheels, steps of one's own, a base of one's own, or an engine that builds.

FOLDER/Dockerfile, .dockerignore, README.md
FOLDER/fairlead/code, model        together the bundle; apart, so that another model is one other layer
FOLDER/fairlead/requirements.lock  the user's packages, with hashes
FOLDER/fairlead/runtime.lock, runtime/  the scoring runtime
FOLDER/fairlead/build              pip, and two empty files for the settings of the machine that builds
FOLDER/…                           files that the user's own instructions copy, under their own paths
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fairlead_scoring.bundle import MANIFEST, MODELS, open_bundle

from fairlead.errors import Conflict, UsageError
from fairlead.images import dockerfile_reading, pip_wheel
from fairlead.images.container import OCI, moment
from fairlead.images.dockerfile_text import DOCKERFILE, PLACE, SETTINGS, STEPS, Words, dockerfile

_OF_ROOT = frozenset(("Dockerfile", ".dockerignore", "README.md"))
_PATTERN = frozenset("*?[")
_IGNORED = "Dockerfile\n.dockerignore\nREADME.md\n"
_README = """# An image of a model service

    docker build -t NAME .
    docker run --rm -p 127.0.0.1:5001:5001 --read-only --tmpfs /tmp NAME

Packages come from the index that pip finds, and only with the hashes of the two .lock files. When the index needs settings:

- `--build-arg PIP_INDEX_URL=...` (and PIP_EXTRA_INDEX_URL), `--build-arg https_proxy=...`;
- fairlead/build/pip.conf, a configuration file of pip, and fairlead/build/ca.crt, certificates in PEM. Both are empty, and stay in stages that are
  no part of the image. With BuildKit they need not even enter the build's cache: leave them empty, write
  `RUN --mount=type=secret,id=pip,target=/build/pip.conf --mount=type=secret,id=ca,target=/build/ca.crt set -eu; \\` in place of the two lines
  `RUN set -eu; \\`, and give `--secret id=pip,src=FILE --secret id=ca,src=FILE`.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerfileRecipe:
    """What an image is made of, as for `build_image`; and what only a Dockerfile can do.

    lock, runtime_lock: pinned, hashed requirement lines; "": none. runtime: the folder of the package fairlead_scoring.
    base_image: "" is the slim image of that Python. base_dockerfile: its result is the base instead. extra_steps: instructions that run as root.
    source: where files lie that those two copy; None: the bundle's code. system_packages: the environment also sees what the base has installed.
    cache: where pip is kept for the next time. created: seconds since the epoch, the time of every file.
    """

    bundle: Path
    lock: str
    python: str
    runtime: Path
    runtime_lock: str
    cache: Path
    base_image: str = ""
    base_dockerfile: str = ""
    extra_steps: str = ""
    source: Path | None = None
    system_packages: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    created: int = 0


def write_context(recipe: DockerfileRecipe, folder: Path) -> Path:
    """The Dockerfile, in `folder`, empty or not there yet. The same bytes for the same recipe. Raises UsageError, Conflict, EnvironmentFailure."""
    text = dockerfile(_words(recipe))
    if folder.exists() and any(folder.iterdir()):
        raise Conflict(f"{folder} is not empty. Choose another -o, or delete it.")
    pip = pip_wheel.pip_wheel(recipe.cache)
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        _fill(staging, recipe, text, pip)
        _settle(staging, recipe.created)
        staging.replace(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return folder / "Dockerfile"


def _words(recipe: DockerfileRecipe) -> Words:
    if recipe.base_image and recipe.base_dockerfile:
        raise UsageError("A base image and a base Dockerfile are both given. Delete one.")
    return Words(
        python=recipe.python,
        pip=pip_wheel.NAME,
        base_image=recipe.base_image,
        base_dockerfile=recipe.base_dockerfile,
        extra_steps=recipe.extra_steps,
        has_packages=bool(recipe.lock.strip()),
        system_packages=recipe.system_packages,
        labels=_labels(recipe) | dict(recipe.labels),
        variables=recipe.variables,
    )


def _labels(recipe: DockerfileRecipe) -> dict[str, str]:
    """As `build_image` writes them, but for what only the base itself can tell."""
    bundle = open_bundle(recipe.bundle, verify=False)
    return {
        f"{OCI}.title": bundle.manifest.name,
        f"{OCI}.created": moment(recipe.created),
        "ai.fairlead.model": ",".join(f"{each.name}:{each.version}" for each in bundle.manifest.models),
        "ai.fairlead.bundle": bundle.digest,
        "ai.fairlead.lock": hashlib.sha256(recipe.lock.encode()).hexdigest(),
        **({f"{OCI}.base.name": recipe.base_image, "ai.fairlead.base": recipe.base_image} if recipe.base_image else {}),
    }


def _fill(staging: Path, recipe: DockerfileRecipe, text: str, pip: Path) -> None:
    source = recipe.source or recipe.bundle / "code"
    for said, where in ((recipe.base_dockerfile, DOCKERFILE), (recipe.extra_steps, STEPS)):
        _copy_named(dockerfile_reading.copied(said, where), source, staging, where)
    ours = staging / PLACE
    _write(staging / "Dockerfile", text)
    _write(staging / ".dockerignore", _IGNORED)
    _write(staging / "README.md", _README)
    _write(ours / "requirements.lock", recipe.lock)
    _write(ours / "runtime.lock", recipe.runtime_lock)
    for name in SETTINGS:
        _write(ours / "build" / name, "")
    _copy(pip, ours / "build" / pip.name)
    _copy_tree(recipe.runtime, ours / "runtime" / "fairlead_scoring")
    for path in _files(recipe.bundle):
        inside = path.relative_to(recipe.bundle)
        part = "model" if inside.parts[0] == MODELS or inside.as_posix() == MANIFEST else "code"
        _copy(path, ours / part / inside)
    (ours / "code").mkdir(exist_ok=True)


def _copy_named(named: Iterable[str], source: Path, staging: Path, where: str) -> None:
    """Files and folders that their instructions copy; a build outside of Fairlead would take them from the same relative paths."""
    for said in named:
        found = list(_meant(source, said))
        if not found:
            raise UsageError(f"{where} copies {said!r}, which is not in {source}. Paths are those of the script's folder; put it there, or correct it.")
        for path in found:
            inside = path.relative_to(source)
            if inside.parts[0] == PLACE:
                raise UsageError(f"{where} copies {said!r}, and {PLACE}/ in the build's context is ours. Give that folder another name.")
            _copy_tree(path, staging / inside)


def _meant(source: Path, said: str) -> Iterator[Path]:
    """Nothing for what leads out of the source."""
    inside = said.lstrip("/").removeprefix("./").rstrip("/")
    if ".." in Path(inside).parts:
        return
    if inside in {"", "."}:
        found = [each for each in sorted(source.iterdir()) if each.name not in _OF_ROOT]
    else:
        found = sorted(source.glob(inside)) if _PATTERN & set(inside) else [source / inside]
    yield from (each for each in found if each.exists() and each.resolve().is_relative_to(source.resolve()))


def _copy_tree(path: Path, target: Path) -> None:
    if not path.is_dir():
        _copy(path, target)
        return
    target.mkdir(parents=True, exist_ok=True)
    for each in _files(path):
        _copy(each, target / each.relative_to(path))


def _files(folder: Path) -> Iterator[Path]:
    """Regular files below, sorted; what Python has compiled for itself is none of them."""
    for each in sorted(folder.rglob("*")):
        if each.is_file() and not each.is_symlink() and "__pycache__" not in each.parts:
            yield each


def _copy(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)
    target.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
    path.chmod(0o644)


def _settle(staging: Path, created: int) -> None:
    """Modes and times that depend on nothing here."""
    for each in (staging, *staging.rglob("*")):
        if each.is_dir():
            each.chmod(0o755)
        os.utime(each, (created, created))
