"""`Dataset.Tabular`, `Dataset.File`, and finding registered data sets."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairlead.client import data as client
from fairlead.errors import UsageError
from fairlead.schemas import data as wire
from fairlead.sdk.dataset import FileDataset, TabularDataset, of, paths_of
from fairlead.sdk.datastore import put_file

if TYPE_CHECKING:
    from fairlead.sdk.workspace import Workspace

Types = Mapping[str, str] | None


class DataType:
    """Types of columns, for `set_column_types`; the words of Arrow, such as "int32", do as well.

    >>> Dataset.Tabular.from_delimited_files("a.csv", set_column_types={"id": DataType.to_string()})
    """

    @staticmethod
    def to_string() -> str:
        return "string"

    @staticmethod
    def to_long() -> str:
        return "int64"

    @staticmethod
    def to_float(decimal_mark: str = ".") -> str:
        return "float64"

    @staticmethod
    def to_bool() -> str:
        return "bool"

    @staticmethod
    def to_datetime(formats: object = None) -> str:
        return "timestamp[us]"


class TabularDatasetFactory:
    """Data sets of rows.

    >>> Dataset.Tabular.from_parquet_files((store, "raw/*.parquet"))
    """

    @staticmethod
    def from_delimited_files(
        path: Any,
        validate: bool = True,
        include_path: bool = False,
        infer_column_types: bool = True,
        set_column_types: Types = None,
        separator: str = ",",
        header: bool | str = True,
        partition_format: str | None = None,
        support_multi_line: bool = False,
        empty_as_string: bool = False,
        encoding: str = "utf8",
    ) -> TabularDataset:
        """CSV and the like; quoted cells may hold line breaks. Raises UsageError.

        >>> Dataset.Tabular.from_delimited_files((store, "raw/*.csv"), partition_format="/{at:yyyy/MM/dd}/data.csv")
        """
        _refuse(include_path, "include_path")
        if not infer_column_types and not set_column_types:
            raise UsageError("infer_column_types=False leaves every type open: say those that you want with set_column_types.")
        options: dict[str, Any] = {} if separator == "," else {"delimiter": separator}
        if header is False or (isinstance(header, str) and header.upper() in ("NO_HEADERS", "NONE")):
            options["header"] = False
        if encoding.lower().replace("-", "") not in ("utf8", "utf8bom"):
            options["encoding"] = encoding
        if empty_as_string:
            options |= {"null_values": [], "strings_can_be_null": False}
        return _tabular(path, "csv", options, set_column_types, partition_format)

    @staticmethod
    def from_parquet_files(
        path: Any, validate: bool = True, include_path: bool = False, set_column_types: Types = None, partition_format: str | None = None
    ) -> TabularDataset:
        """Parquet. Raises UsageError.

        >>> Dataset.Tabular.from_parquet_files("https://example.org/rows.parquet")
        """
        _refuse(include_path, "include_path")
        _refuse(set_column_types, "set_column_types")
        return _tabular(path, "parquet", {}, None, partition_format)

    @staticmethod
    def from_json_lines_files(
        path: Any,
        validate: bool = True,
        include_path: bool = False,
        set_column_types: Types = None,
        partition_format: str | None = None,
        invalid_lines: str = "error",
        encoding: str = "utf8",
    ) -> TabularDataset:
        """A JSON object in each line. Raises UsageError.

        >>> Dataset.Tabular.from_json_lines_files((store, "raw/*.jsonl"))
        """
        _refuse(include_path, "include_path")
        return _tabular(path, "jsonl", {}, set_column_types, partition_format)

    @staticmethod
    def from_sql_query(query: Any, validate: bool = True, set_column_types: Types = None, query_timeout: int = 30) -> TabularDataset:
        """Rows of a database: (datastore, "SELECT …"). Raises UsageError.

        >>> Dataset.Tabular.from_sql_query((Datastore.get(ws, "sales"), "SELECT * FROM customers"))
        """
        if not (isinstance(query, tuple) and len(query) == 2 and isinstance(query[1], str)):
            raise UsageError("from_sql_query: give (datastore, query), such as (Datastore.get(ws, 'sales'), 'SELECT * FROM customers').")
        store, text = query
        options = {"types": dict(set_column_types)} if set_column_types else {}
        said = {"kind": "Tabular", "paths": [{"datastore": store.name}], "query": text, "options": options}
        return TabularDataset(wire.DatasetDefinition.of(**said), store.workspace)

    @staticmethod
    def register_pandas_dataframe(
        dataframe: Any, target: Any, name: str, description: str | None = None, tags: Mapping[str, str] | None = None, show_progress: bool = True
    ) -> TabularDataset:
        """Writes a DataFrame as parquet into (datastore, folder), and registers it. Raises UsageError.

        >>> Dataset.Tabular.register_pandas_dataframe(frame, (store, "frames"), "customers")
        """
        store, folder = target if isinstance(target, tuple) else (target, "")
        with tempfile.TemporaryDirectory(prefix="fairlead-") as place:
            file = Path(place, "rows.parquet")
            dataframe.to_parquet(file)
            path = f"{str(folder).strip('/')}/{name}/{_digest_of(file)}.parquet".lstrip("/")
            put_file(store, file, path, overwrite=True)
        made = TabularDatasetFactory.from_parquet_files((store, path))
        return made.register(store.workspace, name, description, tags, create_new_version=True)


class FileDatasetFactory:
    """Data sets of files.

    >>> Dataset.File.from_files((store, "images"))
    """

    @staticmethod
    def from_files(path: Any, validate: bool = True, partition_format: str | None = None) -> FileDataset:
        """Files, folders and patterns. Raises UsageError.

        >>> Dataset.File.from_files([(store, "images/**/*.png"), "https://example.org/a.png"])
        """
        paths, workspace = paths_of(path)
        options = {"partition_format": partition_format} if partition_format else {}
        return FileDataset(wire.DatasetDefinition.of(kind="File", paths=paths, options=options), workspace)


class Dataset:
    """Where data sets come from: made of files, rows or a query, or found by their name.

    >>> Dataset.File.from_files((ws.get_default_datastore(), "images")).register(ws, "images")
    >>> Dataset.get_by_name(ws, "images", version=1)
    """

    Tabular = TabularDatasetFactory
    File = FileDatasetFactory

    @staticmethod
    def get_by_name(workspace: Workspace, name: str, version: str | int = "latest") -> Any:
        """A registered version: a FileDataset or a TabularDataset. Raises NotFound.

        >>> Dataset.get_by_name(ws, "customers", version=3)
        """
        return of(workspace, client.show_dataset(workspace.transport, name, str(version)))

    @staticmethod
    def get_by_id(workspace: Workspace, id: str) -> Any:  # noqa: A002 - the seeds' word
        """The version with this id. Raises NotFound."""
        return of(workspace, client.show_dataset_by_id(workspace.transport, id))

    @staticmethod
    def get_all(workspace: Workspace) -> dict[str, Any]:
        """The latest version of each, by name. Raises Unavailable."""
        names = [each.name for each in client.list_datasets(workspace.transport) if each.latest_version]
        return {name: Dataset.get_by_name(workspace, name) for name in names}


def _tabular(path: Any, kind: str, options: dict[str, Any], types: Types, partition_format: str | None) -> TabularDataset:
    paths, workspace = paths_of(path)
    more = ({"types": dict(types)} if types else {}) | ({"partition_format": partition_format} if partition_format else {})
    return TabularDataset(wire.DatasetDefinition.of(kind="Tabular", paths=paths, format=kind, options=options | more), workspace)


def _refuse(said: object, word: str) -> None:
    if said:
        raise UsageError(f"{word} is not here; leave it out.")


def _digest_of(file: Path) -> str:
    """Short, so that the same rows are the same file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]
