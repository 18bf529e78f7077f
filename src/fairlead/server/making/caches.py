"""What this machine holds of bundles, environments and locks: all of it can be made again from the database and the store."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fairlead.bundles import open_bundle
from fairlead.environments.building import Builder
from fairlead.stores import Store, lay_down
from fairlead.stores.trees import LARGEST_MANIFEST, Tree, parse
from fairlead.targets.files import write_whole


@dataclass(frozen=True)
class Caches:
    """`folder`: the server's cache folder. `private_folder`: in its state folder, for what must be neither lost nor read by others."""

    folder: Path
    private_folder: Path

    @property
    def builder(self) -> Builder:
        return Builder(self.folder / "environments")

    @property
    def locks(self) -> Path:
        return self.folder / "locks"

    def bundle(self, digest: str) -> Path | None:
        """Where it was laid down."""
        place = self._bundle(digest)
        return place if place.is_dir() else None

    def python(self, lock_digest: str) -> Path | None:
        return self.builder.python(lock_digest)

    @contextmanager
    def room(self) -> Iterator[Path]:
        """An empty folder on the same disk, gone afterwards."""
        making = self.folder / "making"
        making.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=making) as name:
            yield Path(name)

    def take_in(self, made: Path, digest: str) -> Path:
        """A bundle that was made, or checked, in `room`; read-only from now on."""
        place = self._bundle(digest)
        place.parent.mkdir(parents=True, exist_ok=True)
        for each in made.rglob("*"):
            if each.is_file():
                each.chmod(each.stat().st_mode & 0o555)
        try:
            made.rename(place)
        except OSError:
            if not place.is_dir():
                raise
            shutil.rmtree(made, ignore_errors=True)  # somebody else was faster
        return place

    def lay_bundle(self, store: Store, tree: Tree) -> tuple[Path, str]:
        """Fetches a bundle from the store, every byte of it checked; its place and its digest. Raises InvalidBundle, BlobNotFound, BlobDamaged."""
        with self.room() as room:
            lay_down(store, tree, room / "bundle")
            bundle = open_bundle(room / "bundle")
            return self.take_in(room / "bundle", bundle.digest), bundle.digest

    def was_checked(self, lock_digest: str, requirements: Sequence[str]) -> bool:
        return self._checked(lock_digest, requirements).exists()

    def note_checked(self, lock_digest: str, requirements: Sequence[str]) -> None:
        marker = self._checked(lock_digest, requirements)
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()

    def private(self, handle: str, name: str, content: bytes) -> Path:
        """A file that only this user reads, such as the key of a certificate; its path says what is in it, so a changed one is another file."""
        folder = self.private_folder / handle
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / f"{hashlib.sha256(content).hexdigest()[:16]}-{name}"
        if not path.exists():
            write_whole(path, content)
        return path

    def forget_private(self, handle: str) -> None:
        shutil.rmtree(self.private_folder / handle, ignore_errors=True)

    def _bundle(self, digest: str) -> Path:
        return self.folder / "bundles" / digest

    def _checked(self, lock_digest: str, requirements: Sequence[str]) -> Path:
        asked = hashlib.sha256(json.dumps(list(requirements)).encode()).hexdigest()
        return self.folder / "checked" / f"{lock_digest[:32]}-{asked[:32]}"


def read_tree(store: Store, digest: str) -> Tree:
    """Raises BlobNotFound, InvalidTree."""
    with store.open(digest) as stream:
        return parse(stream.read(LARGEST_MANIFEST + 1))
