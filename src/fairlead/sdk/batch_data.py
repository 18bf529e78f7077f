"""What people call data, as a job's inputs and outputs: paths of this machine, URLs, datasets, datastores.

A plain path is one of this machine. The local server reads it where it lies; to a server elsewhere it is uploaded. `file:///…` is a path of the server.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

from fairlead.client.transport import Transport
from fairlead.errors import Forbidden, UsageError
from fairlead.sdk.uploads import Progress, upload_tree
from fairlead.stores.trees import Tree, TreeFile, tree_of

T = TypeVar("T")
URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
DATASET, DATASTORE = "dataset:", "datastore:"
_STAR = re.compile(r"[*?\[]")
_ENDINGS = {".parquet": "parquet", ".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".arrow": "arrow", ".feather": "arrow", ".arff": "arff"}
_PACKED = (".gz", ".bz2", ".xz", ".zst", ".zip")


@dataclass(frozen=True, kw_only=True)
class Data:
    """Some rows or files. places: paths, globs, URLs, `dataset:NAME[:VERSION]`, `datastore:NAME/PATH`. words: further members of a `JobInput`.

    credentials: the workspace's secret that opens what does not lie on this machine. files: whether files and not rows are scored; None: as names say.
    """

    places: Sequence[str] = ()
    words: Mapping[str, Any] = field(default_factory=dict)
    credentials: str | None = None
    files: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Way:
    """How files of this machine come to the server: uploaded, or (by their paths) not at all."""

    transport: Transport
    uploads: bool
    progress: Progress | None = None


def by_the_shortest(transport: Transport, ask: Callable[[Way], T], progress: Progress | None = None) -> T:
    """Asks with paths where the server is on this machine, and with uploads where it is not, or may not read them."""
    if transport.is_of_this_machine:
        try:
            return ask(Way(transport=transport, uploads=False))
        except Forbidden:
            pass
    return ask(Way(transport=transport, uploads=True, progress=progress))


def inputs_of(way: Way, data: Data) -> Iterator[dict[str, Any]]:
    """Members of `JobInput`, in the order said. Raises UsageError for a path that leads nowhere."""
    if "database" in data.words:
        yield {**_of_database(data.words), **_credentials(data)}
    for kind, group in groupby(data.places, kind_of):
        said = list(group)
        if kind == "path":
            yield {**_local(way, said), **data.words}
        elif kind == "url":
            yield {"urls": said, **data.words, **_credentials(data)}
        else:
            yield from ({**_named(each), **data.words, **_credentials(data)} for each in said)


def output_of(transport: Transport, place: str | None, credentials: str | None) -> dict[str, Any]:
    """Where answers go, as members of `JobOutput`; None: the server keeps them. Raises UsageError for a path of this machine and a server elsewhere."""
    if place is None:
        return {}
    kind = kind_of(place)
    if kind == "dataset":
        raise UsageError(f"{place}: answers go to a path, a URL or datastore:NAME/PATH; register what came of it as a dataset afterwards.")
    if kind == "path":
        return {"url": local_output(transport, place)}
    return {**({"url": place} if kind == "url" else _named(place)), **({"credentials": credentials} if credentials else {})}


def local_output(transport: Transport, place: str) -> str:
    """Absolute. Raises UsageError where the server has another disk."""
    if not transport.is_of_this_machine:
        raise UsageError(
            f"The output {place} lies on this machine, and the server {transport.url} on another. Say a URL such as s3://bucket/scores/, or no output:"
            " the server keeps it then, and `fairlead job outputs` fetches it."
        )
    return str(_absolute(place))


def reference_of(way: Way, said: str) -> str:
    """An input of a batch service: its absolute path, `tree:DIGEST` of what was uploaded, or as it was said."""
    if kind_of(said) != "path":
        return said
    made = _local(way, [said])
    return f"tree:{made['tree']}" if "tree" in made else str(made["urls"][0])


def kind_of(place: str) -> str:
    """path, url, dataset or datastore."""
    if place.startswith(DATASET):
        return "dataset"
    if place.startswith(DATASTORE):
        return "datastore"
    return "url" if URL.match(place) else "path"


def are_files(data: Data) -> bool:
    """Whether, as far as their names say, files and not rows are scored."""
    said = data.words.get("format")
    if data.files is not None or said is not None or not data.places:
        return bool(said == "files") if data.files is None else data.files
    return not any(_ending(each) in _ENDINGS for each in data.places) and all(kind_of(each) != "dataset" for each in data.places)


def _ending(place: str) -> str:
    """That of the file, under a packed one's; of a folder, of the first file in it."""
    path = Path(place)
    if kind_of(place) == "path" and path.is_dir():
        path = next((each for each in sorted(path.rglob("*")) if each.is_file() and not each.name.startswith((".", "_"))), path)
    suffixes = [each.lower() for each in path.suffixes]
    if suffixes and suffixes[-1] in _PACKED:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def _credentials(data: Data) -> dict[str, str]:
    return {"credentials": data.credentials} if data.credentials else {}


def _of_database(words: Mapping[str, Any]) -> dict[str, Any]:
    """Said by its URL, or as a datastore."""
    place = str(words["database"])
    rest = {name: value for name, value in words.items() if name != "database"}
    return {**rest, **(_named(place) if place.startswith(DATASTORE) else {"database": place})}


def _named(place: str) -> dict[str, str]:
    if place.startswith(DATASET):
        return {"dataset": place.removeprefix(DATASET)}
    name, _, path = place.removeprefix(DATASTORE).partition("/")
    return {"datastore": name, "path": path}


def _local(way: Way, said: Sequence[str]) -> dict[str, Any]:
    found = [(each, matches(each)) for each in said]
    if not way.uploads:
        return {"urls": [str(_absolute(each)) for each, _ in found]}
    tree, root = _together([path for _, paths in found for path in paths])
    return {"tree": upload_tree(way.transport, tree, root, way.progress)}


def matches(said: str) -> list[Path]:
    """What a path or glob means on this machine. Raises UsageError when that is nothing."""
    folder, pattern = split(said)
    found = sorted(folder.glob(pattern)) if pattern else [folder] if folder.exists() else []
    if not found:
        raise UsageError(f"There is no file {said}." if not pattern else f"No file matches {said}; quote it if the shell is not to expand it.")
    return found


def split(said: str) -> tuple[Path, str]:
    """The folder before the first star, and the pattern from there on."""
    parts = Path(said).parts
    first = next((number for number, part in enumerate(parts) if _STAR.search(part)), len(parts))
    if first == len(parts) or Path(said).exists():
        return Path(said), ""
    return Path(*parts[:first]), str(Path(*parts[first:]))


def _together(paths: Sequence[Path]) -> tuple[Tree, Path]:
    """One tree of all, named from the folder that they have in common."""
    if len(paths) == 1:
        return tree_of(paths[0]), paths[0]
    places = [_absolute(str(path)) for path in paths]
    shared = places[0].parent
    while not all(place.is_relative_to(shared) for place in places):
        shared = shared.parent
    files = {file.path: file for place in dict.fromkeys(places) for file in _renamed(place, shared)}
    return Tree(tuple(files[name] for name in sorted(files))), shared


def _renamed(place: Path, shared: Path) -> Iterator[TreeFile]:
    name: Callable[[str], Path] = (lambda path: place / path) if place.is_dir() else (lambda _: place)
    for file in tree_of(place).files:
        yield TreeFile(name(file.path).relative_to(shared).as_posix(), file.size, file.sha256, file.executable)


def _absolute(said: str) -> Path:
    return Path(said).expanduser().absolute()
