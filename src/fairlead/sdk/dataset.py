"""Data sets: what is read where, in versions; with the methods that Azure ML programs call."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

from fairlead.client import data as client
from fairlead.errors import UsageError
from fairlead.schemas import data as wire
from fairlead.sdk import dataset_reading
from fairlead.sdk.data_path import DataPath
from fairlead.sdk.dataset_input import DatasetConsumptionConfig

if TYPE_CHECKING:
    from fairlead.sdk.datastore import Datastore
    from fairlead.sdk.workspace import Workspace

MOMENT = timedelta(microseconds=1)


class AnyDataset:
    """What data sets of files and of rows have in common. Registered ones have a name, a version and an id."""

    def __init__(self, definition: wire.DatasetDefinition, workspace: Workspace | None = None, facts: wire.DatasetVersion | None = None) -> None:
        self.definition = definition
        self.workspace = workspace
        self._facts = facts
        self._taken: tuple[int, int | None] = (0, None)

    @property
    def name(self) -> str | None:
        return self._facts.name if self._facts else None

    @property
    def version(self) -> int | None:
        return self._facts.version if self._facts else None

    @property
    def id(self) -> str | None:
        return self._facts.id if self._facts else None

    @property
    def digest(self) -> str | None:
        """Of what it says, and of the files that there were, where they were listed."""
        return self._facts.digest if self._facts else None

    @property
    def description(self) -> str:
        return self._facts.description if self._facts else ""

    @property
    def tags(self) -> dict[str, str]:
        return dict(self._facts.tags) if self._facts else {}

    @property
    def versions(self) -> Sequence[AnyDataset]:
        """All of this name, newest first."""
        workspace, facts = self._registered()
        return [of(workspace, each) for each in client.list_versions(workspace.transport, facts.name)]

    def register(
        self,
        workspace: Workspace,
        name: str,
        description: str | None = None,
        tags: Mapping[str, str] | None = None,
        create_new_version: bool = False,
        *,
        listed: bool = False,
    ) -> Self:
        """The next version of the name, or the latest when it says the same. Raises Conflict for a name that is there, unless `create_new_version`.

        `listed`: count the files that there are, so that the digest changes when one of them does.

            >>> Dataset.File.from_files((store, "images")).register(ws, "images", create_new_version=True).version
            1
        """
        self._refuse_taken()
        new = wire.NewDatasetVersion.of(
            name=name, definition=self.definition, description=description or "", tags=dict(tags or {}), create_new_version=create_new_version, listed=listed
        )
        return cast(Self, of(workspace, client.register_dataset(workspace.transport, new)))

    def as_named_input(self, name: str) -> DatasetConsumptionConfig:
        """For a step or job. Raises UsageError for what take() or skip() made: a job reads all of it."""
        self._refuse_taken()
        return DatasetConsumptionConfig(name, self)

    def update(self, description: str | None = None, tags: Mapping[str, str] | None = None) -> Self:
        """Says otherwise what it is; what is read never changes. Raises UsageError for one that is not registered."""
        workspace, facts = self._registered()
        said: dict[str, Any] = {} if description is None else {"description": description}
        if tags is not None:
            said["tags"] = {**dict.fromkeys(facts.tags), **tags}
        self._facts = client.change_dataset(workspace.transport, facts.name, str(facts.version), wire.DatasetChange.of(**said))
        return self

    def add_tags(self, tags: Mapping[str, str]) -> Self:
        """Beside those that it has. Raises UsageError for one that is not registered."""
        return self.update(tags={**self.tags, **tags})

    def unregister_all_versions(self) -> None:
        """Forgets the name; the data stays where it is."""
        workspace, facts = self._registered()
        client.delete_dataset(workspace.transport, facts.name)

    def take(self, count: int) -> Self:
        """The first rows or files, to look at. Raises UsageError below 0.

        >>> Dataset.get_by_name(ws, "customers").take(5).to_pandas_dataframe()
        """
        if count < 0:
            raise UsageError(f"take({count}): there are no fewer than 0 rows.")
        skipped, taken = self._taken
        return self._with(self.definition, (skipped, count if taken is None else min(count, taken)))

    def skip(self, count: int) -> Self:
        """Without the first rows or files. Raises UsageError below 0."""
        if count < 0:
            raise UsageError(f"skip({count}): there are no fewer than 0 rows.")
        skipped, taken = self._taken
        return self._with(self.definition, (skipped + count, None if taken is None else max(0, taken - count)))

    def download(self, target_path: str | os.PathLike[str] | None = None, overwrite: bool = False, ignore_not_found: bool = False) -> list[str]:
        """Fetches its files into a folder, a new one without `target_path`, and says where they are. Raises Conflict for one that is there.

        >>> Dataset.get_by_name(ws, "images").download("images")
        ['images/a.png']
        """
        folder = Path(target_path) if target_path is not None else Path(tempfile.mkdtemp(prefix="fairlead-"))
        return [str(each) for each in dataset_reading.download(self, folder, overwrite=overwrite)]

    def __repr__(self) -> str:
        said = f"{self.name}:{self.version}" if self._facts else ", ".join(each.url or f"{each.datastore}/{each.path}" for each in self.definition.paths)
        return f"{type(self).__name__}({said!r})"

    def _with(self, definition: wire.DatasetDefinition, taken: tuple[int, int | None] | None = None) -> Self:
        """The same but for this; it is not the registered one any more."""
        made = type(self)(definition, self.workspace)
        made._taken = self._taken if taken is None else taken
        return made

    def _refuse_taken(self) -> None:
        if self._taken != (0, None):
            raise UsageError("take() and skip() are for looking at data here; jobs and registered data sets have all of it.")

    def _registered(self) -> tuple[Workspace, wire.DatasetVersion]:
        if self._facts is None or self.workspace is None:
            raise UsageError("This data set is not registered; register it first.")
        return self.workspace, self._facts


class FileDataset(AnyDataset):
    """Files, whatever is in them.

    >>> Dataset.get_by_name(ws, "images").to_path()
    ['/a.png']
    """

    def to_path(self) -> list[str]:
        """Their paths, from where the data set begins."""
        return [f"/{each.path}" for each in dataset_reading.files(self)]

    @contextmanager
    def mount(self, mount_point: str | os.PathLike[str] | None = None) -> Iterator[Path]:
        """A folder with the files while the block lasts: they are fetched first. Raises Conflict for a file that is there.

        >>> with dataset.mount() as folder:
        ...     sorted(folder.iterdir())
        """
        own = mount_point is None
        folder = Path(tempfile.mkdtemp(prefix="fairlead-")) if mount_point is None else Path(mount_point)
        try:
            dataset_reading.download(self, folder, overwrite=False)
            yield folder
        finally:
            if own:
                shutil.rmtree(folder, ignore_errors=True)


class TabularDataset(AnyDataset):
    """Rows.

    >>> rows = Dataset.Tabular.from_delimited_files((store, "raw/*.csv")).with_timestamp_columns("at")
    >>> rows.time_before(datetime(2026, 1, 1)).to_pandas_dataframe()
    """

    def with_timestamp_columns(self, timestamp: str | None = None, partition_timestamp: str | None = None, validate: bool = False) -> Self:
        """Says which columns are times: of the row, and of the folder (of `partition_format`). Raises UsageError for neither.

        >>> rows.with_timestamp_columns(timestamp="at").time_recent(timedelta(days=7))
        """
        if timestamp is None and partition_timestamp is None:
            raise UsageError("with_timestamp_columns: name a column, such as timestamp='at'.")
        return self._with(_changed(self.definition, timestamp=timestamp or partition_timestamp, partition_timestamp=partition_timestamp))

    def time_before(self, end_time: datetime, include_boundary: bool = True, validate: bool = True) -> Self:
        """Rows until that time, which is UTC unless it names a zone. Raises UsageError without a timestamp column."""
        return self._between(None, end_time + MOMENT if include_boundary else end_time)

    def time_after(self, start_time: datetime, include_boundary: bool = True, validate: bool = True) -> Self:
        """Rows from that time on. Raises UsageError without a timestamp column."""
        return self._between(start_time if include_boundary else start_time + MOMENT, None)

    def time_between(self, start_time: datetime, end_time: datetime, include_boundary: bool = True, validate: bool = True) -> Self:
        """Rows of a span of time. Raises UsageError without a timestamp column."""
        return self.time_after(start_time, include_boundary).time_before(end_time, include_boundary)

    def time_recent(self, time_delta: timedelta, include_boundary: bool = True, validate: bool = True) -> Self:
        """Rows of the last hours or days. Raises UsageError without a timestamp column."""
        return self.time_after(datetime.now(UTC) - time_delta, include_boundary)

    def keep_columns(self, columns: str | Sequence[str], validate: bool = False) -> Self:
        """These alone. Raises UsageError for none."""
        chosen = [columns] if isinstance(columns, str) else list(columns)
        if not chosen:
            raise UsageError("keep_columns: name at least one column.")
        return self._with(_changed(self.definition, columns=chosen))

    def to_pandas_dataframe(self, on_error: str = "null", out_of_range_datetime: str = "null") -> Any:
        """Its rows, in memory. Needs pyarrow and pandas (`fairlead[batch]`). Raises UsageError for what only jobs read.

        >>> Dataset.get_by_name(ws, "customers").to_pandas_dataframe()
        """
        return self.to_arrow_table().to_pandas()

    def to_arrow_table(self) -> Any:
        """Its rows as a pyarrow table. Raises UsageError for what only jobs read."""
        return dataset_reading.table(self, *self._taken)

    def _between(self, after: datetime | None, before: datetime | None) -> Self:
        """With what was said before."""
        if self.definition.timestamp is None:
            raise UsageError("This data set has no timestamp column; name it with with_timestamp_columns('at').")
        starts = [_utc(each) for each in (self.definition.after, after) if each is not None]
        ends = [_utc(each) for each in (self.definition.before, before) if each is not None]
        return self._with(_changed(self.definition, after=max(starts, default=None), before=min(ends, default=None)))


def of(workspace: Workspace, facts: wire.DatasetVersion) -> AnyDataset:
    """A version as it is registered."""
    kind = FileDataset if facts.definition.kind == "File" else TabularDataset
    return kind(facts.definition, workspace, facts)


def paths_of(said: Any) -> tuple[list[dict[str, str]], Workspace | None]:
    """Of a path, a URL, (datastore, path), a DataPath, or a list of these. Raises UsageError."""
    if isinstance(said, tuple) and len(said) == 2 and hasattr(said[0], "datastore_type"):
        store: Datastore = said[0]
        each = [said[1]] if isinstance(said[1], str) else list(said[1])
        return [{"datastore": store.name, "path": path.strip("/")} for path in each], store.workspace
    if isinstance(said, DataPath):
        return [{"datastore": said.datastore.name, "path": said.path_on_datastore}], said.datastore.workspace
    if isinstance(said, str | os.PathLike):
        text = os.fspath(said)
        return [{"url": text if "://" in text else os.path.abspath(text)}], None  # noqa: PTH100 - a pattern is no path
    if not isinstance(said, Sequence) or not said:
        raise UsageError(f"{said!r} is no data: give a path, a URL, (datastore, path), or a list of these.")
    found = [paths_of(each) for each in said]
    return [path for paths, _ in found for path in paths], next((workspace for _, workspace in found if workspace is not None), None)


def _changed(definition: wire.DatasetDefinition, **said: Any) -> wire.DatasetDefinition:
    return wire.DatasetDefinition.of(**{**definition.model_dump(exclude_unset=True), **said})


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
