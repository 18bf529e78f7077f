"""What a job has published, to this machine: each file whole and as it was announced, or not at all."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from fairlead.client import jobs
from fairlead.client.transport import Transport
from fairlead.errors import DigestMismatch, UsageError
from fairlead.schemas.jobs import OutputPart

Progress = Callable[[int], None]


def download(transport: Transport, job: str, parts: Sequence[OutputPart], folder: Path, progress: Progress | None = None) -> list[Path]:
    """Into the folder, under the paths that they have in the output. A file that is there already with the same bytes is left.

    Raises UsageError for a path that leads out of the folder, DigestMismatch, Unavailable.
    """
    return [_fetch(transport, job, part, _place(folder, part.path), progress or _nobody) for part in parts]


def _fetch(transport: Transport, job: str, part: OutputPart, place: Path, progress: Progress) -> Path:
    if _is_there(place, part):
        progress(part.bytes)
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with tempfile.NamedTemporaryFile(dir=place.parent, prefix=f".{place.name}.", delete=False) as file:
        new = Path(file.name)
        try:
            with jobs.read_output(transport, job, part.path) as pieces:
                for piece in pieces:
                    file.write(piece)
                    digest.update(piece)
                    progress(len(piece))
            if part.sha256 not in (None, digest.hexdigest()):
                raise DigestMismatch(f"{part.path} is not what the job published: its bytes have another digest. Run the job again.")
            new.replace(place)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
    return place


def _is_there(place: Path, part: OutputPart) -> bool:
    if not place.is_file() or place.stat().st_size != part.bytes:
        return False
    with place.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == part.sha256


def _place(folder: Path, said: str) -> Path:
    path = PurePosixPath(said)
    if path.is_absolute() or ".." in path.parts:
        raise UsageError(f"The output {said!r} leads out of {folder}; it was not fetched.")
    return folder / path


def _nobody(_count: int) -> None:
    """Nobody watches."""
