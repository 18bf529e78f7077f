"""Services: what is wanted of them, what is so, their revisions, keys and tokens, and where an answer came from."""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from fairlead.errors import UsageError
from fairlead.schemas.bases import BaseWish, DockerfileWish
from fairlead.schemas.wire import Answer, Digest, Flag, JsonObject, Key, Number, Request, Stamped, Text, Whole

_SERVICE_NAME = re.compile(r"[a-z][a-z0-9-]{1,30}[a-z0-9]")
AuthMode = Literal["none", "key", "token"]
TargetName = Literal["local", "docker", "container"]
"""Processes of the server's machine; containers behind a router; one container whose own port is published, also on another machine."""
IMAGE_TARGETS: tuple[TargetName, ...] = ("docker", "container")
KeyName = Literal["primary", "secondary"]


class ServiceState(StrEnum):
    """As Azure ML says it (E6), with two of our own."""

    TRANSITIONING = "Transitioning"
    HEALTHY = "Healthy"
    UNHEALTHY = "Unhealthy"
    UNSCHEDULABLE = "Unschedulable"
    FAILED = "Failed"
    UPDATING = "Updating"
    STOPPED = "Stopped"


class Stage(StrEnum):
    """What a revision goes through."""

    PACKAGING = "packaging"
    ENVIRONMENT = "environment"
    IMAGE = "image"
    """Only where the target runs images."""
    STARTING = "starting"
    PROVING = "proving"
    RUNNING = "running"


def check_service_name(name: str) -> str:
    """Raises UsageError with the nearest name that is legal."""
    if _SERVICE_NAME.fullmatch(name):
        return name
    rule = "a service's name has 3 to 32 lower-case letters, digits and dashes, begins with a letter and does not end with a dash"
    raise UsageError(f"{name[:100]!r} is no name for a service: {rule}. Try {_nearest_name(name)!r}.")


def taken(name: str) -> str:
    """The sentence for a name that a service has, to whoever deploys."""
    over = "deploy over it (--overwrite; overwrite=True in Python)"
    return f"There is a service {name!r} already; update it (`fairlead service update {name}`), {over}, or choose another name."


def _nearest_name(name: str) -> str:
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).lstrip("-0123456789")[:32].strip("-") or "service"
    return plain if len(plain) >= 3 else f"{plain}-service"


class Code(Request):
    """A scoring script and what ships with it: an uploaded tree, and the script's path in it."""

    tree: Digest
    entry_script: Text


class EnvironmentWish(Request):
    """Which packages: a registered environment `name:version`, or a specification (`EnvironmentSpec` as JSON). Neither: the models' own requirements."""

    name: Text | None = None
    spec: JsonObject | None = None


class Settings(Request):
    """What can be set without a new bundle. Omitted in an update: as before. Seconds, bytes, GiB."""

    workers: Annotated[Whole, Field(ge=1, le=256)] | None = None
    replicas: Annotated[Whole, Field(ge=1, le=1000)] | None = None
    scoring_timeout_ms: Annotated[Whole, Field(ge=1, le=86_400_000)] | None = None
    max_queue_wait_ms: Annotated[Whole, Field(ge=1, le=86_400_000)] | None = None
    max_waiting: Annotated[Whole, Field(ge=1, le=1_000_000)] | None = None
    max_body: Annotated[Whole, Field(ge=1, le=2**40)] | None = None
    cpu: Annotated[Number, Field(gt=0, le=4096)] | None = None
    memory_gb: Annotated[Number, Field(gt=0, le=65536)] | None = None
    gpu: Annotated[Whole, Field(ge=0, le=64)] | None = None
    variables: Annotated[dict[Key, Text], Field(max_length=500)] | None = None
    secrets: Annotated[list[Key], Field(max_length=200)] | None = None
    """Names of secrets of the workspace, given to the script as files."""
    log_level: Literal["debug", "info", "warning", "error", "critical"] | None = None
    tolerance: Annotated[Number, Field(ge=0)] | None = None
    """How far an answer may differ from the recorded one; default 1e-6."""
    autoscale: JsonObject | None = None
    probes: JsonObject | None = None
    data_collection: Flag | None = None
    app_insights: Flag | None = None
    kept: JsonObject | None = None
    """Keys of a deployment configuration that this target does not act on, as they were given."""


class NewService(Request):
    """A deploy. Exactly one of models (with or without code), bundle, and image. `overwrite`: update the service of that name if there is one."""

    name: Key
    """As `check_service_name` has it."""
    models: Annotated[list[Text], Field(max_length=1000)] = Field(default_factory=list)
    """`name`, `name:version` or `name@alias`; resolved now, for good."""
    bundle: Digest | None = None
    """A tree that is a whole bundle."""
    image: Text | None = None
    """An image of the workspace, such as `churn:3`: what it is made of is served, on any target."""
    code: Code | None = None
    environment: EnvironmentWish | None = None
    sample_input: Annotated[str, StringConstraints(max_length=1_000_000)] | None = None
    sample_output: Annotated[str, StringConstraints(max_length=1_000_000)] | None = None
    service_schema: JsonObject | None = None
    base: BaseWish | None = None
    """What its image is built upon, where the target runs images."""
    dockerfile: DockerfileWish | None = None
    """What is done beside that; the engine builds the image then."""
    target: TargetName = "local"
    auth: AuthMode | None = None
    """Default: key."""
    host: Text | None = None
    port: Annotated[Whole, Field(ge=1, le=65535)] | None = None
    tls_cert: Text | None = None
    """PEM, full chain, as text."""
    tls_key: Annotated[str, StringConstraints(max_length=100_000)] | None = None
    primary_key: Annotated[str, StringConstraints(min_length=16, max_length=512)] | None = None
    secondary_key: Annotated[str, StringConstraints(min_length=16, max_length=512)] | None = None
    settings: Settings = Field(default_factory=Settings)
    description: Text = ""
    tags: Annotated[dict[Key, Text], Field(max_length=200)] = Field(default_factory=dict)
    properties: Annotated[dict[Key, Text], Field(max_length=200)] = Field(default_factory=dict)
    inference_config: JsonObject | None = None
    """As the file said it, kept for the record and for images."""
    git_commit: Text | None = None
    git_dirty: Flag | None = None
    overwrite: Flag = False


class ServiceChange(Request):
    """An update: what is omitted stays. A change of models, bundle, code, environment or settings makes a revision."""

    models: Annotated[list[Text], Field(max_length=1000)] | None = None
    bundle: Digest | None = None
    image: Text | None = None
    code: Code | None = None
    environment: EnvironmentWish | None = None
    sample_input: Annotated[str, StringConstraints(max_length=1_000_000)] | None = None
    sample_output: Annotated[str, StringConstraints(max_length=1_000_000)] | None = None
    service_schema: JsonObject | None = None
    base: BaseWish | None = None
    dockerfile: DockerfileWish | None = None
    auth: AuthMode | None = None
    settings: Settings | None = None
    description: Text | None = None
    tags: dict[Key, Text | None] | None = None
    properties: Annotated[dict[Key, Text], Field(max_length=200)] | None = None
    inference_config: JsonObject | None = None
    git_commit: Text | None = None
    git_dirty: Flag | None = None
    rollback_to: Annotated[Whole, Field(ge=1, le=2**31 - 1)] | None = None
    """Number of an earlier revision; alone, or with settings."""


class Reload(Request):
    """Start anew with the same revision's parts, or with another version of the script alone."""

    code: Code | None = None


class Failure(Answer):
    """Why a revision does not run. cause: a word for programs, such as missing-package, init-raised, answer-changed, port-taken."""

    stage: str
    cause: str
    message: str
    log_lines: list[str] = Field(default_factory=list)


class Revision(Stamped):
    """Immutable but for its fate. `number` counts from 1; `short_id` is what x-fairlead-revision says."""

    number: int
    short_id: str
    reason: Literal["deploy", "update", "scale", "rollback", "reload"]
    rollback_of: int | None = None
    models: list[str]
    code: Code | None = None
    bundle_digest: str | None = None
    environment_lock: str | None = None
    image: str | None = None
    """`name:version@sha256:…`, where the target runs images."""
    settings: Settings
    git_commit: str | None = None
    git_dirty: bool | None = None
    inference_config: JsonObject | None = None
    """As it was given: where a reload finds the script again."""
    stage: Stage | None = None
    state: Literal["pending", "running", "failed", "replaced", "stopped"]
    failure: Failure | None = None
    finished_at: datetime | None = None


class Service(Stamped):
    name: str
    state: ServiceState
    message: str = ""
    target: str
    handle: str
    auth: AuthMode
    scoring_uri: str | None = None
    swagger_uri: str | None = None
    port: int | None = None
    revision: int | None = None
    """The one that answers now."""
    wanted_revision: int
    stage: Stage | None = None
    update_error: Failure | None = None
    """Why the wanted revision is not the one that answers."""
    models: list[str]
    image: str | None = None
    """`name:version@sha256:…` of the one that answers, where the target runs images."""
    settings: Settings
    description: str = ""
    tags: dict[str, str]
    properties: dict[str, str]
    updated_at: datetime
    serial: Whole = 0
    """Grows with every change of what is shown here; `?wait=30&seen=SERIAL` answers when it has grown."""
    observed_at: datetime | None = None
    workers_ready: int | None = None
    workers_wanted: int | None = None

    @property
    def is_settled(self) -> bool:
        """Nothing is on its way: what was wanted last serves, or failed."""
        if self.state in (ServiceState.TRANSITIONING, ServiceState.UPDATING):
            return False
        return self.revision == self.wanted_revision or self.update_error is not None or self.state is ServiceState.FAILED


class TargetFacts(Answer):
    """Where services can run. `lacks`: why none can now, and what to do; empty when they can."""

    name: TargetName
    lacks: str = ""


class Targets(Answer):
    targets: list[TargetFacts]


class Keys(Answer):
    """Shown to contributors: clients send one of them as `Authorization: Bearer KEY`."""

    primary: str
    secondary: str


class KeyRotation(Request):
    key: KeyName
    value: Annotated[str, StringConstraints(min_length=16, max_length=512)] | None = None


class AccessToken(Answer):
    """A JWT for a service with auth `token` (L2). Times are UTC."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - its kind
    expiry_on: datetime
    refresh_after: datetime


class TokenWish(Request):
    expires_in_seconds: Annotated[Whole, Field(ge=60, le=86_400)] = 3600


class ServiceEvent(Answer):
    id: str
    number: Whole
    at: datetime
    revision: int | None
    event: str
    message: str


class Trace(Answer):
    """From an answer back to who let it be given."""

    service: str
    service_id: str
    workspace: str
    revision: Revision
    bundle_digest: str | None
    environment_lock: str | None
    models: list[dict[str, Any]]
    """name, version, tree digest, git commit, run id, registered by, at."""
    deployed_by: str | None
    deployed_at: datetime
    request: dict[str, Any] | None = None
    """The access log line, when the id was a request's."""
