"""A conda environment file as an object, with the methods that Azure ML programs call."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import yaml

from fairlead.errors import UsageError

FILE = "conda_dependencies.yml"


class CondaDependencies:
    """Python version, packages and channels. Packages come from package indexes in the end; what only conda has is named when the environment is locked.

    >>> needed = CondaDependencies.create(pip_packages=["scikit-learn==1.7.2"], python_version="3.11")
    >>> needed.add_pip_package("joblib")
    >>> print(needed.serialize_to_string())
    """

    def __init__(self, conda_dependencies_file_path: str | os.PathLike[str] | None = None, _underlying_structure: Mapping[str, Any] | None = None) -> None:
        self._said = dict(_underlying_structure or {})
        if conda_dependencies_file_path is not None:
            self._said = _read(Path(conda_dependencies_file_path))
        self._said.setdefault("name", "project_environment")
        self._packages: list[Any] = self._said.setdefault("dependencies", [])
        if not isinstance(self._packages, list):
            raise UsageError("A conda environment has a list of dependencies, such as dependencies: [python=3.11, scikit-learn].")

    @classmethod
    def create(
        cls,
        pip_indexurl: str | None = None,
        pip_packages: Iterable[str] | None = None,
        conda_packages: Iterable[str] | None = None,
        python_version: str | None = None,
        pin_sdk_version: bool = True,
    ) -> Self:
        """New dependencies. `pip_indexurl` is refused: indexes are a matter of the machine that installs.

        >>> CondaDependencies.create(conda_packages=["numpy"], pip_packages=["azureml-defaults"])
        """
        if pip_indexurl:
            raise UsageError("An index address does not belong to an environment; set it on the machine that installs (UV_INDEX_URL, pip.conf).")
        made = cls()
        if python_version:
            made.set_python_version(python_version)
        for package in conda_packages or ():
            made.add_conda_package(package)
        for package in pip_packages or ():
            made.add_pip_package(package)
        return made

    @property
    def python_version(self) -> str | None:
        """Such as "3.11"; None when the file leaves it open."""
        found = next((each for each in self._packages if isinstance(each, str) and _name_of(each) == "python"), None)
        return None if found is None else found.removeprefix("python").lstrip("= ") or None

    @property
    def conda_packages(self) -> Sequence[str]:
        """Conda's package lines, python among them."""
        return [each for each in self._packages if isinstance(each, str)]

    @property
    def pip_packages(self) -> Sequence[str]:
        """Lines below `pip:`."""
        return list(self._pip())

    @property
    def conda_channels(self) -> Sequence[str]:
        return list(self._said.get("channels") or ())

    def set_python_version(self, version: str) -> None:
        self.add_conda_package(f"python={version}")

    def add_conda_package(self, conda_package: str) -> None:
        """Adds a line, or replaces that of the same package."""
        kept = [each for each in self._packages if not isinstance(each, str) or _name_of(each) != _name_of(conda_package)]
        self._packages[:] = [conda_package, *kept] if _name_of(conda_package) == "python" else [*_strings(kept), conda_package, *_others(kept)]

    def remove_conda_package(self, conda_package: str) -> None:
        self._packages[:] = [each for each in self._packages if not isinstance(each, str) or _name_of(each) != _name_of(conda_package)]

    def add_pip_package(self, pip_package: str) -> None:
        """Adds a line below `pip:`, or replaces that of the same package."""
        kept = [each for each in self._pip() if _name_of(each) != _name_of(pip_package)]
        self._set_pip([*kept, pip_package])

    def remove_pip_package(self, pip_package: str) -> None:
        self._set_pip([each for each in self._pip() if _name_of(each) != _name_of(pip_package)])

    def add_channel(self, channel: str) -> None:
        self._said["channels"] = [*self.conda_channels, channel] if channel not in self.conda_channels else list(self.conda_channels)

    def as_dict(self) -> dict[str, Any]:
        """The file's content."""
        return dict(self._said)

    def serialize_to_string(self) -> str:
        """The file's text, YAML."""
        text: str = yaml.safe_dump(self._said, sort_keys=False)
        return text

    def save(self, path: str | os.PathLike[str] | None = None) -> str:
        """Writes the file; answers its path."""
        target = Path(path) if path is not None else Path(FILE)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(self.serialize_to_string(), encoding="utf-8")
        return str(target)

    def save_to_file(self, base_directory: str | os.PathLike[str], conda_file_path: str | None = None) -> str:
        """Writes the file below a folder; answers its path relative to that."""
        self.save(Path(base_directory) / (conda_file_path or FILE))
        return conda_file_path or FILE

    def __repr__(self) -> str:
        return f"CondaDependencies({self.as_dict()!r})"

    def _pip(self) -> Sequence[str]:
        found = next((each["pip"] for each in self._packages if isinstance(each, dict) and "pip" in each), None)
        return [str(each) for each in found or ()]

    def _set_pip(self, lines: Sequence[str]) -> None:
        others = [each for each in self._packages if not (isinstance(each, dict) and "pip" in each)]
        self._packages[:] = [*others, {"pip": list(lines)}] if lines else others


def _strings(packages: Iterable[Any]) -> list[str]:
    return [each for each in packages if isinstance(each, str)]


def _others(packages: Iterable[Any]) -> list[Any]:
    return [each for each in packages if not isinstance(each, str)]


def _name_of(line: str) -> str:
    name = line
    for mark in "=<>!~;[ @":
        name = name.split(mark, maxsplit=1)[0]
    return name.strip().lower().replace("_", "-")


def _read(path: Path) -> dict[str, Any]:
    try:
        said = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"{path} cannot be read as a conda file ({str(error).splitlines()[0]}).") from error
    if not isinstance(said, dict):
        raise UsageError(f"{path} is no conda file: it has no list of dependencies.")
    return said
