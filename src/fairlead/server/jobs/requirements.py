"""What batch needs beside what the model needs: pyarrow and fsspec, and by need what reads and writes the places, and the engine."""

from __future__ import annotations

import importlib.metadata
import mmap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from fairlead_scoring.bundle import Bundle
from packaging.requirements import Requirement

from fairlead.server.jobs.places import scheme_of

LIBRARIES = {
    "s3": "s3fs>=2025.3",
    "gs": "gcsfs>=2025.3",
    "abfs": "adlfs>=2024.12",
    "http": "aiohttp>=3.10",
    "postgresql": "psycopg[binary]>=3.2",
}
ENGINES = {"ray": "ray>=2.50", "spark": "pyspark>=3.5"}
FRAMES = "pandas>=2"
COMPILED = (b"TreeEnsemble", b'"methods"')  # what a model has in it that `--compile` has made of trees
TREES = "llvmlite>=0.45; python_version >= '3.10'"
_ALIKE = {"abfss": "abfs", "wasb": "abfs", "wasbs": "abfs", "https": "http"}
NOT_TABULAR = ("files",)


def needed(kind: str, wish: Mapping[str, Any], python: str) -> tuple[str, ...]:
    """Requirement lines. python: the minor of the environment."""
    lines = [*_of_runtime(python), *(LIBRARIES[each] for each in sorted(_libraries(wish)))]
    if kind == "score" and any(each["said"].get("format") not in NOT_TABULAR for each in wish["inputs"]):
        lines.append(FRAMES)
    engine = ENGINES.get(wish["engine"]["name"])
    return tuple(dict.fromkeys([*lines, *([engine] if engine else [])]))


def welcome(kind: str, bundle: Bundle) -> tuple[str, ...]:
    """Without which it would be the same, but slower."""
    manifest = bundle.manifest
    if kind != "score" or manifest.flavor != "onnx" or not manifest.models:
        return ()
    model = bundle.path / manifest.models[0].path
    return (TREES,) if model.is_file() and _holds(model, COMPILED) else ()


def _holds(path: Path, words: Iterable[bytes]) -> bool:
    if not path.stat().st_size:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return all(content.find(word) >= 0 for word in words)


def _of_runtime(python: str) -> Iterator[str]:
    """The extra `batch` of the runtime, as it is installed here."""
    for line in importlib.metadata.requires("fairlead-scoring") or []:
        requirement = Requirement(line)
        said = {"extra": "batch", "python_version": python, "python_full_version": f"{python}.0"}
        if requirement.marker is not None and "extra" in str(requirement.marker) and requirement.marker.evaluate(said):
            requirement.marker = None
            yield str(requirement)


def _libraries(wish: Mapping[str, Any]) -> set[str]:
    """By the schemes of all places."""
    found: set[str] = set()
    for url in _urls(wish):
        scheme = scheme_of(url)
        known = "abfs" if scheme == "https" and ".blob.core." in url else _ALIKE.get(scheme, scheme)
        found |= {known} & LIBRARIES.keys()
    return found


def _urls(wish: Mapping[str, Any]) -> Iterator[str]:
    for each in (*wish.get("inputs", ()), *wish.get("side_inputs", {}).values()):
        yield from each["said"].get("urls") or ()
        yield each["said"].get("database") or ""
    for each in wish.get("parameters", ()):
        yield each["value"] if each["kind"] == "Reference" else ""
    yield (wish.get("output") or {}).get("url") or ""
