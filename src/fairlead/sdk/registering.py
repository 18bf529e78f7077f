"""From files on this machine to a version in the registry: recognise, hash, upload what is missing, register. The model is not loaded."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from fairlead_scoring.schema import DeclarationError, infer, read
from pydantic import BaseModel

from fairlead import flavors
from fairlead.client import models
from fairlead.client.transport import Transport
from fairlead.environments import interpreter
from fairlead.errors import UsageError
from fairlead.flavors import installed
from fairlead.schemas.models import DatasetReference, Lineage, ModelVersion, NewModelVersion, ResourceHints
from fairlead.sdk.git_state import git_state
from fairlead.sdk.uploads import Progress, upload_tree
from fairlead.stores.trees import Tree, TreeFile, tree_of

FRAMEWORKS = {  # a flavor's name -> the word that Azure ML programs use, and the distribution whose version counts
    "scikit-learn": ("ScikitLearn", "scikit-learn"),
    "onnx": ("Onnx", "onnxruntime"),
    "tensorflow": ("TensorFlow", "tensorflow"),
    "pytorch": ("PyTorch", "torch"),
    "xgboost": ("XGBoost", "xgboost"),
    "lightgbm": ("LightGBM", "lightgbm"),
    "mlflow": ("MLflow", "mlflow"),
}
CUSTOM = "Custom"
T = TypeVar("T", bound=BaseModel)


@dataclass(frozen=True, kw_only=True)
class Registration:
    """What is to be registered. child_paths: parts of a folder, relative to it; without them all of it.

    framework, framework_version: instead of what the files show. samples: as text. schema: declared inputs and output as JSON; "sample" reads the
    inputs off the sample. environment: a virtual environment or python whose versions are pinned; None: the active one.
    """

    path: Path
    name: str
    child_paths: Sequence[str] | None = None
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    framework: str | None = None
    framework_version: str | None = None
    sample_input: str | None = None
    sample_output: str | None = None
    schema: Mapping[str, Any] | str | None = None
    run_id: str | None = None
    datasets: Sequence[DatasetReference] = ()
    parent: str | None = None
    resources: ResourceHints | None = None
    environment: str | None = None


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """All that was read off the files. root: the folder that the tree's paths begin at. notes: sentences that the author should know."""

    new: NewModelVersion
    tree: Tree
    root: Path
    notes: Sequence[str]


def register(connection: Transport, what: Registration, progress: Progress | None = None) -> ModelVersion:
    """The next version of the name. progress is told bytes as they are there.

    >>> register(connect(), Registration(path=Path("churn.pkl"), name="churn")).reference
    'churn:1'
    """
    return send(connection, prepare(what), progress)


def prepare(what: Registration) -> Prepared:
    """Reads every file; nothing is sent. Raises UsageError."""
    tree = _tree(what.path, what.child_paths)
    found, notes = _recognised(what)
    framework, version = _framework(what, found)
    said = {
        "name": what.name,
        "tree": tree.digest,
        "description": what.description,
        "tags": dict(what.tags),
        "properties": dict(what.properties),
        "metrics": {name: float(value) for name, value in what.metrics.items()},
        "framework": framework,
        "framework_version": version,
        "flavor": found.flavor.name if found else None,
        "requirements": list(found.requirements) if found else [],
        "python": _python(what) if found else None,
        "model_schema": _schema(what, found),
        "sample_input": json_text(what.sample_input, "sample input"),
        "sample_output": json_text(what.sample_output, "sample output"),
        "lineage": _lineage(what),
        "resources": what.resources,
    }
    return Prepared(new=NewModelVersion.of(**said), tree=tree, root=_absolute(what.path).parent, notes=notes)


def send(connection: Transport, prepared: Prepared, progress: Progress | None = None) -> ModelVersion:
    """Uploads what the workspace has not yet, then registers."""
    upload_tree(connection, prepared.tree, prepared.root, progress)
    return models.register(connection, prepared.new)


def _tree(path: Path, child_paths: Sequence[str] | None) -> Tree:
    """The file or folder under its own name, as a script finds it below AZUREML_MODEL_DIR."""
    if not path.is_dir():
        if child_paths:
            raise UsageError(f"{path} is no folder, so it has no parts to choose from; leave the child paths out.")
        return tree_of(path)
    chosen = [""] if child_paths is None else child_paths
    files = {file.path: file for child in chosen for file in _below(path, child)}
    if not files:
        raise UsageError(f"No part of {path} was chosen; give at least one child path, or none for all of it.")
    return Tree(tuple(files[name] for name in sorted(files)))


def _below(folder: Path, child: str) -> Iterator[TreeFile]:
    """The files of a part of the folder, named from the folder's own name on."""
    part = PurePosixPath(child)
    if part.is_absolute() or ".." in part.parts:
        raise UsageError(f"The child path {child!r} leads out of {folder}; write it relative to that folder.")
    prefix = PurePosixPath(_absolute(folder).name) / part
    for file in tree_of(folder / part).files:
        name = prefix / file.path if (folder / part).is_dir() else prefix
        yield TreeFile(str(name), file.size, file.sha256, file.executable)


def _absolute(path: Path) -> Path:
    """Its links are kept: a folder is called what it was called."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - Path has nothing that removes `..` and keeps links


def _recognised(what: Registration) -> tuple[flavors.Found | None, Sequence[str]]:
    """None with the reason for files that no flavor serves: they need a script, and can be registered all the same."""
    parts = what.child_paths or ()
    model = what.path / parts[0] if len(parts) == 1 else what.path
    try:
        found = flavors.inspect(model, interpreter.choose(what.environment).path)
    except flavors.UnknownModel as reason:
        return None, [] if what.framework else [str(reason)]
    return found, found.notes


def _framework(what: Registration, found: flavors.Found | None) -> tuple[str, str | None]:
    word, distribution = FRAMEWORKS.get(found.flavor.name, (CUSTOM, "")) if found else (CUSTOM, "")
    if what.framework is not None:
        return what.framework, what.framework_version or (_pinned(found, distribution) if what.framework == word else None)
    return word, what.framework_version or _pinned(found, distribution)


def _pinned(found: flavors.Found | None, distribution: str) -> str | None:
    for line in found.requirements if found else ():
        name, equals, version = line.partition("==")
        if equals and name in (distribution, f"{distribution}-cpu", f"{distribution}-gpu", f"{distribution}-skinny"):
            return version
    return None


def _python(what: Registration) -> str:
    (major, minor), _ = installed.versions((), interpreter.choose(what.environment).path)
    return f"{major}.{minor}"


def _schema(what: Registration, found: flavors.Found | None) -> dict[str, Any] | None:
    if what.schema is None:
        return dict(found.schema) if found and found.schema else None
    try:
        if what.schema == "sample":
            if what.sample_input is None:
                raise UsageError("The schema is to be read off the sample, and there is none; give a sample input.")
            return infer(json.loads(json_text(what.sample_input, "sample input") or "")).to_json()
        return read(what.schema).to_json()
    except DeclarationError as fault:
        raise UsageError(f"The schema: {fault}") from fault


def json_text(text: str | None, what: str) -> str | None:
    if text is None:
        return None
    try:
        json.loads(text)
    except (ValueError, RecursionError) as fault:
        raise UsageError(f"The {what} is not JSON ({fault}); it is a body that is sent, or answered.") from fault
    return text


def _lineage(what: Registration) -> Lineage:
    found = git_state(what.path if what.path.is_dir() else what.path.parent)
    return Lineage(
        run_id=what.run_id,
        git_commit=found.commit if found else None,
        git_dirty=found.dirty if found else None,
        git_remote=found.remote if found else None,
        datasets=list(what.datasets),
        parent=what.parent,
    )
