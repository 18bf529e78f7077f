"""Models: names with dense versions, each a tree of blobs with what is known about it; aliases; history; differences; where one is used."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from fairlead.schemas.spelling import Spelling
from fairlead.schemas.wire import Answer, Digest, Flag, Key, Number, Request, Stamped, Text, Whole

ModelName = Annotated[str, Spelling.of_letters("name for a model", 255)]
AliasName = Annotated[str, Spelling(r"^[A-Za-z][A-Za-z0-9._-]{0,62}$", "alias", "has up to 63 letters, digits and . _ -, a letter first")]
Labels = Annotated[dict[Key, Text], Field(max_length=200)]
Metrics = Annotated[dict[Key, Number], Field(max_length=500)]


class ResourceHints(Request):
    """What the model wants where it is served: cores, GiB, devices."""

    cpu: Annotated[Number, Field(gt=0, le=4096)] | None = None
    memory_gb: Annotated[Number, Field(gt=0, le=65536)] | None = None
    gpu: Annotated[Whole, Field(ge=0, le=64)] | None = None


class DatasetReference(Request):
    """A data set that the model came from: why it was used, its name, the digest of its content where known."""

    purpose: Key
    name: Key
    digest: Text | None = None


class Lineage(Request):
    run_id: Key | None = None
    git_commit: Key | None = None
    git_dirty: Flag | None = None
    git_remote: Text | None = None
    datasets: Annotated[list[DatasetReference], Field(max_length=100)] = Field(default_factory=list)
    parent: Key | None = None
    """`name:version` of the model that this one was trained from."""


class NewModelVersion(Request):
    """A model whose files are uploaded: `tree` is the digest of their manifest, which this workspace must have.

    flavor, framework…: as the flavors recognised the files, or as the caller says; requirements: pinned lines that its flavor needs.
    sample_input, sample_output: a request body and the answer that was recorded for it, as text.
    """

    name: ModelName
    tree: Digest
    description: Text = ""
    tags: Labels = Field(default_factory=dict)
    properties: Labels = Field(default_factory=dict)
    metrics: Metrics = Field(default_factory=dict)
    framework: Key | None = None
    framework_version: Key | None = None
    flavor: Key | None = None
    requirements: Annotated[list[Text], Field(max_length=1000)] = Field(default_factory=list)
    python: Key | None = None
    """The Python that the requirements were pinned for, such as 3.11."""
    model_schema: dict[str, Any] | None = None
    """Declared inputs and output, as in a bundle's manifest."""
    sample_input: Annotated[str, StringConstraints(max_length=1_000_000)] | None = None
    sample_output: Annotated[str, StringConstraints(max_length=1_000_000)] | None = None
    lineage: Lineage = Field(default_factory=Lineage)
    resources: ResourceHints | None = None


class ModelChange(Request):
    """Of one version. Tags and metrics are replaced one by one (a tag that is null is removed); properties and data sets can be added, never changed.

    A description, sample or resource hint that is null is removed.
    """

    description: Text | None = None
    tags: dict[Key, Text | None] | None = None
    properties: Labels | None = None
    metrics: Metrics | None = None
    sample_input: Annotated[str, StringConstraints(max_length=1_000_000)] | None = None
    sample_output: Annotated[str, StringConstraints(max_length=1_000_000)] | None = None
    resources: ResourceHints | None = None
    datasets: Annotated[list[DatasetReference], Field(max_length=100)] | None = None
    archived: Flag | None = None


class ModelVersion(Stamped):
    """Lists leave out what is large: requirements, schema and samples are null or empty there, and whole where one version is shown."""

    name: str
    version: int
    tree: str
    size: int
    files: int
    updated_at: datetime
    description: str = ""
    tags: dict[str, str]
    properties: dict[str, str]
    metrics: dict[str, float]
    aliases: list[str] = Field(default_factory=list)
    framework: str | None = None
    framework_version: str | None = None
    flavor: str | None = None
    requirements: list[str] = Field(default_factory=list)
    python: str | None = None
    model_schema: dict[str, Any] | None = None
    sample_input: str | None = None
    sample_output: str | None = None
    lineage: Lineage
    resources: ResourceHints | None = None
    archived: bool = False
    stage: str | None = None
    """Derived from events: `deployed` while something uses it, else `archived` or `registered`."""

    @property
    def reference(self) -> str:
        return f"{self.name}:{self.version}"


class Model(Stamped):
    """A name, and what its versions come to."""

    name: str
    latest_version: int
    versions: int
    updated_at: datetime
    aliases: dict[str, int]


class TreeFile(Answer):
    path: str
    size: int
    sha256: str
    executable: bool = False


class Alias(Answer):
    name: str
    alias: str
    version: int
    updated_at: datetime


class AliasMove(Request):
    version: Annotated[Whole, Field(ge=1)]


class HistoryEvent(Answer):
    """Something that happened to a model or version: registered, deployed, undeployed, alias-moved, archived, …

    number: from 1 up within a model, in the order in which things happened.
    """

    id: str
    number: int = 0
    at: datetime
    principal: str | None
    event: str
    version: int | None = None
    details: dict[str, Any]


class Use(Answer):
    """A place where a version is used now, or was."""

    kind: Literal["service", "batch-service", "job"]
    name: str
    revision: int
    version: int
    current: bool
    since: datetime
    until: datetime | None = None


class Difference(Answer):
    """Of two versions. compatibility: whether callers of the first can call the second, and why not."""

    first: str
    second: str
    metadata: dict[str, list[Any]]
    metrics: dict[str, list[float | None]]
    files: dict[str, list[str]]
    """added, removed, changed: paths."""
    compatibility: Literal["same", "compatible", "breaking", "unknown"]
    reasons: list[str]
