"""From a command's options to what the SDK deploys."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fairlead_scoring.bundle import is_bundle

from fairlead.bundles import parse_model
from fairlead.cli.pairs import labels
from fairlead.client.transport import Transport
from fairlead.configurations.deployment_config import read_deployment_config
from fairlead.configurations.environment_block import NamedEnvironment
from fairlead.configurations.inference_config import InferenceConfiguration, read_inference_config
from fairlead.environments.spec import EnvironmentSpec
from fairlead.errors import UsageError
from fairlead.schemas.references import parse_reference
from fairlead.sdk import registering
from fairlead.sdk.deploying import Say, Source, Wish
from fairlead.sdk.image_wishes import ImageWish, check_target
from fairlead.sdk.remote_models import fetch, lies_elsewhere
from fairlead.sdk.samples import sample_text

_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?::(?:[0-9]+|latest)|@[A-Za-z][A-Za-z0-9._-]*)")


def wish_of(asked: Mapping[str, Any]) -> Wish:
    """From options of the names that the deploying commands share; those that a command does not have are as if not given."""
    config = read_inference_config(asked["ic"]) if asked.get("ic") else None
    script, source_dir = asked.get("script"), asked.get("source_dir")
    if config is not None and (script or source_dir):
        raise UsageError("--ic says the script and its folder already; leave out --script and --source-dir, or --ic.")
    if source_dir is not None and script is None:
        raise UsageError("--source-dir is the folder of a script; give --script too.")
    variables = {**(config.variables if config else {}), **labels(asked.get("env"), "--env")}
    return Wish(
        source=_source_of(config, asked) if config else _script(script, source_dir, asked),
        environment=environment_of(asked) or (config.spec if config else None),
        configuration=_configuration(asked),
        variables=variables or None,
        secrets=asked.get("secret") or None,
        sample=sample_text(asked["sample"]) if asked.get("sample") else None,
        expected=sample_text(asked["expected"]) if asked.get("expected") else None,
        auth=asked.get("auth"),
        host=asked.get("host"),
        tags=labels(asked.get("tag"), "--tag") or None,
        properties=labels(asked.get("property"), "--property") or None,
        description=asked.get("description") or (config.description if config else None),
        target=check_target(asked.get("target")),
        image=_image_of(config, asked),
        notices=config.notices if config else (),
    )


def environment_of(asked: Mapping[str, Any]) -> EnvironmentSpec | NamedEnvironment | None:
    """From --requirements, --conda, or --environment NAME[:VERSION]; at most one. `spec`, `packages`: of commands that spell it otherwise."""
    given = [word for word in ("requirements", "conda", "environment") if asked.get(word)]
    if len(given) > 1:
        raise UsageError(f"--{given[0]} and --{given[1]} both say the packages; give one.")
    if asked.get("requirements"):
        path = asked["requirements"]
        return EnvironmentSpec.from_pyproject(path) if path.name == "pyproject.toml" else EnvironmentSpec.from_requirements(path)
    if asked.get("conda"):
        return EnvironmentSpec.from_conda(asked["conda"])
    if asked.get("environment"):
        name, _, version = asked["environment"].partition(":")
        return NamedEnvironment(name=name, version=version or None)
    if asked.get("packages"):
        return EnvironmentSpec(requirements=tuple(asked["packages"]))
    spec: EnvironmentSpec | None = asked.get("spec")
    return spec


def check_models(said: Sequence[str]) -> None:
    """Raises UsageError for what can be neither a path nor a registered model, before a server is asked."""
    for each in said:
        if is_path(each) or lies_elsewhere(each):
            continue
        suffix = Path(each).suffix
        if "/" in each or (suffix and ":" not in each and "@" not in each and not suffix[1:].isdigit()):
            raise UsageError(f"There is no file {each}. Give the path of a model, or the name of one that is registered.")
        parse_reference(each)


def models_of(transport: Transport, said: Sequence[str], say: Say, *, needs_flavor: bool = False) -> list[str]:
    """References of registered versions; a file or folder is registered first, which is said.

    needs_flavor: no script says how a model is called, so a file that no flavor serves is refused, and not registered.
    """
    return [_model_of(transport, each, say, needs_flavor) for each in said]


def is_path(said: str) -> bool:
    """`churn:3` and `churn@prod` never are; else what exists is."""
    return not _REFERENCE.fullmatch(said) and Path(said).exists()


def is_bundle_folder(said: str) -> bool:
    return is_path(said) and Path(said).is_dir() and is_bundle(Path(said))


def stem_of(said: str) -> str:
    """What a service made of this model is called when nobody says."""
    if lies_elsewhere(said):
        return Path(said).stem
    return Path(said).resolve().stem if is_path(said) else re.split("[:@]", said)[0]


def requests_of(path: Path | None) -> list[bytes]:
    """A JSON body per line. Raises UsageError."""
    if path is None:
        return []
    try:
        lines = [line for line in path.read_bytes().splitlines() if line.strip()]
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}).") from error
    for number, line in enumerate(lines, start=1):
        try:
            json.loads(line)
        except ValueError:
            raise UsageError(f"{path}, line {number} is not JSON; write one request body per line.") from None
    if not lines:
        raise UsageError(f"{path} holds no request; write one JSON body per line.")
    return lines


def _model_of(transport: Transport, said: str, say: Say, needs_flavor: bool) -> str:
    if lies_elsewhere(said):
        with tempfile.TemporaryDirectory(prefix="fairlead-model-") as folder:
            return _registered(transport, str(fetch(transport, said, Path(folder))), said, say, needs_flavor)
    return _registered(transport, said, said, say, needs_flavor) if is_path(said) else said


def _registered(transport: Transport, path: str, said: str, say: Say, needs_flavor: bool) -> str:
    source = parse_model(path)
    prepared = registering.prepare(registering.Registration(name=source.name, path=source.path))
    if needs_flavor and prepared.new.flavor is None:
        raise UsageError(" ".join(prepared.notes) or f"No flavor serves {said}; give a script with --script.")
    made = registering.send(transport, prepared)
    say(f"registered {said} as {made.reference}")
    return made.reference


def _source_of(config: InferenceConfiguration, asked: Mapping[str, Any]) -> Source:
    folder = config.source_directory
    script = folder / config.entry_script
    record = {**config.to_json(), "scriptPath": str(script), "sourceDirectory": str(folder)}
    schema = asked.get("schema") or (folder / config.schema_file if config.schema_file else None)
    return Source(script=script, folder=folder, schema=schema, record=record, allow=asked.get("allow") or ())


def _image_of(config: InferenceConfiguration | None, asked: Mapping[str, Any]) -> ImageWish | None:
    """A base on the command line takes the place of the file's."""
    wish = ImageWish.of(config.docker) if config is not None else ImageWish()
    return replace(wish, base=asked["base"], username=None, password_secret=None) if asked.get("base") else wish


def _script(script: Path | None, folder: Path | None, asked: Mapping[str, Any]) -> Source | None:
    if script is None:
        return None
    record = {"entryScript": script.name, "scriptPath": str(script.absolute()), **({"sourceDirectory": str(folder.absolute())} if folder else {})}
    return Source(script=script, folder=folder, schema=asked.get("schema"), record=record, allow=asked.get("allow") or ())


def _configuration(asked: Mapping[str, Any]) -> Any:
    """File, then --set, then flags of their own; None when there is nothing of all that."""
    flags = {name: asked[name] for name in ("port", "workers", "num_replicas") if asked.get(name) is not None} | dict(asked.get("flags") or {})
    if asked.get("dc") is None and not asked.get("set_") and not flags:
        return None
    return read_deployment_config(asked.get("dc"), sets=asked.get("set_") or (), flags=flags)
