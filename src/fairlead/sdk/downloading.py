"""A version's files from the registry to this machine: each checked by its digest, a broken download goes on where it was cut."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path

from fairlead.client import models
from fairlead.client.transport import Transport
from fairlead.errors import Conflict, UsageError
from fairlead.schemas.models import ModelVersion, TreeFile
from fairlead.sdk.uploads import Progress, download_tree
from fairlead.stores.trees import tree_of


def download(connection: Transport, version: ModelVersion, target: Path, *, overwrite: bool = False, progress: Progress | None = None) -> Path:
    """Puts the version's file or folder into the folder `target`, under its own name; answers where it is.

    Exactly that there already is fine. Raises Conflict when anything else is there, unless `overwrite` replaces it; BlobDamaged, Unavailable.

    >>> download(connection, models.show_version(connection, "churn:3"), Path("outputs"))
    PosixPath('outputs/churn.pkl')
    """
    files = list(models.each_file(connection, version.reference))
    entries = sorted({file.path.split("/")[0] for file in files})
    wanted = [name for name in entries if not _is_there(target / name, files, overwrite=overwrite)]
    if wanted:
        staging = _staging(target, version, wanted)
        download_tree(connection, version.tree, staging, progress)
        for name in wanted:
            _put(staging / name, target / name)
        shutil.rmtree(staging)
    elif progress:
        progress(version.size)
    return target / entries[0] if len(entries) == 1 else target


def _is_there(place: Path, files: Sequence[TreeFile], *, overwrite: bool) -> bool:
    """Asked before a byte travels. Raises Conflict for other contents that may not be replaced."""
    if not place.exists() and not place.is_symlink():
        return False
    said = {file.path: (file.sha256, file.executable) for file in files if file.path.split("/")[0] == place.name}
    found = tree_of(place).files if place.is_file() or (place.is_dir() and any(place.rglob("*"))) else ()
    prefix = f"{place.name}/" if place.is_dir() else ""
    if {f"{prefix}{file.path}": (file.sha256, file.executable) for file in found} == said:
        return True
    if not overwrite:
        raise Conflict(f"{place} is there already, with other contents; give another folder, or say that it may be replaced.")
    return False


def _staging(target: Path, version: ModelVersion, wanted: Sequence[str]) -> Path:
    """Beside what is to come, so that a rename puts it in place; named by its content, so that the next download goes on with it."""
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise UsageError(f"The folder {target} cannot be made ({fault.strerror}); give another.") from fault
    staging = target / f".fairlead-{version.tree[:16]}"
    if staging.is_dir() and not all((staging / name).exists() for name in wanted):
        shutil.rmtree(staging)  # whoever left it had put some of it in place
    return staging


def _put(new: Path, place: Path) -> None:
    if place.is_dir() and not place.is_symlink():  # a folder with something in it cannot be replaced in one step
        old = place.with_name(f".{uuid.uuid4().hex}.old")
        place.rename(old)
        new.rename(place)
        shutil.rmtree(old)
    elif new.is_dir():
        place.unlink(missing_ok=True)
        new.rename(place)
    else:
        new.replace(place)
