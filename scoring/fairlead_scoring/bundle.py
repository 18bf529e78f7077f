"""A bundle: a folder that never changes once written, named by the SHA-256 of its manifest.

    BUNDLE/bundle.json                            what is in it; its bytes are canonical JSON, so `sha256sum bundle.json` is the bundle's name
    BUNDLE/code/score.py ...                      copied into the worker's private working directory
    BUNDLE/azureml-models/NAME/VERSION/<entry>    linked there: one file or one folder per model, under its original name

Files count by path, size, content and executable bit; owners, times and empty folders do not. Links and special files are refused.
Opening hashes every file: the process that starts workers does it once and passes `verify=False` on.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence, Set, Tuple

from fairlead_scoring.schema import DeclarationError, Signature

MANIFEST = "bundle.json"
MANIFEST_VERSION = 1
CODE = "code"
MODELS = "azureml-models"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}\Z")
_VERSION = re.compile(r"[1-9][0-9]{0,8}\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_CHUNK = 1 << 20
_NAMED = 5


class BundleError(ValueError):
    """A folder that is no bundle, or not the one its manifest describes; `missing`, `changed` and `extra` hold paths."""

    def __init__(self, message: str, *, missing: Sequence[str] = (), changed: Sequence[str] = (), extra: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.missing = tuple(missing)
        self.changed = tuple(changed)
        self.extra = tuple(extra)


@dataclass(frozen=True)
class BundledFile:
    """One file: POSIX path inside the bundle, size in bytes, content hash in hex, and whether its owner may execute it."""

    path: str
    size: int
    sha256: str
    executable: bool = False

    def to_json(self) -> Dict[str, Any]:
        return {"path": self.path, "size": self.size, "sha256": self.sha256, "exec": self.executable}


@dataclass(frozen=True)
class BundledModel:
    """One model; `path` leads to its file or folder inside the bundle, `version` is a whole number as text."""

    name: str
    version: str
    path: str
    flavor: Optional[str] = None

    def __post_init__(self) -> None:
        if not _NAME.match(self.name):
            raise BundleError(f"Model name {self.name!r} is not usable; letters, digits, '.', '_' and '-' are, after a letter or digit.")
        if not _VERSION.match(self.version):
            raise BundleError(f"Model {self.name}: version {self.version!r} must be a whole number from 1 up.")
        if self.path.rpartition("/")[0] != f"{MODELS}/{self.name}/{self.version}":
            raise BundleError(f"Model {self.name}: path {self.path!r} must be {MODELS}/{self.name}/{self.version}/<entry>.")

    def to_json(self) -> Dict[str, Any]:
        return {"name": self.name, "version": self.version, "path": self.path, "flavor": self.flavor}


@dataclass(frozen=True)
class Manifest:
    """What `bundle.json` says. `entry_script` is relative to code/; `extra` holds fields of later releases, kept as they are."""

    name: str
    files: Tuple[BundledFile, ...]
    entry_script: Optional[str] = None
    models: Tuple[BundledModel, ...] = ()
    requirements: Optional[str] = None
    conda: Optional[str] = None
    schema: Optional[Dict[str, Any]] = None
    sample: Optional[str] = None
    serving: Dict[str, Any] = field(default_factory=dict)
    flavor: Optional[str] = None
    proof: Optional[Dict[str, Any]] = None
    extra: Dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _NAME.match(self.name):
            raise BundleError(f"Bundle name {self.name!r} is not usable; letters, digits, '.', '_' and '-' are, after a letter or digit.")
        self._refuse_strange_paths()
        self._refuse_dangling()

    def signature(self) -> Optional[Signature]:
        """The declared inputs and output, None where nothing is declared."""
        return None if self.schema is None else Signature.from_json(self.schema)

    def to_json(self) -> Dict[str, Any]:
        out = dict(self.extra)
        out.update({key: getattr(self, key) for key in _PLAIN})
        out["manifest_version"] = MANIFEST_VERSION
        out["models"] = [model.to_json() for model in self.models]
        out["files"] = [each.to_json() for each in self.files]
        return out

    @staticmethod
    def from_json(said: Any) -> Manifest:
        """Raises BundleError when the version is not ours to read or a field makes no sense."""
        if not isinstance(said, dict) or type(said.get("manifest_version")) is not int:
            raise BundleError(f"{MANIFEST} is not a bundle manifest: manifest_version is missing.")
        if said["manifest_version"] != MANIFEST_VERSION:
            message = "{} has manifest_version {}; this Fairlead reads {}. Use the release that wrote it, or a newer one."
            raise BundleError(message.format(MANIFEST, said["manifest_version"], MANIFEST_VERSION))
        for key, kinds in _PLAIN.items():
            if (key in said or key == "name") and not isinstance(said.get(key), kinds):
                raise BundleError(f"{MANIFEST}: {key} is {said.get(key)!r}, which is no value for it.")
        return Manifest(
            models=tuple(_model_from_json(each) for each in _objects(said, "models")),
            files=tuple(_file_from_json(each) for each in _objects(said, "files")),
            extra={key: value for key, value in said.items() if key not in _PLAIN and key not in _OTHER},
            **{key: said[key] for key in _PLAIN if key in said},
        )

    def _refuse_strange_paths(self) -> None:
        paths = [each.path for each in self.files]
        refuse_strange_paths(paths, MANIFEST)
        if MANIFEST in paths:
            raise BundleError(f"{MANIFEST}: path {MANIFEST!r} is the manifest's own.")
        if self.models and any(path.startswith(f"{CODE}/{MODELS}/") for path in paths):
            raise BundleError(f"{MANIFEST}: the script ships a folder {MODELS}, which is where its models are put; rename it.")

    def _refuse_dangling(self) -> None:
        paths = {each.path for each in self.files}
        named = [self.requirements, self.conda, self.sample, None if self.entry_script is None else CODE + "/" + self.entry_script]
        for path in named:
            if path is not None and path not in paths:
                raise BundleError(f"{MANIFEST}: {path!r} is named but not among the files.")
        keys = [(model.name.lower(), model.version) for model in self.models]
        for key, model in zip(keys, self.models):
            if keys.count(key) > 1:
                raise BundleError(f"{MANIFEST}: model {model.name}:{model.version} is listed twice.")
            if model.path not in paths and not any(path.startswith(model.path + "/") for path in paths):
                raise BundleError(f"{MANIFEST}: model {model.name} has no file below {model.path!r}.")
        try:
            self.signature()
        except DeclarationError as fault:
            raise BundleError(f"{MANIFEST}: schema: {fault}") from None


_TEXT = (str, type(None))
_PLAIN: Dict[str, Any] = {
    "name": str, "entry_script": _TEXT, "requirements": _TEXT, "conda": _TEXT, "schema": (dict, type(None)), "sample": _TEXT, "serving": dict,
    "flavor": _TEXT, "proof": (dict, type(None)),
}  # fmt: skip
_OTHER = frozenset(["manifest_version", "models", "files"])


@dataclass(frozen=True)
class Bundle:
    """An opened bundle: its folder (absolute), what the manifest says, its name."""

    path: Path
    manifest: Manifest
    digest: str

    def sample(self) -> Optional[bytes]:
        """The sample body, as bytes to send; None without one."""
        return None if self.manifest.sample is None else (self.path / self.manifest.sample).read_bytes()


@dataclass(frozen=True)
class Layout:
    """A worker's private working directory. model_dir is the value of AZUREML_MODEL_DIR, None without models."""

    app_root: Path
    entry_script: Optional[Path]
    model_dir: Optional[Path]


def open_bundle(path: Path, verify: bool = True, expected: Optional[str] = None) -> Bundle:
    """Reads a bundle and, unless told otherwise, every byte of it.

    Raises BundleError that names what is missing, changed or extra. expected: digest that the bundle must have.
    """
    root = Path(path).resolve()
    manifest, found = _read_manifest(root)
    if expected is not None and expected != found:
        raise BundleError(f"{path} is bundle {found}, not {expected}.")
    if verify:
        _verify(root, manifest)
    return Bundle(root, manifest, found)


def is_bundle(path: Path) -> bool:
    """Whether the folder claims to be a bundle; `open_bundle` finds out whether it is one."""
    return (Path(path) / MANIFEST).is_file()


def canonical(said: Dict[str, Any]) -> bytes:
    """The only bytes that a manifest with this content may have on disk."""
    return json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode("utf-8")


def digest(manifest: Manifest) -> str:
    """The bundle's name: SHA-256 of the canonical manifest, in hex."""
    return hashlib.sha256(canonical(manifest.to_json())).hexdigest()


def write_manifest(root: Path, manifest: Manifest) -> str:
    """Writes bundle.json into the folder and answers the digest."""
    (Path(root) / MANIFEST).write_bytes(canonical(manifest.to_json()))
    return digest(manifest)


def refuse_strange_paths(paths: Sequence[str], where: str) -> None:
    """Raises BundleError for a path that leads out of its folder, is there twice, or is a file and a folder at once. where: what lists them."""
    seen: Set[str] = set()
    for path in paths:
        if not _is_inside(path):
            raise BundleError(f"{where}: path {path!r} does not stay inside.")
        if path in seen:
            raise BundleError(f"{where}: path {path!r} is listed twice.")
        seen.add(path)
    for above in {above for path in seen for above in _ancestors(path)} & seen:
        raise BundleError(f"{where}: {above!r} is listed as a file and as a folder.")


def list_files(root: Path) -> Tuple[BundledFile, ...]:
    """Every file below the folder except its manifest, hashed, ordered by path."""
    return tuple(_hash_file(Path(root), path) for path in _paths(Path(root)))


def model_dir(manifest: Manifest, app_root: Path) -> Optional[Path]:
    """AZUREML_MODEL_DIR: .../azureml-models/NAME/VERSION for one model, .../azureml-models for several."""
    if not manifest.models:
        return None
    models = Path(app_root) / MODELS
    return models / manifest.models[0].name / manifest.models[0].version if len(manifest.models) == 1 else models


def lay_out(bundle: Bundle, workdir: Path) -> Layout:
    """Fills an empty folder so that a script finds everything where the seeds have it: code copied, models linked."""
    root = Path(workdir).resolve()
    root.mkdir(parents=True, exist_ok=True)
    if any(root.iterdir()):
        raise BundleError(f"{root} is not empty; a working directory is made for one worker.")
    for each in bundle.manifest.files:
        if each.path.startswith(CODE + "/"):
            target = root / each.path[len(CODE) + 1 :]
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(str(bundle.path / each.path), str(target))
            target.chmod(0o755 if each.executable else 0o644)
    for model in bundle.manifest.models:
        link = root / model.path
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(bundle.path / model.path)
    _link_by_name([bundle.path / model.path for model in bundle.manifest.models], root)
    script = bundle.manifest.entry_script
    return Layout(root, None if script is None else root / script, model_dir(bundle.manifest, root))


def _link_by_name(models: Sequence[Path], root: Path) -> None:
    """Scripts of the first generation open a model by its own name in the working directory. It hides nothing of the script's, no module, no namesake."""
    names = [model.name for model in models]
    for model in models:
        link = root / model.name
        if names.count(model.name) == 1 and not link.exists() and model.suffix != ".py" and not (model / "__init__.py").exists():
            link.symlink_to(model)


def _read_manifest(root: Path) -> Tuple[Manifest, str]:
    try:
        raw = (root / MANIFEST).read_bytes()
        said = json.loads(raw.decode("utf-8"))
        manifest = Manifest.from_json(said)
        untouched = canonical(said) == raw  # of what was read: fields of later releases count too
    except OSError as fault:
        raise BundleError(f"{root} is not a bundle: {MANIFEST} cannot be read ({fault.strerror}).") from None
    except BundleError as fault:
        raise BundleError(f"{root}: {fault}") from None
    except (ValueError, RecursionError) as fault:
        raise BundleError(f"{root}: {MANIFEST} is not JSON ({fault}); make the bundle again.") from None
    if not untouched:
        raise BundleError(f"{root}: {MANIFEST} was edited after it was written; make the bundle again.", changed=[MANIFEST])
    return manifest, hashlib.sha256(raw).hexdigest()


def _verify(root: Path, manifest: Manifest) -> None:
    wanted = {each.path: each for each in manifest.files}
    present = set(_paths(root))
    missing = sorted(wanted.keys() - present)
    extra = sorted(present - wanted.keys())
    changed = [path for path in sorted(wanted.keys() & present) if not _is_as_said(root, wanted[path])]
    if missing or changed or extra:
        words = [_enumerate(verb, paths) for verb, paths in (("missing", missing), ("changed", changed), ("extra", extra)) if paths]
        cure = "A bundle never changes: make it again, or fetch it again."
        raise BundleError("{}: {}. {}".format(root, "; ".join(words), cure), missing=missing, changed=changed, extra=extra)


def _is_as_said(root: Path, said: BundledFile) -> bool:
    here = (root / said.path).stat()
    if here.st_size != said.size or bool(here.st_mode & stat.S_IXUSR) != said.executable:
        return False
    return _hash_file(root, said.path) == said


def _enumerate(verb: str, paths: List[str]) -> str:
    more = len(paths) - _NAMED
    return "{} {}{}".format(verb, ", ".join(paths[:_NAMED]), f" and {more} more" if more > 0 else "")


def _paths(root: Path) -> List[str]:
    return sorted(_walk(root, ""))


def _walk(root: Path, below: str) -> Iterator[str]:
    with os.scandir(str(root / below) if below else str(root)) as entries:
        for entry in entries:
            path = below + "/" + entry.name if below else entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(root, path)
            elif not entry.is_file(follow_symlinks=False):
                kind = "a link" if entry.is_symlink() else "neither a file nor a folder"
                raise BundleError(f"{root}: {path} is {kind}; a bundle holds plain files.", extra=[path])
            elif path != MANIFEST:
                yield path


def _hash_file(root: Path, path: str) -> BundledFile:
    hasher = hashlib.sha256()
    size = 0
    try:
        with (root / path).open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            for chunk in iter(lambda: stream.read(_CHUNK), b""):
                hasher.update(chunk)
                size += len(chunk)
    except OSError as fault:
        raise BundleError(f"{root}: {path} cannot be read ({fault.strerror}).") from None
    return BundledFile(path, size, hasher.hexdigest(), bool(mode & stat.S_IXUSR))


def _ancestors(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _is_inside(path: str) -> bool:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return all(part not in ("", ".", "..") for part in path.split("/")) and "\\" not in path and "\0" not in path and ":" not in path[:2]


def _objects(said: Dict[str, Any], key: str) -> List[Dict[str, Any]]:
    listed = said.get(key)
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise BundleError(f"{MANIFEST}: {key} must be a list of objects.")
    return listed


def _file_from_json(said: Dict[str, Any]) -> BundledFile:
    path, size, sha256, executable = (said.get(key) for key in ("path", "size", "sha256", "exec"))
    whole = isinstance(path, str) and type(size) is int and isinstance(sha256, str) and isinstance(executable, bool)
    if not whole or not _SHA256.match(sha256):  # type: ignore[arg-type]
        raise BundleError(f"{MANIFEST}: file {path!r} needs path, size, sha256 and exec.")
    return BundledFile(path, size, sha256, executable)  # type: ignore[arg-type]


def _model_from_json(said: Dict[str, Any]) -> BundledModel:
    name, version, path, flavor = (said.get(key) for key in ("name", "version", "path", "flavor"))
    if isinstance(name, str) and isinstance(version, str) and isinstance(path, str) and (flavor is None or isinstance(flavor, str)):
        return BundledModel(name, version, path, flavor)
    raise BundleError(f"{MANIFEST}: model {name!r} needs name, version, path and flavor as text.")
