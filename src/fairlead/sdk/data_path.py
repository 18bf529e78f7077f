"""A path below a datastore, and how a job is to see it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fairlead.schemas.data import DatasetDefinition

if TYPE_CHECKING:
    from fairlead.sdk.datastore import Datastore


@dataclass(frozen=True)
class DataPath:
    """A file, folder or pattern in a datastore; jobs fetch what is elsewhere, so a mount and a download are the same to them.

    >>> DataPath(ws.get_default_datastore(), "raw/*.csv").as_mount()
    """

    datastore: Datastore
    path_on_datastore: str = ""
    data_reference_name: str = ""
    mode: str = "mount"
    path_on_compute: str | None = None
    overwrite: bool = False

    @property
    def name(self) -> None:
        """It is no registered data set."""
        return None

    @property
    def definition(self) -> DatasetDefinition:
        """The same as a data set of files."""
        return DatasetDefinition.of(kind="File", paths=[{"datastore": self.datastore.name, "path": self.path_on_datastore}])

    def path(self, path: str | None = None, data_reference_name: str | None = None) -> DataPath:
        """A path below this one."""
        below = f"{self.path_on_datastore}/{path or ''}".strip("/")
        return replace(self, path_on_datastore=below, data_reference_name=data_reference_name or self.data_reference_name)

    def as_mount(self) -> DataPath:
        return replace(self, mode="mount")

    def as_download(self, path_on_compute: str | None = None, overwrite: bool = False) -> DataPath:
        return replace(self, mode="download", path_on_compute=path_on_compute, overwrite=overwrite)

    def as_upload(self, path_on_compute: str | None = None, overwrite: bool = False) -> DataPath:
        return replace(self, mode="upload", path_on_compute=path_on_compute, overwrite=overwrite)

    def __str__(self) -> str:
        return f"datastore:{self.datastore.name}/{self.path_on_datastore}"


DataReference = DataPath
