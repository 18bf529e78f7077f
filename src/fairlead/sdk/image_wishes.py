"""What is said of images and of where a service runs: bases, Docker steps, targets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from fairlead.client import services
from fairlead.client.connection import default_target
from fairlead.client.transport import Transport
from fairlead.configurations.deployment_config import DeploymentConfiguration
from fairlead.configurations.environment_block import SECRET
from fairlead.errors import NotFound, UsageError
from fairlead.schemas.services import IMAGE_TARGETS
from fairlead.sdk.uploads import upload_tree
from fairlead.stores.trees import tree_of

LOCAL = "local"
HERE = (LOCAL, "localhost")
_ARCHIVES = (".tar", ".gz", ".tgz")


@dataclass(frozen=True, kw_only=True)
class ImageWish:
    """`base`: a reference such as `python:3.11-slim`, or the path of an OCI layout or archive here; None: the server's choice. `password_secret`: a secret
    of the workspace. extra_steps, base_dockerfile: text, for a build by Docker. system_packages: nothing is installed, the base brings it."""

    base: str | None = None
    username: str | None = None
    password_secret: str | None = None
    extra_steps: str = ""
    base_dockerfile: str = ""
    system_packages: bool = False

    @property
    def dockerfile(self) -> dict[str, Any]:
        """What only a build by Docker can do, as a request says it; empty: nothing."""
        said = {"base_dockerfile": self.base_dockerfile, "extra_steps": self.extra_steps, "system_packages": self.system_packages}
        return {name: value for name, value in said.items() if value}

    @classmethod
    def of(cls, docker: Mapping[str, Any]) -> Self:
        """In the names of `configurations.environment_block`."""
        registry = docker.get("base_image_registry") or {}
        image, address = docker.get("base_image"), registry.get("address")
        return cls(
            base=image if not image or not address or image.startswith(f"{address}/") else f"{address}/{image}",
            username=registry.get("username"),
            password_secret=_secret_of(registry),
            extra_steps=docker.get("extra_steps") or "",
            base_dockerfile=docker.get("base_dockerfile") or "",
            system_packages=bool(docker.get("user_managed")),
        )


def base_of(transport: Transport, wish: ImageWish | None, say: Callable[[str], None]) -> dict[str, Any] | None:
    """The request's base; what lies on this machine is uploaded, and only what the workspace lacks of it. Raises UsageError."""
    if wish is None or not wish.base:
        return None
    path = Path(wish.base)
    if path.exists():
        say(f"uploading the base image {wish.base}")
        return {"tree": upload_tree(transport, tree_of(path), path)}
    if wish.base.startswith(("/", "./", "../", "~")) or path.suffix in _ARCHIVES:
        raise UsageError(f"There is no base image {wish.base} here; give the path of an OCI layout or of a Docker archive (.tar), or a reference.")
    said = {"image": wish.base, "username": wish.username, "password_secret": wish.password_secret}
    return {name: value for name, value in said.items() if value is not None}


def check_target(target: object) -> str | None:
    """The target's word; None leaves it to the server. Raises UsageError for what no server has: running elsewhere than where somebody meant is no
    service to them."""
    said = getattr(target, "name", target)
    name = None if said is None else str(said).lower()
    if name is None or name in IMAGE_TARGETS:
        return name
    if name in HERE:
        return LOCAL
    raise UsageError(f"There is no compute target {said!r}: services run as processes (local) or in containers (docker, container). Say one, or leave it out.")


def target_of(transport: Transport, name: str, said: str | None, configuration: DeploymentConfiguration | None, *, overwrite: bool) -> str | None:
    """Where a service is to run. When nobody says: where the one that it takes the place of runs; then what `fairlead env local --target` chose; what was
    ACI is one container where the server has an engine, and else runs on its machine."""
    if said is not None:
        return said
    if overwrite and (there := _there(transport, name)) is not None:
        return there
    kind = configuration.compute_type if configuration is not None else None
    if kind == LOCAL:
        return LOCAL
    chosen = default_target()
    if chosen is None and kind == "aci" and any(each.name == "container" and not each.lacks for each in services.list_targets(transport)):
        return "container"
    return chosen


def _there(transport: Transport, name: str) -> str | None:
    try:
        return services.show_service(transport, name).target
    except NotFound:
        return None


def _secret_of(registry: Mapping[str, Any]) -> str | None:
    """A password itself is never sent along with a deployment. Raises UsageError."""
    if registry.get("password_secret"):
        return str(registry["password_secret"])
    password = str(registry.get("password") or "")
    if password.startswith(SECRET):
        return password.removeprefix(SECRET).strip()
    if password:
        raise UsageError(f"The password of a registry is kept as a secret: `fairlead secret set NAME`, then give password={SECRET + 'NAME'!r}.")
    return None
