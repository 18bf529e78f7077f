"""Images: what is wanted of one, what came of it layer by layer, and who runs it."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from fairlead.errors import UsageError
from fairlead.schemas.bases import BaseWish, DockerfileWish
from fairlead.schemas.services import Code, EnvironmentWish, Failure, Stage
from fairlead.schemas.spelling import Spelling
from fairlead.schemas.wire import Answer, Digest, Flag, JsonObject, Key, Request, Stamped, Text, Whole

_NAME = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
_LONGEST_NAME = 128
_LABEL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_ANY = re.compile(r"(sha256:)?[A-Za-z0-9][A-Za-z0-9._-]{0,127}(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?")
_PLATFORM = r"^linux/[a-z0-9]+(/[a-z0-9]+)?$"
_REFERENCE = re.compile(r"(?P<name>[a-z0-9][a-z0-9._-]{0,127})(?::(?P<word>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?")
Platform = Annotated[str, Spelling(_PLATFORM, "platform", "is linux/ and an architecture, such as linux/amd64 or linux/arm64")]
Label = Annotated[str, Spelling(f"^{_LABEL.pattern}$", "label for an image", "has up to 128 letters, digits and . _ -, the first of them no . or -")]
"""As the registry protocol has tags."""
ImageReference = Annotated[
    str, Spelling(f"^{_ANY.pattern}$", "image", "is a name (churn), a name and a version or label (churn:3), an id, or a digest (sha256:…)")
]
"""`name` (its latest version), `name:version`, `name:label`, an id, or the digest of index or manifest."""


ImageState = Literal["pending", "running", "ready", "failed"]


def check_image_name(name: str) -> str:
    """Raises UsageError with the nearest name that is legal."""
    if _NAME.fullmatch(name) and len(name) <= _LONGEST_NAME:
        return name
    rule = "an image's name has lower-case letters and digits, with single dots, dashes and underlines between them"
    raise UsageError(f"{name[:100]!r} is no name for an image: {rule}. Try {image_name_of(name)!r}.")


def check_label(label: str) -> str:
    """Raises UsageError, also for a number: `churn:2` is the second version, whatever it is called beside."""
    if not _LABEL.fullmatch(label):
        raise UsageError(f"{label[:100]!r} is no label for an image: a label has letters, digits, dots, dashes and underlines, such as stable.")
    if label.isdigit():
        raise UsageError(f"{label!r} is no label for an image: a number means a version. Choose a word, such as v{label}.")
    return label


def check_reference(said: str) -> str:
    """Of an image that is there already. Raises UsageError."""
    if not _ANY.fullmatch(said):
        raise _no_image(said)
    return said


def image_name_of(said: str) -> str:
    """The nearest name that is legal."""
    return re.sub(r"[^a-z0-9]+", "-", said.lower()).strip("-")[:_LONGEST_NAME].strip("-") or "image"


def parse_image(said: str) -> tuple[str, str | None]:
    """Name, and version or label if one is said. Raises UsageError."""
    found = _REFERENCE.fullmatch(said)
    if found is None:
        raise _no_image(said)
    return found["name"], found["word"]


def _no_image(said: str) -> UsageError:
    return UsageError(f"{said[:150]!r} names no image; write NAME or NAME:VERSION, such as churn:3.")


class NewImage(Request):
    """An image that is to be built of a model, models with a script, or a bundle; in these words a service is asked for, too."""

    name: Key | None = None
    """As `check_image_name` has it; default: made of the first model's name."""
    label: Label | None = None
    """A word that means this version from now on, as `churn:stable`; no number."""
    models: Annotated[list[Text], Field(max_length=1000)] = Field(default_factory=list)
    bundle: Digest | None = None
    code: Code | None = None
    environment: EnvironmentWish | None = None
    sample_input: Annotated[str, StringConstraints(max_length=1_000_000)] | None = None
    sample_output: Annotated[str, StringConstraints(max_length=1_000_000)] | None = None
    service_schema: JsonObject | None = None
    inference_config: JsonObject | None = None
    base: BaseWish | None = None
    platforms: Annotated[list[Platform], Field(max_length=16)] = Field(default_factory=list)
    """Such as linux/arm64; default: those of the base."""
    dockerfile: DockerfileWish | None = None
    """Write a Dockerfile and its context instead of an image."""
    description: Text = ""
    tags: Annotated[dict[Key, Text], Field(max_length=200)] = Field(default_factory=dict)
    git_commit: Text | None = None
    git_dirty: Flag | None = None


class NewSignature(Request):
    """As cosign makes them. `payload`: what was signed, as text; `value`: base64 of the ECDSA signature over its SHA-256."""

    payload: Annotated[str, StringConstraints(min_length=1, max_length=10_000)]
    value: Annotated[str, StringConstraints(min_length=1, max_length=1000)]


class ImageSignature(Answer):
    """`payload`, `value`: as in a NewSignature."""

    payload: str
    value: str
    signed_at: datetime
    signed_by: str | None = None


class ImageLayer(Answer):
    """`what`: base, environment, runtime, code, model:NAME. `size`: compressed. `reused`: the workspace had it already."""

    what: str
    digest: str
    size: int
    reused: bool = False


class ImagePlatform(Answer):
    """One image of one platform. Digests are plain hex; `config` is the id that Docker's own store shows."""

    platform: str
    manifest: str
    config: str
    layers: list[ImageLayer]
    python_version: str = ""
    libc: str = ""
    sbom: str | None = None


class Image(Stamped):
    """Immutable once it is ready, but for its label and signatures: the same inputs are the same digest, and one record."""

    name: str
    version: int | None = None
    """Counts from 1; given when it is ready."""
    label: str | None = None
    state: ImageState
    stage: Stage | None = None
    message: str = ""
    """While it is built, what is done; then what whoever runs it has to know."""
    failure: Failure | None = None
    digest: str | None = None
    """Of the manifest, or of the index when there are several platforms."""
    media_type: str | None = None
    size: int | None = None
    """Bytes of all that a registry without any of it would be sent."""
    models: list[str]
    platforms: list[ImagePlatform] = Field(default_factory=list)
    blobs: dict[str, int] = Field(default_factory=dict)
    """Everything that it consists of, with its size; readable under `blobs/`. Empty in lists."""
    base: str | None = None
    bundle_digest: str | None = None
    environment_lock: str | None = None
    context: str | None = None
    """The tree of a Dockerfile and its context, when that was asked for."""
    signatures: list[ImageSignature] = Field(default_factory=list)
    description: str = ""
    tags: dict[str, str] = Field(default_factory=dict)
    git_commit: str | None = None
    git_dirty: bool | None = None
    updated_at: datetime
    finished_at: datetime | None = None
    serial: Whole = 0

    @property
    def reference(self) -> str:
        """`name:version`; the id while there is no version."""
        return self.id if self.version is None else f"{self.name}:{self.version}"

    @property
    def is_settled(self) -> bool:
        return self.state in ("ready", "failed")


class ImageUse(Answer):
    """A revision of a living service that was made to run this image. `current`: it answers, or is about to."""

    service: str
    revision: int
    target: str
    state: str
    current: bool
    since: datetime


class Pruning(Request):
    """Which records go: those that no service uses, but for the newest `keep` ready ones of each name. Failed ones go, too."""

    keep: Annotated[Whole, Field(ge=0, le=10_000)] = 1
    name: Key | None = None
    dry_run: Flag = False


class Pruned(Answer):
    """`images`: `name:version`, or the id of one without a version.

    `freed_bytes`: of contents that no other record here needs; the next clearing-up of the server removes them.
    """

    images: list[str]
    freed_bytes: int
