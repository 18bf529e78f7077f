"""From a job's row to the order that its driver reads, and the secrets beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairlead_scoring.batch.job import Order

from fairlead.server.jobs.place import Place
from fairlead.server.making.caches import read_tree
from fairlead.server.tables.jobs import JobRow
from fairlead.stores import Store, lay_down

PLAIN = ("script", "method", "mini_batch", "partition_keys", "limits", "arguments", "log_level")
KEPT = "output:"  # a parameter's value: answers that the server keeps, under this name


@dataclass(frozen=True)
class Access:
    """One use of a secret: file in PLACE/secrets, and the workspace's secret."""

    file: str
    secret: str


def order_of(job: JobRow, place: Place, bundle: Path) -> Order:
    wish = job.wish
    output = wish.get("output")
    engine = {name: wish["engine"].get(name) for name in ("name", "nodes", "processes", "options")}
    said = {
        **{name: wish.get(name) for name in PLAIN if wish.get(name) is not None},
        "id": job.id,
        "name": job.name,
        "kind": job.kind,
        "bundle": str(bundle),
        "inputs": [_input(each, place, f"input-{number}") for number, each in enumerate(wish.get("inputs", ()))],
        "side_inputs": {name: _input(each, place, f"side-{name}")["urls"][0] for name, each in wish.get("side_inputs", {}).items()},
        "side_credentials": {name: f".side-{name}" for name, each in wish.get("side_inputs", {}).items() if each.get("secret")},
        "output": None if output is None else _output(output, place),
        "engine": engine,
        "variables": {**(job.variables or {}), **wish.get("variables", {})},
        "program": _program(wish, place) if job.kind == "program" else {},
    }
    return Order.from_json(said)


def accesses(wish: Mapping[str, Any]) -> Iterator[Access]:
    """Every secret that the driver is given. Names of files that are no secret's own begin with a dot."""
    for number, each in enumerate(wish.get("inputs", ())):
        yield from _access(each, f"input-{number}")
    for name, each in wish.get("side_inputs", {}).items():
        yield from _access(each, f"side-{name}")
    for each in wish.get("parameters", ()):
        yield from _access(each, each["id"].lstrip("-"))
    yield from _access(wish.get("output") or {}, "output")
    yield from (Access(name, name) for name in wish.get("secrets", ()))


def lay_inputs(store: Store, wish: Mapping[str, Any], place: Place) -> None:
    """Uploaded trees, where the order says they are. Raises BlobNotFound, BlobDamaged, StoreFull."""
    for name, each in _trees(wish):
        if each.get("tree"):
            lay_down(store, read_tree(store, each["tree"]), place.inputs / name, link=True)


def _trees(wish: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield from ((f"input-{number}", each) for number, each in enumerate(wish.get("inputs", ())))
    yield from ((f"side-{name}", each) for name, each in wish.get("side_inputs", {}).items())
    yield from ((each["id"].lstrip("-"), each) for each in wish.get("parameters", ()))


def _access(each: Mapping[str, Any], name: str) -> Iterator[Access]:
    if each.get("secret"):
        yield Access(f".{name}", each["secret"])


def _input(each: Mapping[str, Any], place: Place, name: str) -> dict[str, Any]:
    said = dict(each["said"])
    if each.get("tree"):
        said["urls"] = [str(place.inputs / name)]
    return said | {"credentials": f".{name}" if each.get("secret") else None}


def _output(output: Mapping[str, Any], place: Place) -> dict[str, Any]:
    said = {name: value for name, value in output.items() if name != "secret"}
    return said | {"url": output["url"] or str(place.output), "credentials": ".output" if output.get("secret") else None}


def _program(wish: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """The driver's program in the bundle's code, and its parameters in the order in which they were declared."""
    return {"driver": wish["driver"], "parameters": [_parameter(each, place) for each in wish["parameters"]]}


def _parameter(each: Mapping[str, Any], place: Place) -> dict[str, Any]:
    name, value = each["id"].lstrip("-"), each["value"]
    if each.get("tree"):
        value = _only(place.inputs / name)
    elif each["direction"] == "Output" and value.startswith(KEPT):
        value = str(place.output / value.removeprefix(KEPT))
    said = {key: each[key] for key in ("id", "kind", "direction")}
    return said | {"value": value, "credentials": f".{name}" if each.get("secret") else None}


def _only(folder: Path) -> str:
    """A tree of one file is that file, as it is for models."""
    inside = list(folder.iterdir()) if folder.is_dir() else []
    return str(inside[0] if len(inside) == 1 else folder)
