"""From what a plan names to a bundle: fetched, put together and stored, with nothing of it executed (DECISIONS 20)."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path

from fairlead_scoring.bundle import MANIFEST, Bundle

from fairlead import flavors
from fairlead.bundles import ModelSource, Recipe, make
from fairlead.environments.spec import EnvironmentSpec
from fairlead.errors import UsageError
from fairlead.server.making.caches import Caches, read_tree
from fairlead.server.making.parts import PlannedModel
from fairlead.server.making.plans import Plan
from fairlead.stores import Store, Tree, TreeFile, lay_down
from fairlead.stores.trees import tree_of

SMALL = 1 << 20  # bytes


@dataclass(frozen=True, kw_only=True)
class Packed:
    """`digest`: the bundle's name; `tree`: the blob that lists its files; `place`: where it lies on this machine."""

    digest: str
    tree: str
    place: Path


def pack(store: Store, caches: Caches, plan: Plan) -> Packed:
    """Raises UsageError, InvalidBundle and what the store raises."""
    if plan.bundle is not None:
        place, digest = caches.lay_bundle(store, read_tree(store, plan.bundle))
        return Packed(digest=digest, tree=plan.bundle, place=place)
    with caches.room() as room:
        recipe = _recipe(store, room, plan)
        bundle = make(recipe, room / "bundle", flavors.inspect)
        tree = _keep(store, bundle)
        return Packed(digest=bundle.digest, tree=tree, place=caches.take_in(room / "bundle", bundle.digest))


def requirements_of(plan: Plan) -> list[str]:
    """What the models were registered with, each line once."""
    return list(dict.fromkeys(line for model in plan.models for line in model.requirements))


def _recipe(store: Store, room: Path, plan: Plan) -> Recipe:
    sample_input = plan.sample_input if plan.sample_input is not None else _only(plan, "sample_input")
    sample = _json_file(room / "sample.json", sample_input)
    code = None
    if plan.code is not None:
        code = room / "code"
        lay_down(store, read_tree(store, plan.code.tree), code)
    schema = plan.service_schema or (plan.models[0].model_schema if len(plan.models) == 1 else None)
    return Recipe(
        models=tuple(_source(store, room / "models" / str(position), model) for position, model in enumerate(plan.models)),
        script=None if plan.code is None or code is None else _inside(code, plan.code.entry_script),
        source_dir=code,
        requirements=_lines_file(room / "requirements.txt", _requirement_lines(plan)),
        schema=_json_file(room / "schema.json", None if schema is None else json.dumps(schema)),
        sample=sample,
        allow=("*",),  # what may ship was decided where the files came from
    )


def _source(store: Store, folder: Path, model: PlannedModel) -> ModelSource:
    """A tree of one file is that file; any other is a folder, which bears the model's name unless the tree has one folder at its top."""
    place = folder / model.name
    folder.mkdir(parents=True)
    lay_down(store, read_tree(store, model.tree), place, link=True)
    inside = list(place.iterdir())
    return ModelSource(name=model.name, version=str(model.version), path=inside[0] if len(inside) == 1 else place)


def _inside(folder: Path, entry_script: str) -> Path:
    script = folder / entry_script
    if not script.resolve().is_relative_to(folder.resolve()) or not script.is_file():
        raise UsageError(f"The entry script {entry_script!r} is not among the files that were uploaded with it; give its path in the source folder.")
    return script


def _requirement_lines(plan: Plan) -> list[str]:
    """Of the environment that was asked for, else of the models; none at all leaves it to the flavor."""
    if plan.environment.spec is not None:
        spec = EnvironmentSpec.from_json(plan.environment.spec)
        return [*spec.requirements]
    return requirements_of(plan)


def _lines_file(path: Path, lines: list[str]) -> Path | None:
    if not lines:
        return None
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def _json_file(path: Path, content: str | None) -> Path | None:
    """None for what is no JSON: such a sample is sent to the service as it is, and is no part of the bundle."""
    if content is None:
        return None
    try:
        json.loads(content)
    except (ValueError, RecursionError):
        return None
    path.write_text(content, encoding="utf-8")
    return path


def _only(plan: Plan, name: str) -> str | None:
    said: str | None = getattr(plan.models[0], name) if len(plan.models) == 1 else None
    return said


def _keep(store: Store, bundle: Bundle) -> str:
    """In the store, as a tree of blobs. What is large and there already is a model's, and not sent again; the rest is, so that no sweep takes it for old."""
    manifest = tree_of(bundle.path / MANIFEST).files[0]
    files = (*bundle.manifest.files, TreeFile(MANIFEST, manifest.size, manifest.sha256))
    tree = Tree(tuple(sorted(files, key=lambda file: file.path)))
    for file in tree.files:
        if file.size < SMALL or store.size(file.sha256) is None:
            with (bundle.path / file.path).open("rb") as stream:
                store.put(stream, expect=file.sha256)
    return store.put(io.BytesIO(tree.to_bytes())).digest
