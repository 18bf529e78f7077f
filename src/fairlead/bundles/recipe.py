"""What goes into a bundle, as a person says it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from fairlead.errors import UsageError

_NAMED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,254})(?::([^=:/\\]*))?=(.+)", re.DOTALL)
_UNUSABLE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, kw_only=True)
class ModelSource:
    """A model file or folder on this machine, and the name and version under which a script finds it."""

    name: str
    path: Path
    version: str = "1"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything a bundle is made of.

    script: None lets the one model's flavor supply it. source_dir: folder of the script that ships with it; without it the script ships alone.
    schema: declares inputs and output (Fairlead's JSON, or a first-generation service schema); `schema_from_sample` reads them off the sample.
    serving: batching, concurrency, warmup as the runtime reads them. proof: what a compile step recorded. allow: patterns of private-looking files.
    """

    models: Sequence[ModelSource] = ()
    script: Path | None = None
    source_dir: Path | None = None
    requirements: Path | None = None
    conda: Path | None = None
    schema: Path | None = None
    schema_from_sample: bool = False
    sample: Path | None = None
    name: str | None = None
    serving: Mapping[str, Any] = field(default_factory=dict)
    proof: Mapping[str, Any] | None = None
    allow: Sequence[str] = ()


class FlavorTemplate(Protocol):
    """What making a bundle needs of a flavor."""

    @property
    def name(self) -> str: ...
    @property
    def score_py(self) -> str: ...


class Found(Protocol):
    """What a flavor found in a model: its script, pinned requirements, and a schema where the files state one."""

    @property
    def flavor(self) -> FlavorTemplate: ...
    @property
    def requirements(self) -> Sequence[str]: ...
    @property
    def schema(self) -> Mapping[str, Any] | None: ...


def parse_model(said: str) -> ModelSource:
    """Reads `PATH`, `NAME=PATH` or `NAME:VERSION=PATH`; a path that exists as it is written is a path. Raises UsageError."""
    named = _NAMED.fullmatch(said)
    whole = Path(said)
    before, _, behind = said.partition("=")
    if named is None and behind and not whole.exists() and Path(behind).exists():
        raise UsageError(f"Model {said!r}: {before!r} is no model name; letters, digits, '.', '_' and '-' are, after a letter or digit.")
    if named is None or whole.exists():
        return ModelSource(name=_name_of(_existing(whole)), path=whole)
    name, version, path = named.groups()
    if version is not None and not re.fullmatch(r"[1-9][0-9]{0,8}", version):
        raise UsageError(f"Model {said!r}: version {version!r} must be a whole number from 1 up.")
    return ModelSource(name=name, path=_existing(Path(path)), version=version or "1")


def _existing(path: Path) -> Path:
    if not path.exists():
        raise UsageError(f"Model {str(path)!r} does not exist. Write PATH, NAME=PATH or NAME:VERSION=PATH.")
    return path


def _name_of(path: Path) -> str:
    """The file's own name without its last suffix, in the letters that a model's name may have."""
    own = path.resolve()
    name = _UNUSABLE.sub("-", own.name if own.is_dir() else own.stem).lstrip("._-")[:255]
    if not name:
        raise UsageError(f"Model {str(path)!r}: its file name makes no model name. Write NAME={path}.")
    return name
