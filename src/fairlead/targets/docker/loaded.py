"""Which images this installation has brought to the engine: of all that the engine has, only those are ever removed.

images/<id>.json   name, digest, and the engine; the file's time says when the image was needed last
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Collection, Iterator
from pathlib import Path

from fairlead.targets.docker.engine import Engine
from fairlead.targets.files import locked, read_json, write_json
from fairlead.targets.types import Image

AT_LEAST = 3600.0  # seconds for which an image stays that was asked for: its container may be on its way


class Loaded:
    """Of one state folder."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "images"

    def note(self, engine: Engine, image: Image) -> None:
        """The engine had none, and was given it. An image that cannot be written down stays there for good."""
        with contextlib.suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_json(self._place(image), {"name": image.name, "digest": image.digest, "size": image.size, "engine": engine.where})

    @contextlib.contextmanager
    def needing(self, image: Image) -> Iterator[None]:
        """Nobody removes it meanwhile, nor soon afterwards."""
        if not self._place(image).exists():
            yield
            return
        with locked(self._folder / "changing.lock"):
            with contextlib.suppress(OSError):
                os.utime(self._place(image))
            yield

    def unneeded(self, engine: Engine, needed: Collection[str], older_than: float) -> list[Image]:
        """Those in this engine that nobody has needed for so many seconds. `needed`: ids."""
        for image in (there := self._there(engine)):
            if image.id in needed:
                os.utime(self._place(image))
        return [image for image in there if image.id not in needed and self._age(image) > max(AT_LEAST, older_than)]

    def remove(self, engine: Engine, image: Image) -> bool:
        """Whether the engine let it go. Raises Unavailable, BootFailure."""
        with locked(self._folder / "changing.lock"):
            if self._age(image) <= AT_LEAST or not engine.remove_image(image):
                return False
            self._place(image).unlink(missing_ok=True)
            return True

    def _there(self, engine: Engine) -> list[Image]:
        said = {path.stem: read_json(path) for path in sorted(self._folder.glob("*.json"))}
        return [
            Image(digest=each["digest"], id=name, name=each["name"], size=each["size"]) for name, each in said.items() if each.get("engine") == engine.where
        ]

    def _age(self, image: Image) -> float:
        try:
            return time.time() - self._place(image).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def _place(self, image: Image) -> Path:
        return self._folder / f"{image.id}.json"
