"""What batch needs beside what the model needs, in the versions that a service would have."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from fairlead_scoring.bundle import Bundle
from onnx import helper

from fairlead.bundles import ModelSource, Recipe, make
from fairlead.environments import locking
from fairlead.environments.spec import EnvironmentSpec
from fairlead.errors import EnvironmentFailure
from fairlead.flavors import inspect
from fairlead.server.jobs.environments import Ingredients, lock
from fairlead.server.jobs.requirements import needed, welcome
from fairlead.server.making.caches import Caches
from fairlead.server.making.parts import PlannedEnvironment
from fairlead.server.making.plans import Plan
from fairlead.stores import open_store

WISH: dict[str, Any] = {"inputs": [], "engine": {"name": "local"}, "output": None}


def names(kind: str = "score", **said: Any) -> set[str]:
    return {line.partition(">")[0].partition("[")[0] for line in needed(kind, WISH | said, "3.11")}


def place(*urls: str, **said: Any) -> dict[str, Any]:
    return {"said": {"urls": list(urls), "format": None, "database": None} | said}


def test_what_is_needed_follows_from_places_formats_and_engine() -> None:
    base = {"pyarrow", "fsspec"}
    assert names() == base
    assert names(inputs=[place("/data/a.parquet")]) == base | {"pandas"}
    assert names(inputs=[place("/data/images", format="files")]) == base
    assert names(inputs=[place("s3://b/x")], output={"url": "wasbs://c@a.blob.core.windows.net/out"}) == base | {"pandas", "s3fs", "adlfs"}
    assert names(inputs=[place("https://a.blob.core.windows.net/c/f")]) == base | {"pandas", "adlfs"}
    assert names(inputs=[place("https://host/f", format="files")]) == base | {"aiohttp"}
    assert names(inputs=[place(database="postgresql://h/d")]) == base | {"pandas", "psycopg"}
    assert names(engine={"name": "ray"}, side_inputs={"x": place("gs://b/y")}) == base | {"ray", "gcsfs"}
    assert names("program", parameters=[{"kind": "Reference", "value": "s3://b/x"}, {"kind": "Value", "value": "gs://b"}]) == base | {"s3fs"}
    assert names(engine={"name": "spark"}) == base | {"pyspark"}


def bundle_of(folder: Path, operator: str, **noted: str) -> Bundle:
    """Of an ONNX model with this node, and with this in its metadata."""
    made = helper.make_model(helper.make_graph([helper.make_node(operator, ["data"], ["answer"], domain="ai.onnx.ml")], "g", [], []))
    helper.set_model_props(made, noted)
    folder.mkdir()
    (folder / "model.onnx").write_bytes(made.SerializeToString())
    return make(Recipe(models=[ModelSource(name="model", path=folder / "model.onnx")], name="m"), folder / "bundle", inspect)


def test_a_compiled_forest_welcomes_what_makes_it_faster(tmp_path: Path) -> None:
    forest = bundle_of(tmp_path / "forest", "TreeEnsemble", fairlead='{"methods": {}}')
    [line] = welcome("score", forest)
    assert line.startswith("llvmlite")
    assert welcome("program", forest) == ()
    assert welcome("score", bundle_of(tmp_path / "linear", "LinearClassifier", fairlead='{"methods": {}}')) == ()
    assert welcome("score", bundle_of(tmp_path / "foreign", "TreeEnsemble", author="somebody")) == ()


def locked(tmp_path: Path, own: EnvironmentSpec, *beside: str, welcome: tuple[str, ...] = (), say: Any = lambda _line: None) -> Any:
    store = open_store(tmp_path / "blobs")
    plan = Plan(environment=PlannedEnvironment(spec=own.to_json()))
    of = Ingredients(plan=plan, bundle=tmp_path, beside=lambda _: beside, welcome=welcome)
    return lock(store, Caches(tmp_path / "cache", tmp_path / "private"), of, say)


def test_the_second_lock_has_the_versions_of_the_first(tmp_path: Path) -> None:
    found = locked(tmp_path, EnvironmentSpec(requirements=("idna==3.7",), variables={"A": "b"}), "idna>=3", "certifi")
    assert found.own.lock.requirements == ("idna==3.7",)
    assert found.own.lock == locking.lock(EnvironmentSpec(requirements=("idna==3.7",)), kept=tmp_path / "cache" / "locks")
    assert "idna==3.7" in found.batch.requirements
    assert any(line.startswith("certifi==") for line in found.batch.requirements)
    assert found.own.variables == {"A": "b"}
    kept = Ingredients(plan=Plan(environment=PlannedEnvironment(spec={"requirements": ["idna==3.7"]})), bundle=tmp_path, beside=lambda _: ("x",), batch=None)
    store = open_store(tmp_path / "blobs")
    blob = store.put(io.BytesIO(found.batch.text.encode())).digest
    again = lock(store, Caches(tmp_path / "cache", tmp_path / "private"), Ingredients(**{**vars(kept), "batch": blob}), lambda _line: None)
    assert again.batch == found.batch


def test_what_came_along_unasked_gives_way_to_what_batch_needs(tmp_path: Path) -> None:
    found = locked(tmp_path, EnvironmentSpec(requirements=("requests",)), "idna<3.7")
    own, batch = (dict(line.split("==") for line in each.requirements) for each in (found.own.lock, found.batch))
    assert (own.pop("idna") != "3.6", batch.pop("idna")) == (True, "3.6")
    assert own == batch
    with pytest.raises(EnvironmentFailure, match=r"Batch needs idna<3\.7, and the model's environment has idna==3\.10"):
        locked(tmp_path, EnvironmentSpec(requirements=("requests", "idna==3.10")), "idna<3.7")


def test_what_gave_way_once_is_not_sought_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = EnvironmentSpec(requirements=("requests",))
    once = locked(tmp_path, own, "idna<3.7")

    def asked_again(*_arguments: Any, **_named: Any) -> None:
        raise AssertionError("the resolver was asked again")

    monkeypatch.setattr(locking, "run_uv", asked_again)
    said: list[str] = []
    assert locked(tmp_path, own, "idna<3.7", say=said.append).batch == once.batch
    assert any(line.startswith("Batch needs another version than idna==") for line in said), "and it is said each time"
    with pytest.raises(AssertionError, match="asked again"):
        locked(tmp_path, own, "idna<3.6")


def test_what_is_welcome_is_taken_where_it_can_be_had_and_no_version_moves(tmp_path: Path) -> None:
    own = EnvironmentSpec(requirements=("idna==3.7",))
    taken = locked(tmp_path, own, "certifi", welcome=("six", "idna>=3.8")).batch.requirements
    assert "idna==3.7" in taken
    assert any(line.startswith("six==") for line in taken)
    said: list[str] = []
    left = locked(tmp_path, own, "certifi", welcome=("six>=1000",), say=said.append).batch.requirements
    assert {line.partition("==")[0] for line in left} == {"idna", "certifi"}
    assert any(line.startswith("six cannot be had") for line in said)
    old = locked(tmp_path, own, "certifi", welcome=("six; python_version < '3.0'",)).batch.requirements
    assert {line.partition("==")[0] for line in old} == {"idna", "certifi"}


def test_a_conflict_names_what_batch_needs_and_what_the_model_has(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailure) as refused:
        locked(tmp_path, EnvironmentSpec(requirements=("idna==3.4",)), "idna>=3.7")
    assert refused.value.cause == "conflict"
    assert str(refused.value).startswith("Batch needs idna>=3.7, and the model's environment has idna==3.4: they do not go together.")
