"""The folder that is shipped: nothing outside it can be part of a service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from fairlead.configurations.keys import text
from fairlead.errors import UsageError


@dataclass(frozen=True, slots=True)
class SourceFolder:
    """`path` is absolute and without links."""

    path: Path

    @classmethod
    def find(cls, said: Mapping[str, Any], where: str, folders: tuple[Path, ...], notices: list[str]) -> Self:
        """The first of `folders` in which sourceDirectory has the entry script. Raises UsageError when none has."""
        directory = text(said.get("sourceDirectory", "."), "sourceDirectory", where)
        script = text(said["entryScript"], "entryScript", where)
        places = list(dict.fromkeys((folder / directory).resolve() for folder in folders))
        having = [place for place in places if (place / script).is_file()]
        if not having:
            looked = " and ".join(map(str, places))
            raise UsageError(f"{where}: entryScript {script!r} is not in {looked}. Write its path relative to sourceDirectory.")
        if len(having) > 1:
            notices.append(f"{where}: {script} of {having[0]} is taken; there is another in {having[1]}.")
        return cls(having[0])

    def inside(self, said: object, key: str, where: str) -> Path:
        """The file of that name in the folder. Raises UsageError when it is elsewhere or no file."""
        name = text(said, key, where)
        path = (self.path / name).resolve()
        if not path.is_relative_to(self.path):
            raise UsageError(f"{where}: {key} {name!r} is outside of the source directory {self.path}. Move the file into it.")
        if not path.is_file():
            raise UsageError(f"{where}: {key} {name!r} is no file in {self.path}. Write its path relative to sourceDirectory.")
        return path

    def relative(self, path: Path) -> str:
        """With slashes, as it is written on the wire."""
        return path.relative_to(self.path).as_posix()
