"""A data set as a job takes it: under a name, mounted or fetched."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fairlead.sdk.dataset import AnyDataset


@dataclass(frozen=True)
class DatasetConsumptionConfig:
    """What `as_named_input` makes. Jobs fetch what is elsewhere, so a mount and a download are the same to them.

    >>> Dataset.get_by_name(ws, "images").as_named_input("images").as_mount()
    """

    name: str
    dataset: AnyDataset
    mode: str = "direct"
    path_on_compute: str | None = None

    def as_mount(self, path_on_compute: str | None = None) -> DatasetConsumptionConfig:
        return replace(self, mode="mount", path_on_compute=path_on_compute)

    def as_download(self, path_on_compute: str | None = None) -> DatasetConsumptionConfig:
        return replace(self, mode="download", path_on_compute=path_on_compute)
