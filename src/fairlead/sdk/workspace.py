"""Where things are registered and deployed: one workspace of one server."""

from __future__ import annotations

import json
import logging
import os
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from fairlead.client import data
from fairlead.client.connection import connect
from fairlead.client.transport import Transport
from fairlead.errors import NotFound, UsageError
from fairlead.schemas import access as wire
from fairlead.sdk.compute import ComputeTarget
from fairlead.sdk.dataset_factory import Dataset
from fairlead.sdk.datastore import Datastore
from fairlead.sdk.environment import Environment
from fairlead.sdk.image import Image
from fairlead.sdk.model import Model
from fairlead.sdk.webservice import Webservice

LOG = logging.getLogger("fairlead")
CONFIG_PLACES = (Path(".azureml", "config.json"), Path("aml_config", "config.json"), Path("config.json"))


class Workspace:
    """One workspace: the names in it, and who may do what with them.

    Which server and token: the arguments, else FAIRLEAD_URL and FAIRLEAD_TOKEN, else the user's configuration, else the server on this machine, which
    starts by itself. Words that address an Azure subscription are taken and have no effect.

        >>> ws = Workspace("default")
        >>> sorted(ws.webservices)
        ['churn']
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        url: str | None = None,
        token: str | None = None,
        workspace_name: str | None = None,
        subscription_id: str | None = None,
        resource_group: str | None = None,
        auth: object = None,
    ) -> None:
        """Raises NotFound when there is no such workspace, Unauthenticated, Unavailable."""
        self._open(connect(url=url, token=token, workspace=name or workspace_name), subscription_id, resource_group)

    @classmethod
    def get(
        cls,
        name: str,
        auth: object = None,
        subscription_id: str | None = None,
        resource_group: str | None = None,
        *,
        url: str | None = None,
        token: str | None = None,
    ) -> Self:
        """The workspace of this name.

        >>> Workspace.get("team-a").name
        'team-a'
        """
        return cls(name, url=url, token=token, auth=auth, subscription_id=subscription_id, resource_group=resource_group)

    @classmethod
    def from_config(cls, path: str | os.PathLike[str] | None = None, auth: object = None, _logger: object = None, _file_name: str | None = None) -> Self:
        """The workspace that `.azureml/config.json` names, in this folder or one above; without such a file FAIRLEAD_WORKSPACE, or `default`.

        `path`: that file, or a folder to look in. FAIRLEAD_WORKSPACE is stronger than a file that was merely found. The file never says
        which server gets the token: a `url` in it is only compared with the server in use.

            >>> Workspace.from_config().name
            'default'
        """
        found = _find_config(Path(path) if path is not None else None, _file_name)
        told = _read_config(found) if found else {}
        chosen = os.environ.get("FAIRLEAD_WORKSPACE") if path is None else None
        try:
            workspace = cls(chosen or told.get("workspace_name"), auth=auth)
        except NotFound as error:
            if chosen or not told.get("workspace_name"):
                raise
            cure = f"Make it with `fairlead workspace create {told['workspace_name']}`, or set FAIRLEAD_WORKSPACE to another."
            raise NotFound(f"{found} names the workspace {told['workspace_name']!r}, which is not on this server. {cure}") from error
        _check_server(found, told, workspace)
        return workspace

    @classmethod
    def create(
        cls,
        name: str,
        auth: object = None,
        subscription_id: str | None = None,
        resource_group: str | None = None,
        location: str | None = None,
        create_resource_group: bool = True,
        sku: str = "basic",
        exist_ok: bool = False,
        show_output: bool = False,
        *,
        description: str = "",
        url: str | None = None,
        token: str | None = None,
    ) -> Self:
        """A new workspace, of which the caller is an owner. `exist_ok`: the one that is there already will do.

        >>> Workspace.create("team-a", exist_ok=True).name
        'team-a'
        """
        with connect(url=url, token=token, workspace=name) as transport:
            if not (exist_ok and any(each.name == name for each in _every(transport))):
                transport.create(wire.Workspace, "/v1/workspaces", wire.NewWorkspace(name=name, description=description))
        if show_output:
            print(f"Workspace {name} is there.")
        return cls(name, url=url, token=token)

    @classmethod
    def list(cls, subscription_id: str | None = None, auth: object = None, resource_group: str | None = None) -> dict[str, list[Self]]:
        """The workspaces that the caller may enter, by name; each name has a list of one, as Azure ML's does.

        >>> list(Workspace.list())
        ['default']
        """
        with connect() as transport:
            names = [each.name for each in _every(transport)]
        return {name: [cls(name)] for name in names}

    @property
    def name(self) -> str:
        return self._facts.name

    @property
    def description(self) -> str:
        return self._facts.description

    @property
    def url(self) -> str:
        """Address of the server."""
        return self.transport.url

    @property
    def subscription_id(self) -> str:
        """What was given, or ""; here only so that programs which print it run."""
        return self._azure["subscription_id"]

    @property
    def resource_group(self) -> str:
        """What was given, or ""."""
        return self._azure["resource_group"]

    @property
    def location(self) -> str:
        """Where it runs: this machine's server, or another's."""
        return "local" if self.url.startswith(("http://127.", "http://localhost", "http://[::1]")) else "remote"

    @property
    def models(self) -> dict[str, Model]:
        """The latest version of each model, by name."""
        return {each.name: each for each in Model.list(self, latest=True)}

    @property
    def webservices(self) -> dict[str, Webservice]:
        """Every service, by name.

        >>> ws.webservices["churn"].state
        'Healthy'
        """
        return {each.name: each for each in Webservice.list(self)}

    @property
    def images(self) -> dict[str, Image]:
        """The newest version of each image, by name."""
        found: dict[str, Image] = {}
        for each in Image.list(self):
            found.setdefault(each.name, each)
        return found

    @property
    def environments(self) -> dict[str, Environment]:
        """The latest version of each registered environment, by name."""
        return Environment.list(self)

    @property
    def datastores(self) -> dict[str, Datastore]:
        """Every datastore, by name.

        >>> sorted(ws.datastores)
        ['lake', 'workspaceblobstore']
        """
        return {each.name: Datastore.of(self, each) for each in data.list_datastores(self.transport)}

    @property
    def datasets(self) -> dict[str, Any]:
        """The latest version of each registered data set, by name."""
        return Dataset.get_all(self)

    @property
    def compute_targets(self) -> dict[str, ComputeTarget]:
        """Every compute pool, by name."""
        return {each.name: each for each in ComputeTarget.list(self)}

    def get_default_datastore(self) -> Datastore:
        """The one that is used where nobody names one."""
        return Datastore.get_default(self)

    def set_default_datastore(self, name: str) -> None:
        """Chooses it. Raises NotFound.

        >>> ws.set_default_datastore("lake")
        """
        Datastore.get(self, name).set_as_default()

    def models_of(self, references: Sequence[str]) -> Sequence[Model]:
        """The versions that these `name:version` are.

        >>> ws.models_of(["churn:3"])
        """
        return [Model(self, id=each) for each in references]

    def get_details(self) -> dict[str, Any]:
        """What the server knows of the workspace, as plain data."""
        return {**json.loads(self._facts.model_dump_json()), "url": self.url}

    def write_config(self, path: str | os.PathLike[str] | None = None, file_name: str | None = None) -> Path:
        """Writes `.azureml/config.json` for `from_config`: names only, never a token, so it may go into a repository.

        >>> ws.write_config()
        PosixPath('.azureml/config.json')
        """
        folder = Path(path) if path is not None else Path()
        target = folder / ".azureml" / (file_name or "config.json")
        told = {"workspace_name": self.name, "url": self.url if self.location == "remote" else "", **self._azure}
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps({name: value for name, value in told.items() if value}, indent=2) + "\n", encoding="utf-8")
        return target

    def delete(self, delete_dependent_resources: bool = False, no_wait: bool = False) -> None:
        """Deletes the workspace; refused while services run in it, unless `delete_dependent_resources` deletes those first. Raises InUse."""
        if delete_dependent_resources:
            for service in self.webservices.values():
                service.delete()
        self.transport.request("DELETE", self.transport.path())

    def close(self) -> None:
        """Closes connections; done by itself when the workspace is not used any more."""
        self._closing()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Workspace({self.name!r}, url={self.url!r})"

    def _open(self, transport: Transport, subscription_id: str | None, resource_group: str | None) -> None:
        self.transport = transport
        self._closing = weakref.finalize(self, transport.close)
        self._azure = {"subscription_id": subscription_id or "", "resource_group": resource_group or ""}
        self._facts = transport.get(wire.Workspace, transport.path())


def _every(transport: Transport) -> Iterator[wire.Workspace]:
    return transport.each(wire.Workspace, "/v1/workspaces")


def _find_config(path: Path | None, file_name: str | None) -> Path | None:
    """The file; None only when none was asked for. Raises UsageError."""
    if path is not None and not path.is_dir():
        if not path.is_file():
            raise UsageError(f"{path} does not exist; write it with `ws.write_config()`, or leave out the path.")
        return path
    places = CONFIG_PLACES if file_name is None else tuple(place.with_name(file_name) for place in CONFIG_PLACES)
    start = (path or Path()).absolute()
    found = next((folder / place for folder in (start, *start.parents) for place in places if _is_ours(folder / place)), None)
    if found is None and path is not None:
        raise UsageError(f"There is no .azureml/config.json in {path} or above; write it with `ws.write_config()`.")
    return found


def _is_ours(path: Path) -> bool:
    """A plain config.json may be anybody's: one without workspace_name is passed over."""
    if not path.is_file():
        return False
    return path.parent.name in (".azureml", "aml_config") or '"workspace_name"' in path.read_text(encoding="utf-8", errors="replace")


def _read_config(path: Path) -> dict[str, str]:
    """Members that are text; the others are for somebody else. Raises UsageError for what is no JSON object."""
    try:
        told = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read ({error}); correct it, or delete it.") from error
    if not isinstance(told, dict):
        raise UsageError(f"{path} must be a JSON object with workspace_name; correct it, or delete it.")
    return {name: value for name, value in told.items() if isinstance(value, str)}


def _check_server(path: Path | None, told: dict[str, str], workspace: Workspace) -> None:
    said = told.get("url", "").rstrip("/")
    if said and said != workspace.url:
        workspace.close()
        raise UsageError(f"{path} was written for the server {said}, and this is {workspace.url}. Set FAIRLEAD_URL and FAIRLEAD_TOKEN, or correct the file.")
