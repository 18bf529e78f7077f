"""azureml.core.model.Model over the models that are on this machine, in the layout <app root>/azureml-models/<name>/<version>/<file or folder>."""

from __future__ import annotations

import os
import pickle
import shutil
from typing import Any, Dict, Iterator, List, Optional, Tuple

from fairlead_scoring.worker.shims.absent import needs_azure
from fairlead_scoring.worker.shims.exceptions import ModelNotFoundException, WebserviceException

DEPLOYS = "Deploy with 'fairlead deploy'."
REGISTERS = "Name the model when you serve or bundle the script."


class _VersionNotFound(ModelNotFoundException, WebserviceException):
    """azureml-core says WebserviceException when a version was asked for."""


class Model:
    class Framework:
        CUSTOM, TENSORFLOW, SCIKITLEARN, ONNX, KERAS, PYTORCH, MULTI = "Custom", "TensorFlow", "ScikitLearn", "Onnx", "Keras", "PyTorch", "Multi"

    def __init__(self, workspace: Any = None, name: Optional[str] = None, id: Optional[str] = None, version: Optional[int] = None, **_: Any) -> None:  # noqa: A002
        """A model that is here, by name or by id "name:version". `workspace` is not looked at."""
        if name is None and id:
            name, _colon, said = id.partition(":")
            version = int(said) if said else version
        if not name:
            raise WebserviceException("Model() needs a name or an id.")
        self.path = Model.get_model_path(name, version)
        self.workspace = workspace
        self.name = name
        self.version = version if version is not None else _version_in(self.path)
        self.id = f"{name}:{self.version}"
        self.tags: Dict[str, str] = {}
        self.properties: Dict[str, str] = {}
        self.description: Optional[str] = None

    @staticmethod
    def get_model_path(model_name: str, version: Optional[int] = None, _workspace: Any = None) -> str:
        """Path of the model's file or folder. Raises ModelNotFoundException."""
        if version is not None and not isinstance(version, int):
            raise WebserviceException(f"version should be an int, not {version!r}.")
        if model_name is None:
            raise WebserviceException("model_name is None.")
        found = _registered(model_name, version) or _beside(model_name) or _by_file_name(model_name)
        if found is not None:
            return found
        kind = ModelNotFoundException if version is None else _VersionNotFound
        raise kind(_not_found(model_name, version))

    @staticmethod
    def list(workspace: Any = None, name: Optional[str] = None, latest: bool = False, **_: Any) -> List[Model]:
        """Every model that is here, the newest version first."""
        found = []
        for one, versions in _here():
            if name in (None, one):
                found += [Model(workspace, one, version=version) for version in sorted(versions, reverse=True)[: 1 if latest else None]]
        return found

    @staticmethod
    def load(model_name: str, version: Optional[int] = None) -> Any:
        """Unpickle the model's file, with joblib where it is installed."""
        path = Model.get_model_path(model_name, version)
        if os.path.isdir(path):
            raise WebserviceException(f"Model.load: '{model_name}' is the folder {path}; load the file you need with its own library.")
        try:
            import joblib
        except ImportError:
            with open(path, "rb") as file:
                return pickle.load(file)
        return joblib.load(path)

    def download(self, target_dir: str = ".", exist_ok: bool = False, exists_ok: Optional[bool] = None) -> str:
        """Copy the file or folder into `target_dir` and return where it is."""
        target = os.path.join(target_dir, os.path.basename(self.path))
        if os.path.exists(target):
            if os.path.samefile(target, self.path):
                return target
            if not (exist_ok or exists_ok):
                raise WebserviceException(f"Model.download: {target} is there already; remove it or pass exist_ok=True.")
        os.makedirs(target_dir, exist_ok=True)
        if not os.path.isdir(self.path):
            shutil.copy2(self.path, target)
            return target
        if os.path.isdir(target):
            shutil.rmtree(target)
        shutil.copytree(self.path, target)
        return target

    @staticmethod
    def register(*_: Any, **__: Any) -> Any:
        raise needs_azure("Model.register()", REGISTERS)

    @staticmethod
    def deploy(*_: Any, **__: Any) -> Any:
        raise needs_azure("Model.deploy()", DEPLOYS)

    @staticmethod
    def package(*_: Any, **__: Any) -> Any:
        raise needs_azure("Model.package()", DEPLOYS)

    @staticmethod
    def profile(*_: Any, **__: Any) -> Any:
        raise needs_azure("Model.profile()", DEPLOYS)

    def __repr__(self) -> str:
        return f"Model(name={self.name}, id={self.id}, version={self.version}, path={self.path})"


def _root() -> str:
    return os.path.join(os.environ.get("AML_APP_ROOT", ""), "azureml-models")


def _registered(name: str, version: Optional[int]) -> Optional[str]:
    folder = os.path.join(_root(), name)
    if not os.path.exists(folder):
        return None
    if version is None:
        versions = os.listdir(folder)
        if not versions:
            raise WebserviceException(f"The folder {folder} holds no version.")
        version = max(int(one) for one in versions)
    return _only_entry(os.path.join(folder, str(version)))


def _only_entry(folder: str) -> Optional[str]:
    if not os.path.exists(folder):
        return None
    entries = os.listdir(folder)
    if len(entries) != 1:
        raise WebserviceException(f"Dir {folder} can contain only 1 file or folder. Found {sorted(entries)}")
    return os.path.join(folder, entries[0])


def _beside(name: str) -> Optional[str]:
    return name if os.path.exists(name) else None


def _by_file_name(name: str) -> Optional[str]:
    """What azureml-core does not do: a script may ask for the file by the name it had before it became a model of another name."""
    paths = [os.path.join(_root(), one, str(max(versions))) for one, versions in _here()]
    found = [os.path.join(path, name) for path in paths if os.listdir(path) == [name]]
    if len(found) == 1:
        return found[0]
    folder = os.environ.get("AZUREML_MODEL_DIR")
    inside = os.path.join(folder, name) if folder and not os.path.isabs(name) else ""
    return inside if inside and os.path.exists(inside) else None


def _here() -> Iterator[Tuple[str, List[int]]]:
    """name, numeric versions; in order of names."""
    root = _root()
    for name in sorted(os.listdir(root)) if os.path.isdir(root) else ():
        folder = os.path.join(root, name)
        versions = [int(one) for one in os.listdir(folder) if one.isdigit()] if os.path.isdir(folder) else []
        if versions:
            yield name, versions


def _version_in(path: str) -> int:
    folder = os.path.basename(os.path.dirname(path))
    return int(folder) if folder.isdigit() else 1


def _not_found(name: str, version: Optional[int]) -> str:
    asked = f"'{name}'" if version is None else f"'{name}' in version {version}"
    known = "; ".join(f"'{one}' in version {', '.join(map(str, sorted(versions)))}" for one, versions in _here())
    there = f"There is {known}." if known else "There is none at all: name the model when you serve or bundle the script."
    return f"Model {asked} not found in {_root()} or in the current working directory {os.getcwd()}. {there}"
