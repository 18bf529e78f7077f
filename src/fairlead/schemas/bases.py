"""What an image is built upon."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from fairlead.schemas.access import SecretName
from fairlead.schemas.wire import Digest, Flag, Key, Request, Text


class BaseWish(Request):
    """One of `image` and `tree`; neither: the server's own choice, its setting image_base."""

    image: Text | None = None
    """A reference such as `host/team/python:3.11` or `…@sha256:…`; the server pulls it, with its own credentials unless these are given."""
    tree: Digest | None = None
    """An uploaded tree that is an OCI layout, or that holds a Docker archive as its only file."""
    username: Key | None = None
    password_secret: SecretName | None = None
    """A secret of the workspace: its value is the password for the registry."""


class DockerfileWish(Request):
    """What only a build by Docker can do: a Dockerfile whose result is the base, and further instructions, which run as root."""

    base_dockerfile: Annotated[str, StringConstraints(max_length=100_000)] = ""
    extra_steps: Annotated[str, StringConstraints(max_length=100_000)] = ""
    system_packages: Flag = False
    """The environment also sees the packages that the base has installed."""

    @property
    def says_something(self) -> bool:
        return bool(self.base_dockerfile.strip() or self.extra_steps.strip() or self.system_packages)
