"""What `Model.package` gives: an image that is being built, or a Dockerfile with its context."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairlead.client import images
from fairlead.schemas import images as wire
from fairlead.sdk import packaging
from fairlead.sdk.following import Step

if TYPE_CHECKING:
    from fairlead.sdk.workspace import Workspace

STATES = {"pending": "NotStarted", "running": "Running", "ready": "Succeeded", "failed": "Failed"}
"""In the words of Azure ML."""


@dataclass(frozen=True, kw_only=True)
class ContainerRegistry:
    """A registry and how one logs in there; `password` may be `secret:NAME`, a secret of the workspace.

    >>> ContainerRegistry(address="registry.example.org", username="ci", password="secret:registry-password")
    """

    address: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)


class ModelPackage:
    """An image that serves on port 5001, or with `generate_dockerfile` what Docker builds it from.

    >>> package = Model.package(ws, [model], inference_config)
    >>> package.wait_for_creation(show_output=True)
    >>> package.pull()
    'churn:1'
    """

    def __init__(self, workspace: Workspace, facts: wire.Image, *, generate_dockerfile: bool = False) -> None:
        self.workspace = workspace
        self.generate_dockerfile = generate_dockerfile
        self._facts = facts

    @property
    def creation_state(self) -> str:
        """NotStarted, Running, Succeeded or Failed, as it is now."""
        if not self._facts.is_settled:
            self._facts = images.show(self.workspace.transport, self._facts.id)
        return STATES[self._facts.state]

    @property
    def location(self) -> str | None:
        """The name that it has in a Docker once it is there (`pull`), such as `churn:1`; None until it is built."""
        return packaging.tagged(self._facts) if self.creation_state == "Succeeded" else None

    @property
    def package_id(self) -> str:
        """For `Image(ws, id=...)` and `fairlead image show`."""
        return self._facts.id

    @property
    def environment(self) -> str | None:
        """Digest of its locked packages."""
        return self._facts.environment_lock

    def wait_for_creation(self, show_output: bool = False) -> None:
        """Returns when it is built. Raises BootFailure, which says why it is not.

        >>> package.wait_for_creation(show_output=True)
        packaging ... 0.1 s
        building image ... 2.1 s
        """
        self._facts = wait(self.workspace, self._facts, show_output=show_output)

    def get_logs(self, decode: bool = True, offset: int = 0) -> str:
        """What the build said so far, from that character on.

        >>> print(package.get_logs())
        """
        del decode  # text is all that there is
        return images.read_log(self.workspace.transport, self._facts.id)[offset:]

    def pull(self) -> str:
        """Loads the image into the Docker or Podman of this machine, and answers the name that it has there. Raises UsageError without one.

        >>> package.pull()
        'churn:1'
        """
        self.wait_for_creation()
        return packaging.load(self.workspace.transport, self._facts)

    def save(self, output_directory: str | os.PathLike[str]) -> None:
        """Writes the Dockerfile and its context; of an image, an OCI layout. Raises UsageError when something is there.

        >>> package.save("imagefiles")
        """
        self.wait_for_creation()
        packaging.write(self.workspace.transport, self._facts, Path(output_directory))

    def push(self, destination: str) -> str:
        """Into a registry, with this machine's log-in (`docker login`); only what is missing there is sent. Answers the name with its digest.

        >>> package.push("registry.example.org/team/churn:1")
        """
        self.wait_for_creation()
        return str(packaging.push(self.workspace.transport, self._facts, destination, lambda _line: None).reference)

    def get_container_registry(self) -> ContainerRegistry:
        """There is none: the server itself keeps images, and `push` brings them to any registry."""
        return ContainerRegistry()

    def serialize(self) -> dict[str, Any]:
        """Every fact as plain data."""
        return {**self._facts.model_dump(mode="json"), "creation_state": self.creation_state, "location": self.location}

    def __repr__(self) -> str:
        kind = "ModelPackage(Dockerfile)" if self.generate_dockerfile else "ModelPackage"
        return f"{kind}(name={self._facts.name!r}, state={STATES[self._facts.state]!r})"


def wait(workspace: Workspace, facts: wire.Image, *, show_output: bool) -> wire.Image:
    """The image once it is ready."""
    began = time.monotonic()
    for each in packaging.follow(workspace.transport, facts):
        if not isinstance(each, Step):
            facts = each
        elif show_output:
            each.show()
    if show_output:
        print(f"{facts.reference} is ready ({time.monotonic() - began:.1f} s)")
    return facts
