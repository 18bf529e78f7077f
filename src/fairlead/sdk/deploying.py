"""Deploying: files of this machine become uploads, what was said becomes one request. The command line and the SDK go this way alike.

Nothing of a script or model is executed here; what needs that is proved by the candidate before it gets traffic.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairlead_scoring.schema import DeclarationError, read

from fairlead.bundles.opening import open_bundle
from fairlead.bundles.source_code import add_beside, add_source
from fairlead.client import services
from fairlead.client.transport import Transport
from fairlead.configurations.deployment_config import DeploymentConfiguration, read_deployment_config
from fairlead.configurations.environment_block import NamedEnvironment
from fairlead.environments.requirement_lines import read_text
from fairlead.environments.spec import EnvironmentSpec
from fairlead.errors import Conflict, NotFound, UsageError
from fairlead.schemas import services as wire
from fairlead.schemas.services import IMAGE_TARGETS
from fairlead.sdk import json_text
from fairlead.sdk.git_state import git_state
from fairlead.sdk.image_wishes import ImageWish, base_of, target_of
from fairlead.sdk.requests import auth_of, settings_of, tls_of
from fairlead.sdk.siblings import left_behind
from fairlead.sdk.uploads import upload_tree
from fairlead.stores.trees import tree_of

LOG = logging.getLogger("fairlead")
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Source:
    """A scoring script on this machine. `folder`: ships with it. `beside`: further files and folders. `record`: the inference configuration as said."""

    script: Path
    folder: Path | None = None
    beside: Sequence[Path] = ()
    schema: Path | None = None
    record: Mapping[str, Any] = field(default_factory=dict)
    allow: Sequence[str] = ()

    @property
    def place(self) -> Path:
        return self.folder or self.script.parent


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is to be deployed. None: not said, so the server's default, or in an update as it was.

    models: references such as `churn:3`. environment: packages, instead of those that the models need. sample, expected: a request body and the answer
    that a candidate must give to it, as text. image: what concerns images, where the target runs them. made: an image of the workspace to deploy.
    notices: what reading the files gave a person to know.
    """

    models: Sequence[str] | None = None
    bundle: Path | None = None
    source: Source | None = None
    environment: EnvironmentSpec | NamedEnvironment | None = None
    configuration: DeploymentConfiguration | None = None
    variables: Mapping[str, str] | None = None
    secrets: Sequence[str] | None = None
    sample: str | None = None
    expected: str | None = None
    schema: Mapping[str, Any] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    auth: str | None = None
    host: str | None = None
    tags: Mapping[str, str | None] | None = None
    properties: Mapping[str, str] | None = None
    description: str | None = None
    target: str | None = None
    image: ImageWish | None = None
    made: str | None = None
    notices: Sequence[str] = ()


def deploy(transport: Transport, name: str, wish: Wish, *, overwrite: bool = False, say: Say = LOG.info) -> wire.Service:
    """Uploads what there is to upload and asks for the service; returns as soon as the server has taken it on. Raises UsageError, Conflict."""
    wire.check_service_name(name)
    configuration = wish.configuration
    target = target_of(transport, name, wish.target, configuration, overwrite=overwrite)
    said = {
        **parts_of(transport, wish, say, contained=target in IMAGE_TARGETS),
        "name": name,
        "target": target,
        "auth": wish.auth or auth_of(configuration, only_said=False),
        "host": wish.host,
        "port": configuration.port if configuration else None,
        "primary_key": configuration.primary_key if configuration else None,
        "secondary_key": configuration.secondary_key if configuration else None,
        **tls_of(configuration),
        "settings": _settings(wish, only_said=False, contained=target in IMAGE_TARGETS),
        "description": _description(wish),
        "tags": _labels(wish.tags, configuration.tags if configuration else None),
        "properties": _labels(wish.properties, configuration.properties if configuration else None),
        "overwrite": overwrite or None,
    }
    return services.deploy_service(transport, wire.NewService.of(**_said(said)))


def refuse_taken(transport: Transport, name: str) -> None:
    """Raises Conflict when a service of that name is there, and has ever answered; the server decides it again when it is asked."""
    try:
        there = services.show_service(transport, name)
    except NotFound:
        return
    if there.revision is not None or there.state is not wire.ServiceState.FAILED:
        raise Conflict(wire.taken(name))


def update(transport: Transport, name: str, wish: Wish, *, say: Say = LOG.info) -> wire.Service:
    """A new revision of what is said; the rest stays."""
    _refuse_fixed(wish.configuration)
    configuration, contained = wish.configuration, services.show_service(transport, name).target in IMAGE_TARGETS
    said = {
        **parts_of(transport, wish, say, contained=contained),
        "auth": wish.auth or auth_of(configuration, only_said=True),
        "settings": _settings(wish, only_said=True),
        "description": _description(wish),
        "tags": _labels(wish.tags, configuration.tags if configuration else None),
        "properties": _labels(wish.properties, configuration.properties if configuration else None),
    }
    return services.change_service(transport, name, wire.ServiceChange.of(**_said(said)))


def parts_of(transport: Transport, wish: Wish, say: Say, *, contained: bool = False) -> dict[str, Any]:
    """What a revision or an image is made of, its files uploaded. `contained`: in an image, so its base counts."""
    for notice in _notices(wish, contained=contained):
        say(notice)
    source = wish.source
    return {
        "image": wish.made,
        "base": base_of(transport, wish.image, say) if contained else None,
        "dockerfile": (wish.image.dockerfile if contained and wish.image else None) or None,
        "models": None if wish.models is None else list(wish.models),
        "bundle": _bundle(transport, wish.bundle) if wish.bundle else None,
        "code": code_of(transport, source) if source else None,
        "environment": environment_of(wish.environment),
        "sample_input": wish.sample,
        "sample_output": wish.expected,
        "service_schema": wish.schema or (_schema(source.schema) if source and source.schema else None),
        "inference_config": dict(source.record) if source and source.record else None,
        **(commit_of(source) if source else {}),
    }


def reload(transport: Transport, name: str, source: Source) -> wire.Service:
    """The script and its folder as they are now; models, packages and settings stay."""
    return services.reload_service(transport, name, wire.Reload.of(code=code_of(transport, source)))


def revision_of(transport: Transport, name: str, number: int) -> wire.Revision:
    """Raises NotFound."""
    found = next((each for each in services.list_revisions(transport, name) if each.number == number), None)
    if found is None:
        raise NotFound(f"{name} has no revision {number}; `fairlead service revisions {name}` lists them.")
    return found


def revision_before(transport: Transport, service: wire.Service) -> int:
    """Number of the revision that served before the one that serves now. Raises UsageError when there is none."""
    served = [each.number for each in services.list_revisions(transport, service.name) if each.state == "replaced" and each.number < (service.revision or 0)]
    if not served:
        raise UsageError(f"{service.name} has no earlier revision that served; `fairlead service revisions {service.name}` lists them.")
    return max(served)


def with_settings(configuration: DeploymentConfiguration | None, words: Mapping[str, Any]) -> DeploymentConfiguration | None:
    """`configuration`, or else one made of the keywords of an update, such as num_replicas=2. Raises UsageError when both are there."""
    given = {name: value for name, value in words.items() if value is not None}
    if given and configuration is not None:
        raise UsageError(f"{next(iter(given))} and deployment_config say how the service runs; put it into the configuration.")
    return read_deployment_config(flags=given) if given else configuration


def code_of(transport: Transport, source: Source) -> dict[str, Any]:
    """Uploads the script and what ships with it; a `Code` as plain data."""
    with tempfile.TemporaryDirectory(prefix="fairlead-code-") as folder:
        target = Path(folder) / "code"
        target.mkdir()
        script = add_source(target, source.script, source.folder, source.allow)
        for each in source.beside:
            add_beside(target, each, source.allow)
        return {"tree": upload_tree(transport, tree_of(target), target), "entry_script": script}


def _bundle(transport: Transport, path: Path) -> str:
    open_bundle(path)
    return upload_tree(transport, tree_of(path), path)


def environment_of(wished: EnvironmentSpec | NamedEnvironment | None) -> dict[str, Any] | None:
    """An `EnvironmentWish` as plain data."""
    if isinstance(wished, NamedEnvironment):
        return {"name": wished.name if wished.version is None else f"{wished.name}:{wished.version}"}
    return None if wished is None else {"spec": wished.to_json()}


def _schema(path: Path) -> dict[str, Any]:
    """Fairlead's JSON, or a first-generation service schema, whose pickles are not touched."""
    try:
        return dict(read(json_text.parse(read_text(path), str(path))).to_json())
    except DeclarationError as fault:
        raise UsageError(f"{path}: {fault}") from fault


def _settings(wish: Wish, *, only_said: bool, contained: bool = False) -> dict[str, Any] | None:
    said = {**settings_of(wish.configuration, only_said=only_said, enforced=contained), **wish.settings}
    if wish.variables is not None:
        said["variables"] = dict(wish.variables)
    if wish.secrets is not None:
        said["secrets"] = list(wish.secrets)
    return said or None


def _description(wish: Wish) -> str | None:
    return wish.description if wish.description is not None or wish.configuration is None else wish.configuration.description


def _labels(said: Mapping[str, str | None] | None, configured: Mapping[str, str] | None) -> dict[str, str | None] | None:
    return {**(configured or {}), **(said or {})} or None


def commit_of(source: Source) -> dict[str, Any]:
    """Of the repository that the script lies in; empty outside of one."""
    state = git_state(source.place)
    return {} if state is None else {"git_commit": state.commit, "git_dirty": state.dirty}


def _notices(wish: Wish, *, contained: bool) -> Sequence[str]:
    configuration = wish.configuration
    spoken = [*wish.notices] if configuration is None else [*wish.notices, *configuration.notices_of(contained=contained)]
    if isinstance(wish.environment, EnvironmentSpec):
        spoken += wish.environment.notices
    if wish.source is not None and wish.source.folder is None and (lacks := left_behind(wish.source.script, wish.source.beside)):
        spoken.append(lacks)
    return list(dict.fromkeys(spoken))


def _refuse_fixed(configuration: DeploymentConfiguration | None) -> None:
    """An update keeps the address and its keys."""
    fixed = {"keys.primaryKey": "change a key with regen_key", "keys.secondaryKey": "change a key with regen_key"}
    for key, cure in fixed.items():
        if configuration is not None and key in configuration.set_keys:
            raise UsageError(f"{key} does not change with an update; {cure}.")


def _said(content: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if value is not None}
