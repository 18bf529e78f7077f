"""Images of a workspace, in the words of early Azure ML programs: make one, find it, deploy it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from fairlead.client import images
from fairlead.errors import UsageError
from fairlead.schemas import images as wire
from fairlead.sdk import packaging
from fairlead.sdk.following import failure_facts
from fairlead.sdk.inference_config import InferenceConfig
from fairlead.sdk.model_package import STATES, ContainerRegistry, wait
from fairlead.sdk.service_wishes import fits, wish_of

if TYPE_CHECKING:
    from fairlead.sdk.model import Model
    from fairlead.sdk.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class ImageConfig:
    """What `ContainerImage.image_configuration` gives."""

    inference: InferenceConfig
    dependencies: Sequence[Path] = ()
    tags: Mapping[str, str] = field(default_factory=dict)


class Image:
    """A version of an image: `Image(ws, "churn")` is the newest, `Image(ws, "churn", version=2)` or `Image(ws, id="churn:2")` that one.

    >>> image = Image.create(ws, "churn", [model], ContainerImage.image_configuration("score.py", "python", conda_file="myenv.yml"))
    >>> image.wait_for_creation(show_output=True)
    >>> image.id
    'churn:1'
    """

    def __init__(
        self,
        workspace: Workspace,
        name: str | None = None,
        id: str | None = None,  # noqa: A002 - the seeds' word
        tags: Sequence[str | Sequence[str]] | None = None,
        properties: Sequence[str | Sequence[str]] | None = None,
        version: int | None = None,
    ) -> None:
        """The newest that fits everything that is said. Raises NotFound, UsageError."""
        if (name is None) == (id is None):
            raise UsageError('Which image? Image(ws, "churn"), or Image(ws, id="churn:3").')
        self.workspace = workspace
        said = id or (name if version is None else f"{name}:{version}") or ""
        wanted = [*(tags or ()), *(properties or ())]
        chosen = next((each.reference for each in images.each(workspace.transport, name=name) if fits(each.tags, wanted)), said) if wanted else said
        self._facts = images.show(workspace.transport, chosen)

    @classmethod
    def create(cls, workspace: Workspace, name: str, models: Sequence[Model], image_config: ImageConfig) -> Self:
        """Asks for the image; `wait_for_creation` waits for it. The same inputs are the same version.

        >>> Image.create(name="churn", models=[model], image_config=image_config, workspace=ws)
        """
        wish = wish_of(models, image_config.inference, None)
        if wish.source is not None:
            wish = replace(wish, source=replace(wish.source, beside=tuple(image_config.dependencies)))
        wish = replace(wish, description=image_config.inference.description)
        return cls.of(workspace, packaging.ask(workspace.transport, wish, packaging.LOG.warning, name=name, tags=dict(image_config.tags) or None))

    @classmethod
    def list(
        cls,
        workspace: Workspace,
        image_name: str | None = None,
        model_name: str | None = None,
        model_id: str | None = None,
        tags: Sequence[str | Sequence[str]] | None = None,
        properties: Sequence[str | Sequence[str]] | None = None,
    ) -> list[Self]:
        """Versions that fit every filter, newest first. A tag is a key, or a pair of key and value.

        >>> [image.id for image in Image.list(ws, model_name="churn")]
        ['churn:1']
        """
        found = images.each(workspace.transport, name=image_name, model=model_id or model_name)
        return [cls.of(workspace, each) for each in found if fits(each.tags, [*(tags or ()), *(properties or ())])]

    @property
    def name(self) -> str:
        return self._facts.name

    @property
    def version(self) -> int | None:
        """None until it is built."""
        return self._facts.version

    @property
    def id(self) -> str:
        """`name:version`; until it is built, the id of the request."""
        return self._facts.reference

    @property
    def creation_state(self) -> str:
        """NotStarted, Running, Succeeded or Failed, as it was when last looked at."""
        return STATES[self._facts.state]

    @property
    def image_location(self) -> str | None:
        """The name that it has in a Docker once it is there, such as `churn:1`."""
        return packaging.tagged(self._facts) if self._facts.version is not None else None

    @property
    def image_digest(self) -> str | None:
        """`sha256:…` of its manifest or index."""
        return f"sha256:{self._facts.digest}" if self._facts.digest else None

    @property
    def tags(self) -> dict[str, str]:
        return dict(self._facts.tags)

    @property
    def description(self) -> str:
        return self._facts.description

    @property
    def created_time(self) -> datetime:
        return self._facts.created_at

    @property
    def created_by(self) -> str | None:
        return self._facts.created_by

    @property
    def models(self) -> Sequence[Model]:
        """The model versions that are in it."""
        return self.workspace.models_of(self._facts.models)

    @property
    def creation_error(self) -> dict[str, Any] | None:
        """Why it was not built: code (the cause), message, stage, logs."""
        return failure_facts(self._facts.failure)

    def update_creation_state(self) -> None:
        """Looks again.

        >>> image.update_creation_state()
        """
        self._facts = images.show(self.workspace.transport, self._facts.id)

    def wait_for_creation(self, show_output: bool = False) -> None:
        """Returns when it is built. Raises BootFailure, which says why it is not.

        >>> image.wait_for_creation(show_output=True)
        """
        self._facts = wait(self.workspace, self._facts, show_output=show_output)

    def get_logs(self) -> str:
        """What the build said so far.

        >>> print(image.get_logs())
        """
        return images.read_log(self.workspace.transport, self._facts.id)

    def pull(self) -> str:
        """Loads it into the Docker or Podman of this machine, and answers the name that it has there. Raises UsageError without one.

        >>> image.pull()
        'churn:1'
        """
        self.wait_for_creation()
        return packaging.load(self.workspace.transport, self._facts)

    def delete(self) -> None:
        """Deletes this version; refused while a service runs it. Raises InUse, which says which.

        >>> image.delete()
        """
        images.delete(self.workspace.transport, self._facts.id)

    def serialize(self) -> dict[str, Any]:
        """Every fact as plain data."""
        facts = self._facts.model_dump(mode="json")
        return {**facts, "id": self.id, "creationState": self.creation_state, "imageLocation": self.image_location, "createdTime": facts["created_at"]}

    def __repr__(self) -> str:
        return f"{type(self).__name__}(workspace={self.workspace.name!r}, name={self.name!r}, id={self.id!r}, version={self.version})"

    @classmethod
    def of(cls, workspace: Workspace, facts: wire.Image) -> Self:
        """From what the server said."""
        made = cls.__new__(cls)
        made.workspace, made._facts = workspace, facts
        return made


class ContainerImage(Image):
    """The one kind of image that there is.

    >>> image_config = ContainerImage.image_configuration(execution_script="score.py", runtime="python", conda_file="myenv.yml")
    """

    @staticmethod
    def image_configuration(
        execution_script: str | os.PathLike[str],
        runtime: str | None = None,
        conda_file: str | os.PathLike[str] | None = None,
        docker_file: str | os.PathLike[str] | None = None,
        schema_file: str | os.PathLike[str] | None = None,
        dependencies: Sequence[str | os.PathLike[str]] | None = None,
        enable_gpu: bool | None = None,
        tags: Mapping[str, str] | None = None,
        properties: Mapping[str, str] | None = None,
        description: str | None = None,
        base_image: str | None = None,
        base_image_registry: ContainerRegistry | Mapping[str, str] | None = None,
        cuda_version: str | None = None,
    ) -> ImageConfig:
        """What goes into an image. `dependencies`: files and folders that the script needs beside it. `docker_file`: further steps, which only a build by
        Docker can do. Properties are kept as tags.

        >>> ContainerImage.image_configuration("score.py", "python", conda_file="myenv.yml", tags={"team": "a"})
        """
        inference = InferenceConfig(
            execution_script=execution_script,
            runtime=runtime,
            conda_file=conda_file,
            extra_docker_file_steps=docker_file,
            schema_file=schema_file,
            enable_gpu=enable_gpu,
            description=description,
            base_image=base_image,
            base_image_registry=registry_of(base_image_registry),
            cuda_version=cuda_version,
        )
        return ImageConfig(inference=inference, dependencies=[Path(each) for each in dependencies or ()], tags={**(tags or {}), **(properties or {})})


def registry_of(said: ContainerRegistry | Mapping[str, str] | None) -> dict[str, str] | None:
    """As an inference configuration has it."""
    if isinstance(said, ContainerRegistry):
        said = {name: value for name in ("address", "username", "password") if (value := getattr(said, name))}
    return dict(said) if said else None
