"""Named places of data, with the methods that Azure ML programs call. Credentials go to the server once, and never come back."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from fairlead.client import data as client
from fairlead.errors import NotFound, UsageError
from fairlead.schemas import data as wire
from fairlead.sdk.data_path import DataPath
from fairlead.sdk.uploads import Progress, upload_blob

if TYPE_CHECKING:
    from fairlead.sdk.workspace import Workspace


class Datastore:
    """A folder of the server, a bucket, a container or a database, by its name in the workspace.

    >>> store = Datastore.get(ws, "lake")
    >>> store.upload_files(["customers.csv"], target_path="raw")
    >>> store.path("raw").as_mount()
    """

    def __init__(self, workspace: Workspace, name: str) -> None:
        """Raises NotFound."""
        self._open(workspace, client.show_datastore(workspace.transport, name))

    @classmethod
    def of(cls, workspace: Workspace, facts: wire.Datastore) -> Datastore:
        """From what the server has said of it."""
        made = cls.__new__(cls)
        made._open(workspace, facts)
        return made

    @classmethod
    def get(cls, workspace: Workspace, datastore_name: str) -> Datastore:
        """The one of this name. Raises NotFound.

        >>> Datastore.get(ws, "workspaceblobstore")
        """
        return cls(workspace, datastore_name)

    @classmethod
    def get_default(cls, workspace: Workspace) -> Datastore:
        """The one that is used where nobody names one.

        >>> Datastore.get_default(ws).name
        'workspaceblobstore'
        """
        return cls.of(workspace, client.show_default(workspace.transport))

    @classmethod
    def register_azure_blob_container(
        cls,
        workspace: Workspace,
        datastore_name: str,
        container_name: str,
        account_name: str,
        sas_token: str | None = None,
        account_key: str | None = None,
        protocol: str | None = None,
        endpoint: str | None = None,
        overwrite: bool = False,
        create_if_not_exists: bool = False,
        skip_validation: bool = False,
        blob_cache_timeout: int | None = None,
        grant_workspace_access: bool = False,
        subscription_id: str | None = None,
        resource_group: str | None = None,
    ) -> Datastore:
        """A container of Azure Blob Storage; without key and token, one that everybody may read. The words after `overwrite` have no effect.

        >>> Datastore.register_azure_blob_container(ws, "blobs", "data", "myaccount", account_key=os.environ["ACCOUNT_KEY"])
        """
        url = f"abfss://{container_name}@{account_name}.dfs.{endpoint or 'core.windows.net'}"
        given = {"account_name": account_name, "account_key": account_key, "sas_token": sas_token}
        credentials = {name: value for name, value in given.items() if value} if account_key or sas_token else None
        return cls._register(workspace, datastore_name, url, credentials, overwrite, anonymous=credentials is None)

    @classmethod
    def register_azure_file_share(
        cls,
        workspace: Workspace,
        datastore_name: str,
        file_share_name: str,
        account_name: str,
        sas_token: str | None = None,
        account_key: str | None = None,
        protocol: str | None = None,
        endpoint: str | None = None,
        overwrite: bool = False,
        create_if_not_exists: bool = False,
        skip_validation: bool = False,
        *,
        mounted_at: str | os.PathLike[str] | None = None,
    ) -> Datastore:
        """A file share that the server's machine has mounted at this folder; shares are read in no other way. Raises UsageError without it.

        >>> Datastore.register_azure_file_share(ws, "share", "data", "myaccount", mounted_at="/mnt/data")
        """
        if mounted_at is None:
            raise UsageError(
                f"The file share {file_share_name!r} is read through a mount: mount //{account_name}.file.core.windows.net/{file_share_name} on the server's "
                "machine, and say where (mounted_at), or register a container with register_azure_blob_container."
            )
        return cls.register_folder(workspace, datastore_name, mounted_at, overwrite)

    @classmethod
    def register_s3(
        cls,
        workspace: Workspace,
        datastore_name: str,
        bucket: str,
        prefix: str = "",
        *,
        key: str | None = None,
        secret: str | None = None,
        token: str | None = None,
        endpoint_url: str | None = None,
        region: str | None = None,
        anonymous: bool = False,
        overwrite: bool = False,
    ) -> Datastore:
        """A bucket, or a folder in it, of anything that speaks S3.

        >>> Datastore.register_s3(ws, "lake", "my-bucket", "raw", key=os.environ["KEY"], secret=os.environ["SECRET"])
        """
        given = {"key": key, "secret": secret, "token": token, "endpoint_url": endpoint_url, "region": region}
        credentials = {name: value for name, value in given.items() if value}
        return cls._register(workspace, datastore_name, f"s3://{bucket}/{prefix}".rstrip("/"), credentials or None, overwrite, anonymous=anonymous)

    @classmethod
    def register_folder(cls, workspace: Workspace, datastore_name: str, path: str | os.PathLike[str], overwrite: bool = False) -> Datastore:
        """A folder of the server's machine. Raises Forbidden where the server was not told that data lies there.

        >>> Datastore.register_folder(ws, "warehouse", "/data/warehouse")
        """
        return cls._register(workspace, datastore_name, str(Path(path).absolute()), None, overwrite)

    @classmethod
    def register_url(
        cls,
        workspace: Workspace,
        datastore_name: str,
        url: str,
        credentials: dict[str, Any] | None = None,
        *,
        anonymous: bool = False,
        overwrite: bool = False,
    ) -> Datastore:
        """Any place that there is a URL for: s3, gs, abfs(s), wasb(s), http(s), postgresql, sqlite.

        >>> Datastore.register_url(ws, "sales", "postgresql://db.example.org/sales", {"user": "reader", "password": os.environ["PASSWORD"]})
        """
        return cls._register(workspace, datastore_name, url, credentials, overwrite, anonymous=anonymous)

    @classmethod
    def _register(cls, workspace: Workspace, name: str, url: str, credentials: dict[str, Any] | None, overwrite: bool, *, anonymous: bool = False) -> Datastore:
        given = {"credentials": credentials} if credentials is not None else {}
        new = wire.NewDatastore.of(name=name, url=url, overwrite=overwrite, anonymous=anonymous, **given)
        return cls.of(workspace, client.create_datastore(workspace.transport, new))

    @property
    def name(self) -> str:
        return self._facts.name

    @property
    def datastore_type(self) -> str:
        """folder, s3, gcs, azure-blob, http, postgresql or sqlite."""
        return self._facts.kind

    @property
    def url(self) -> str:
        """Where it is; never with credentials."""
        return self._facts.url

    @property
    def is_default(self) -> bool:
        return self._facts.is_default

    def path(self, path: str | None = None, data_reference_name: str | None = None) -> DataPath:
        """A file, folder or pattern below it.

        >>> store.path("raw/*.csv").as_download()
        """
        return DataPath(self, path or "", data_reference_name or "")

    def as_mount(self) -> DataPath:
        """All of it."""
        return self.path().as_mount()

    def as_download(self, path_on_compute: str | None = None) -> DataPath:
        """All of it.

        >>> store.as_download()
        """
        return self.path().as_download(path_on_compute)

    def upload_files(
        self,
        files: Sequence[str | os.PathLike[str]],
        relative_root: str | os.PathLike[str] | None = None,
        target_path: str | None = None,
        overwrite: bool = False,
        show_progress: bool = True,
    ) -> DataPath:
        """Puts files below `target_path`, under their names, or from `relative_root` on. Those that are there already stay, unless `overwrite`.

        >>> store.upload_files(["data/a.csv", "data/b.csv"], relative_root="data", target_path="raw", overwrite=True)
        """
        places = [Path(each) for each in files]
        root = Path(relative_root).absolute() if relative_root is not None else None
        named = [
            (each, each.absolute().relative_to(root).as_posix() if root is not None and each.absolute().is_relative_to(root) else each.name) for each in places
        ]
        return self._upload(named, target_path, overwrite, print if show_progress else None)

    def upload(self, src_dir: str | os.PathLike[str], target_path: str | None = None, overwrite: bool = False, show_progress: bool = True) -> DataPath:
        """Puts a folder's files, with its tree, below `target_path`. Those that are there already stay, unless `overwrite`.

        >>> store.upload("data", target_path="raw")
        """
        folder = Path(src_dir)
        if not folder.is_dir():
            raise UsageError(f"{folder} is no folder; give one, or upload single files with upload_files.")
        named = [(each, each.relative_to(folder).as_posix()) for each in sorted(folder.rglob("*")) if each.is_file()]
        return self._upload(named, target_path, overwrite, print if show_progress else None)

    def download(self, target_path: str | os.PathLike[str], prefix: str | None = None, overwrite: bool = False, show_progress: bool = True) -> int:
        """Fetches files below `prefix` (a file, folder or pattern) into a folder, and says how many. Files that are there stay, unless `overwrite`.

        >>> store.download("here", prefix="raw")
        2
        """
        count = 0
        for each in self.files(prefix or ""):
            target = Path(target_path, each.path)
            if target.exists() and not overwrite:
                continue
            client.fetch_store_file(self.workspace.transport, self.name, each.path, target)
            count += 1
            if show_progress:
                print(f"Downloaded {each.path}")
        return count

    def files(self, prefix: str = "") -> Iterator[wire.DataFile]:
        """What lies below a path. Raises NotFound.

        >>> [each.path for each in store.files("raw")]
        ['raw/a.csv']
        """
        return client.each_store_file(self.workspace.transport, self.name, prefix)

    def set_as_default(self) -> None:
        """From now on it is used where nobody names one."""
        self._facts = client.set_default(self.workspace.transport, self.name)

    def unregister(self) -> None:
        """Forgets it and its credentials; the data stays. Raises InUse while it is the default, or a data set is read from it."""
        client.delete_datastore(self.workspace.transport, self.name)

    def __repr__(self) -> str:
        return f"Datastore({self.name!r}, url={self.url!r})"

    def _open(self, workspace: Workspace, facts: wire.Datastore) -> None:
        self.workspace = workspace
        self._facts = facts

    def _upload(self, named: Sequence[tuple[Path, str]], target_path: str | None, overwrite: bool, say: Callable[[str], None] | None) -> DataPath:
        prefix = (target_path or "").strip("/")
        there = set() if overwrite else self._there(prefix)
        for place, name in named:
            path = f"{prefix}/{name}".lstrip("/")
            if path in there:
                if say:
                    say(f"{path} is there already, and stays; overwrite=True replaces it.")
                continue
            put_file(self, place, path, overwrite=overwrite)
            if say:
                say(f"Uploaded {path}")
        return self.path(prefix)

    def _there(self, prefix: str) -> set[str]:
        try:
            return {each.path for each in self.files(prefix)}
        except NotFound:
            return set()


def put_file(store: Datastore, place: Path, path: str, *, overwrite: bool, progress: Progress | None = None) -> wire.DataFile:
    """One file: its content travels first, and goes on after a cut; then the server puts it in place. Raises Conflict, UsageError."""
    try:
        with place.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
    except OSError as fault:
        raise UsageError(f"{place} cannot be read ({fault.strerror}); nothing was put.") from fault
    upload_blob(store.workspace.transport, digest, size, partial(_open_at, place), progress)
    return client.place_file(store.workspace.transport, store.name, wire.Placing(path=path, digest=digest, size=size, overwrite=overwrite))


def _open_at(place: Path, offset: int) -> BinaryIO:
    stream = place.open("rb")
    stream.seek(offset)
    return stream
