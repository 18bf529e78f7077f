"""Reading a data set on this machine, to look at it: files through the server, which has the credentials, and rows with pyarrow. Jobs read for themselves."""

from __future__ import annotations

import glob
import importlib
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairlead.client import data as client
from fairlead.errors import Conflict, UsageError
from fairlead.schemas.data import DataFile, DataPath

if TYPE_CHECKING:
    from fairlead.sdk.dataset import AnyDataset


def files(dataset: AnyDataset) -> list[DataFile]:
    """Those that there are now, after take() and skip(). Raises NotFound, UsageError."""
    skipped, taken = dataset._taken
    found = list(_listed(dataset))
    return found[skipped:] if taken is None else found[skipped : skipped + taken]


def download(dataset: AnyDataset, folder: Path, *, overwrite: bool) -> list[Path]:
    """Raises Conflict for a file that is there, unless it may be replaced."""
    found = files(dataset)
    targets = [folder / each.path for each in found]
    there = next((each for each in targets if each.exists()), None)
    if there is not None and not overwrite:
        raise Conflict(f"{there} is there already; give another folder, or say that it may be replaced (overwrite).")
    if len(set(targets)) < len(targets):
        targets = [folder / str(each.source) / each.path for each in found]
    for file, target in zip(found, targets, strict=True):
        _fetch(dataset, file, target)
    return targets


def table(dataset: AnyDataset, skipped: int, taken: int | None) -> Any:
    """A pyarrow table. Files are fetched one after the other, until there are rows enough."""
    if dataset.definition.query is not None:
        return _rows().sliced(iter([_queried(dataset)]), skipped, taken)
    return _rows().sliced(_tables(dataset), skipped, taken)


def _tables(dataset: AnyDataset) -> Iterator[Any]:
    with tempfile.TemporaryDirectory(prefix="fairlead-rows-") as folder:
        for number, file in enumerate(_listed(dataset)):
            here = Path(file.url) if _is_here(dataset, file) and file.url else Path(folder, str(number), Path(file.path).name)
            if not here.exists():
                _fetch(dataset, file, here)
            yield from _rows().tables(here, file.path, _whole(dataset, file), dataset.definition)


def _listed(dataset: AnyDataset) -> Iterator[DataFile]:
    if dataset.name is not None and dataset.workspace is not None:
        yield from client.each_dataset_file(dataset.workspace.transport, dataset.name, str(dataset.version))
        return
    for source, path in enumerate(dataset.definition.paths):
        yield from (each.model_copy(update={"source": source}) for each in _listed_path(dataset, path))


def _listed_path(dataset: AnyDataset, path: DataPath) -> Iterator[DataFile]:
    """Of a data set that is not registered; paths below where it begins, as the server would say them."""
    if path.datastore is not None and dataset.workspace is not None:
        base = _base(path.path)
        for each in client.each_store_file(dataset.workspace.transport, path.datastore, path.path):
            below = each.path.removeprefix(base).lstrip("/") or Path(each.path).name
            if _is_shown(below):
                yield each.model_copy(update={"path": below})
        return
    url = str(path.url)
    place = url.removeprefix("file://") if url.startswith(("/", "file://")) else None
    if place is None:
        raise UsageError(f"{url} is read by the server and by jobs; register the data set first, or put the files into a datastore.")
    yield from _on_disk(place)


def _on_disk(pattern: str) -> Iterator[DataFile]:
    place = Path(pattern)
    base = place if place.is_dir() else Path(_base(pattern)) if glob.has_magic(pattern) else place.parent
    found = base.rglob("*") if place.is_dir() else base.glob(str(place.relative_to(base)))
    for each in sorted(found):
        below = each.relative_to(base).as_posix()
        if each.is_file() and _is_shown(below):
            yield DataFile(path=below, size=each.stat().st_size, stamp="", url=str(each))


def _is_shown(path: str) -> bool:
    return not any(part.startswith(("_", ".")) for part in path.split("/") if "=" not in part)


def _fetch(dataset: AnyDataset, file: DataFile, target: Path) -> None:
    if dataset.workspace is None or (file.url is not None and _is_here(dataset, file)):
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(Path(str(file.url)).read_bytes())
    elif dataset.name is not None:
        client.fetch_dataset_file(dataset.workspace.transport, dataset.name, str(dataset.version), file, target)
    else:
        client.fetch_store_file(dataset.workspace.transport, str(dataset.definition.paths[file.source].datastore), _whole(dataset, file), target)


def _whole(dataset: AnyDataset, file: DataFile) -> str:
    """Its path below the datastore, or its address."""
    path = dataset.definition.paths[file.source]
    said = (path.url or path.path).rstrip("/")
    base = _base(said)
    return said if base == said and Path(said).name == file.path else f"{base}/{file.path}".lstrip("/")


def _is_here(dataset: AnyDataset, file: DataFile) -> bool:
    """The server's machine is this one, and the file can be read."""
    local = dataset.workspace is None or dataset.workspace.location == "local"
    return local and file.url is not None and os.access(file.url, os.R_OK)


def _queried(dataset: AnyDataset) -> Any:
    """Of a SQLite file of this machine; other databases open to jobs, by the server's secret."""
    path, workspace = dataset.definition.paths[0], dataset.workspace
    url = path.url or (client.show_datastore(workspace.transport, str(path.datastore)).url if workspace is not None else "")
    place = Path(url.removeprefix("sqlite:///"))
    if not url.startswith("sqlite:///") or not place.is_file():
        raise UsageError(f"The query of {dataset!r} is answered to batch jobs: its database's credentials do not leave the server.")
    with closing(sqlite3.connect(f"{place.as_uri()}?mode=ro", uri=True)) as connection:
        cursor = connection.execute(str(dataset.definition.query))
        return _rows().of_rows([each[0] for each in cursor.description], cursor.fetchall(), dataset.definition)


def _base(pattern: str) -> str:
    """The folder before the first part with *, ? or [."""
    parts = pattern.split("/")
    magic = next((number for number, each in enumerate(parts) if glob.has_magic(each)), None)
    return pattern if magic is None else "/".join(parts[:magic])


def _rows() -> Any:
    try:
        return importlib.import_module("fairlead.sdk.dataset_rows")
    except ImportError as fault:
        raise UsageError("Rows are read with pyarrow, which is not installed here: pip install 'fairlead[batch]'.") from fault
