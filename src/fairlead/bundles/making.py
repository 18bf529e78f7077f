"""Makes a bundle: everything is read and checked, copied beside the place it goes to, and put there with one rename."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from fairlead_scoring.bundle import (
    CODE,
    MODELS,
    Bundle,
    BundledModel,
    BundleError,
    Manifest,
    is_bundle,
    list_files,
    write_manifest,
)
from fairlead_scoring.schema import DeclarationError, Mismatch, Signature, check, infer, read

from fairlead.bundles.opening import open_bundle
from fairlead.bundles.private_files import refuse_private
from fairlead.bundles.recipe import Found, ModelSource, Recipe
from fairlead.bundles.requirements import check_requirements
from fairlead.bundles.source_code import add_source, copy_file
from fairlead.environments.requirement_lines import read_text
from fairlead.errors import Conflict, InvalidBundle, UsageError

REQUIREMENTS = "requirements.txt"
CONDA = "conda.yml"
SCRIPT = "score.py"

Inspect = Callable[[Path], Found]


def make(recipe: Recipe, out: Path, inspect: Inspect) -> Bundle:
    """Writes the bundle to `out`, which must not hold another one; the same bundle there already is fine.

    inspect: what the flavors say about a model, asked only when the recipe has no script. Raises UsageError, Conflict.
    """
    _refuse_nonsense(recipe)
    found = None if recipe.script else inspect(recipe.models[0].path)
    staging = _staging_beside(out)
    try:
        manifest = _fill(staging, recipe, found, skip=out)
        name = write_manifest(staging, manifest)
        staging.chmod(0o755)
        return _publish(staging, out, name)
    except BundleError as fault:
        raise UsageError(str(fault)) from fault
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _staging_beside(out: Path) -> Path:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as error:
        raise UsageError(f"Nothing can be written to {out.parent} ({error.strerror}); give another folder with -o.") from error


def _refuse_nonsense(recipe: Recipe) -> None:
    if recipe.script is None and len(recipe.models) != 1:
        what = "Without a script there must be one model" if recipe.models else "There is neither a model nor a script"
        raise UsageError(f"{what}; give --script score.py with init() and run().")
    if recipe.script is None and recipe.source_dir is not None:
        raise UsageError("--source-dir is the folder of a script; give --script too.")
    if recipe.requirements and recipe.conda:
        raise UsageError("--requirements and --conda are two ways to say the same; give one.")
    if recipe.schema and recipe.schema_from_sample:
        raise UsageError("A schema comes from a file or from the sample, not from both.")
    if recipe.schema_from_sample and recipe.sample is None:
        raise UsageError("--schema sample reads the schema off the sample; give --sample FILE too.")
    names = [model.name.lower() for model in recipe.models]
    twice = next((model.name for model in recipe.models if names.count(model.name.lower()) > 1 and _same_version(recipe, model)), None)
    if twice is not None:
        raise UsageError(f"Two models are called {twice}; name one of them: NAME=PATH.")


def _same_version(recipe: Recipe, model: ModelSource) -> bool:
    return [each.version for each in recipe.models if each.name.lower() == model.name.lower()].count(model.version) > 1


def _fill(staging: Path, recipe: Recipe, found: Found | None, skip: Path) -> Manifest:
    """Copies everything into the staging folder and says what it is."""
    signature = _signature(recipe)
    schema = signature.to_json() if signature else dict(found.schema) if found and found.schema else None
    flavor = found.flavor.name if found else None
    models = tuple(_add_model(staging, model, recipe, flavor) for model in recipe.models)
    entry_script = _add_code(staging, recipe, found, skip)
    requirements, conda = _add_environment(staging, recipe, found)
    sample = _add_sample(staging, recipe, signature)
    name = recipe.name or (recipe.models[0].name if recipe.models else Path(entry_script).stem)
    return Manifest(
        name,
        list_files(staging),
        entry_script=entry_script,
        models=models,
        requirements=requirements,
        conda=conda,
        schema=schema,
        sample=sample,
        serving=dict(recipe.serving),
        flavor=flavor,
        proof=None if recipe.proof is None else dict(recipe.proof),
    )


def _add_model(staging: Path, model: ModelSource, recipe: Recipe, flavor: str | None) -> BundledModel:
    own = model.path.resolve().name if model.path.name in ("", "..") else model.path.name
    path = f"{MODELS}/{model.name}/{model.version}/{own}"
    if model.path.is_dir():
        files = sorted(each.relative_to(model.path).as_posix() for each in model.path.rglob("*") if not each.is_dir() or each.is_symlink())
        files = [each for each in files if "__pycache__" not in each.split("/")]
        if not files:
            raise UsageError(f"Model {model.path} is an empty folder.")
        refuse_private(files, recipe.allow)
        for each in files:
            copy_file(model.path / each, staging / path / each)
    else:
        refuse_private([own], recipe.allow)
        copy_file(model.path, staging / path)
    return BundledModel(model.name, model.version, path, flavor)


def _add_code(staging: Path, recipe: Recipe, found: Found | None, skip: Path) -> str:
    """The script and its folder, if it ships; answers the script's path inside code/."""
    if found is not None:
        _write(staging / CODE / SCRIPT, found.flavor.score_py.encode())
        return SCRIPT
    if recipe.script is None:
        raise UsageError("There is neither a model nor a script; give --script score.py with init() and run().")
    return add_source(staging / CODE, recipe.script, recipe.source_dir, recipe.allow, skip=(skip, staging))


def _add_environment(staging: Path, recipe: Recipe, found: Found | None) -> tuple[str | None, str | None]:
    if recipe.conda:
        _check_conda(recipe.conda)
        copy_file(recipe.conda, staging / CONDA, plain=True)
        return None, CONDA
    if recipe.requirements:
        check_requirements(recipe.requirements)
        copy_file(recipe.requirements, staging / REQUIREMENTS, plain=True)
        return REQUIREMENTS, None
    if found is None:
        return None, None
    _write(staging / REQUIREMENTS, "".join(f"{line}\n" for line in found.requirements).encode())
    return REQUIREMENTS, None


def _check_conda(path: Path) -> None:
    """Far enough to know that it is one: a mapping with a list of dependencies."""
    try:
        said = yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is not YAML ({str(error).splitlines()[0]}), so it is no conda environment file.") from error
    if not isinstance(said, dict) or not isinstance(said.get("dependencies"), list):
        raise UsageError(f"{path} is no conda environment file: it has no list of dependencies.")


def _add_sample(staging: Path, recipe: Recipe, signature: Signature | None) -> str | None:
    if recipe.sample is None:
        return None
    name = f"sample{recipe.sample.suffix}"
    _json(recipe.sample)
    if signature is not None:
        _check_sample(recipe.sample, signature)
    copy_file(recipe.sample, staging / name, plain=True)
    return name


def _signature(recipe: Recipe) -> Signature | None:
    source = recipe.sample if recipe.schema_from_sample else recipe.schema
    if source is None:
        return None
    said = _json(source)
    try:
        return infer(said) if recipe.schema_from_sample else read(said)
    except DeclarationError as fault:
        raise UsageError(f"{source}: {fault}") from fault


def _check_sample(sample: Path, signature: Signature) -> None:
    body = _json(sample)
    if isinstance(body, list) and signature.inputs:
        body = {signature.inputs[0].name: body}
    if not isinstance(body, dict):
        raise UsageError(f"Sample {sample} is no JSON object, so it does not fit the schema.")
    for field in signature.inputs:
        if field.name not in body and field.required:
            raise UsageError(f"Sample {sample} has no {field.name!r}, which the schema requires.")
        try:
            check(field, body.get(field.name, field.default))
        except Mismatch as fault:
            raise UsageError(f"Sample {sample} does not fit the schema: {fault}") from fault


def _json(path: Path) -> Any:
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as fault:
        raise UsageError(f"{path} is not JSON: {fault}.") from fault


def _write(target: Path, content: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    target.chmod(0o644)


def _publish(staging: Path, out: Path, name: str) -> Bundle:
    try:
        staging.rename(out)  # onto nothing, or onto an empty folder
    except OSError as fault:
        if not out.exists():
            raise UsageError(f"{out} cannot be written: {fault.strerror}.") from fault
        return _same_bundle(out, name)
    return open_bundle(out, verify=False)


def _same_bundle(out: Path, name: str) -> Bundle:
    if not is_bundle(out):
        raise Conflict(f"{out} exists and is no bundle. Choose another -o.")
    try:
        there = open_bundle(out)
    except InvalidBundle as fault:
        raise Conflict(f"{fault} Remove it, or choose another -o.") from fault
    if there.digest != name:
        raise Conflict(f"{out} already holds bundle {there.digest[:12]}, and this one is {name[:12]}. A bundle never changes: choose another -o.")
    return there
