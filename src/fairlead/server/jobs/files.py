"""What a job left in its folder: logs, and answers that the server keeps. Only the server of the machine where it ran can read them."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from starlette.responses import FileResponse, Response

from fairlead.errors import NotFound, Unavailable, UsageError
from fairlead.schemas.data_urls import read_url
from fairlead.schemas.jobs import JobLog, JobLogText, OutputPart
from fairlead.schemas.wire import Page
from fairlead.server.context import Context
from fairlead.server.data.reading import shelf_of, stream
from fairlead.server.data.resolving import Located
from fairlead.server.data.shelf import Shelf
from fairlead.server.jobs.place import Place
from fairlead.server.jobs.places import STORES, path_of, scheme_of
from fairlead.server.paging import Paging, cursor_of
from fairlead.server.tables.jobs import JobRow
from fairlead.stores.walking import plain_files

T = TypeVar("T")
MANIFEST = "_manifest.json"
LARGEST_MANIFEST = 256 << 20


def list_logs(parts: Context, job: JobRow, paging: Paging) -> Page[JobLog]:
    """By path."""
    root = _place(parts, job).logs
    found = [JobLog(path=each.relative_to(root).as_posix(), size=told.st_size, updated_at=_time(told)) for each, told in sorted(plain_files(root))]
    return _page(found, paging)


def read_log(parts: Context, job: JobRow, path: str, offset: int, most: int) -> JobLogText:
    """Raises NotFound."""
    file = _inside(
        _place(parts, job).logs, path, f"The job {job.name!r} has no log {path[:200]!r}; `fairlead job logs {job.name} --list` shows those there are."
    )
    with file.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        stream.seek(min(offset, size))
        said = stream.read(most)
    whole = said if offset + len(said) >= size else said[: _whole(said)]
    at = min(offset, size)
    return JobLogText(path=path, text=whole.decode(errors="replace"), offset=at, next_offset=at + len(whole), end=at + len(whole) >= size)


@dataclass(frozen=True)
class Answers:
    """Where a job's answers lie: in a folder of this machine, or in a store, which is opened with the secret that the job had."""

    job: JobRow
    folder: Path | None
    shelf: Shelf | None = None

    @property
    def is_kept(self) -> bool:
        """By the server, in the job's own folder."""
        return (self.job.wish.get("output") or {}).get("url") is None


def answers_of(parts: Context, job: JobRow) -> Answers:
    """Raises NotFound, Unavailable, UsageError for what is in no place of files."""
    output = job.wish.get("output") or {}
    url = output.get("url")
    if url is not None and scheme_of(url) in STORES:
        place = read_url(url)
        return Answers(job, None, shelf_of(parts, job.workspace_id, Located(place, place, output.get("secret"))))
    _refuse_elsewhere(parts, job)
    folder = Place(parts.settings.state_dir, job.handle).output if url is None else path_of(url)
    if folder is None:
        raise UsageError(f"The answers of the job {job.name!r} are rows of {url}, table {output.get('table')}; read them there.")
    return Answers(job, folder)


def list_outputs(parts: Context, job: JobRow, paging: Paging) -> Page[OutputPart]:
    """By kind and path: parts, then quarantine. Empty until the job has published something."""
    answers = answers_of(parts, job)
    manifest = _manifest(answers)
    found = list(_listed(manifest)) if manifest else list(_lying(answers))
    return _page(found, paging)


def download(parts: Context, job: JobRow, path: str, asked: str | None) -> Response:
    """A file below the output's folder, or the part of it that `range` asked for. Raises NotFound."""
    answers = answers_of(parts, job)
    absent = f"The job {job.name!r} has no output {path[:200]!r}; `fairlead job outputs {job.name}` shows those there are."
    if not answers.is_kept and path != MANIFEST and path not in {each.path for each in _listed(_manifest(answers))}:
        raise NotFound(absent)  # of a folder that the server does not keep, what the job wrote and nothing else
    if answers.shelf is not None:
        return stream(answers.shelf, path, asked)
    assert answers.folder is not None
    return FileResponse(_inside(answers.folder, path, absent), media_type="application/octet-stream")


def _listed(manifest: dict[str, Any]) -> Iterator[OutputPart]:
    for kind, name in (("part", "parts"), ("quarantine", "quarantine")):
        for each in manifest.get(name) or ():
            yield OutputPart.model_validate({"kind": kind, **each})


def _lying(answers: Answers) -> Iterator[OutputPart]:
    """Of a program's answers that the server keeps: whatever it wrote."""
    if answers.job.kind != "program" or answers.folder is None:
        return
    for each, told in sorted(plain_files(answers.folder)):
        yield OutputPart(kind="part", path=each.relative_to(answers.folder).as_posix(), bytes=told.st_size)


def _manifest(answers: Answers) -> dict[str, Any]:
    """Empty when there is none yet."""
    try:
        with answers.shelf.open(MANIFEST) if answers.shelf is not None else (answers.folder or Path()).joinpath(MANIFEST).open("rb") as file:
            said = json.loads(file.read(LARGEST_MANIFEST))
    except (OSError, ValueError, NotFound):
        return {}
    return said if isinstance(said, dict) else {}


def _place(parts: Context, job: JobRow) -> Place:
    _refuse_elsewhere(parts, job)
    return Place(parts.settings.state_dir, job.handle)


def _refuse_elsewhere(parts: Context, job: JobRow) -> None:
    if job.place is not None and job.place != parts.node.id:
        raise Unavailable(f"The job {job.name!r} runs on the machine of another server of this database, and its files are there; ask that server.")


def _inside(root: Path, path: str, absent: str) -> Path:
    """A plain file below the folder, however links lead. Raises NotFound."""
    try:
        found = (root / path).resolve()
        if found.is_relative_to(root.resolve()) and stat.S_ISREG(found.stat().st_mode):
            return found
    except (OSError, ValueError, RuntimeError):
        pass  # too long, a NUL, a loop of links
    raise NotFound(absent)


def _page(found: list[T], paging: Paging) -> Page[T]:
    """Of a list that is whole already."""
    after = paging.after
    if after is not None and (len(after) != 1 or not isinstance(after[0], int)):
        raise UsageError("This `after` is no cursor of this list; take it from `next` of the page before, or leave it out.")
    start = 0 if after is None else max(0, int(after[0]))
    end = start + paging.limit
    return Page(items=found[start:end], next=cursor_of([end]) if end < len(found) else None)


def _whole(said: bytes) -> int:
    """Up to where no character is cut in two."""
    for back in range(1, min(4, len(said)) + 1):
        byte = said[-back]
        if byte & 0xC0 == 0xC0:
            return len(said) - back if back < _length(byte) else len(said)
        if byte & 0x80 == 0:
            break
    return len(said)


def _length(first: int) -> int:
    return 4 if first >= 0xF0 else 3 if first >= 0xE0 else 2


def _time(told: os.stat_result) -> datetime:
    return datetime.fromtimestamp(told.st_mtime, UTC)
