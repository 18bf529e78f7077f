"""Datastores: named places with credentials; datasets: names with dense versions, each a definition of what is read there."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from fairlead.errors import UsageError
from fairlead.schemas.access import SecretName
from fairlead.schemas.models import Labels
from fairlead.schemas.spelling import Spelling
from fairlead.schemas.wire import Answer, Digest, Flag, JsonObject, Key, Moment, Request, Stamped, Text, Whole

BUILTIN = "workspaceblobstore"
LONGEST_QUERY = 100_000
DatastoreName = Annotated[str, Spelling.of_letters("name for a datastore", 100)]
DatasetName = Annotated[
    str,
    Spelling(
        r"^[A-Za-z0-9]([A-Za-z0-9 ._-]{0,253}[A-Za-z0-9._-])?$",
        "name for a data set",
        "has up to 255 letters, digits, blanks and . _ -, a letter or digit first and no blank at the end",
    ),
]
Url = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
Format = Literal["parquet", "csv", "tsv", "jsonl", "arrow", "arff", "files"]
DatasetKind = Literal["File", "Tabular"]
DatastoreKind = Literal["folder", "s3", "gcs", "azure-blob", "azure-file", "http", "postgresql", "sqlite"]
Query = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_QUERY)]
_REFERENCE = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9 ._-]{0,253}[A-Za-z0-9._-])?)(?::([1-9][0-9]{0,8}|latest))?")


class NewDatastore(Request):
    """url: a folder, or file, s3, gs, abfs(s), wasb(s), http(s), postgresql, sqlite.

    credentials: become the secret `datastore.NAME` of the workspace, and are never shown. secret: one that is there, instead.
    anonymous: the place is asked without credentials. With none of the three the server's own profile is used, which only the local server allows.
    overwrite: change the one of that name; credentials that are not given stay.
    """

    name: DatastoreName
    url: Url
    credentials: Annotated[dict[Key, Any], Field(min_length=1, max_length=50)] | None = None
    secret: SecretName | None = None
    anonymous: Flag = False
    description: Text = ""
    tags: Labels = Field(default_factory=dict)
    overwrite: Flag = False

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if sum((self.credentials is not None, self.secret is not None, self.anonymous)) > 1:
            raise ValueError("a datastore has credentials, a secret that holds them, or is anonymous; give one of them")
        return self


class Datastore(Stamped):
    """secret: the workspace's secret with its credentials; null: it has none. builtin: it is there by itself, and cannot be changed."""

    name: str
    kind: DatastoreKind
    url: str
    secret: str | None = None
    anonymous: bool = False
    is_default: bool = False
    builtin: bool = False
    description: str = ""
    tags: dict[str, str] = Field(default_factory=dict)
    updated_at: datetime


class DefaultDatastore(Request):
    name: DatastoreName


class DataFile(Answer):
    """path: below the datastore, or below what a data set names. stamp: changes when the file does. url: of a file on the server's machine."""

    path: str
    size: int
    stamp: str
    source: int = 0
    """Which of a data set's paths it is from."""
    url: str | None = None


class Placing(Request):
    """A file in a datastore, made of a content that the workspace has uploaded."""

    path: Annotated[Text, StringConstraints(min_length=1, max_length=1024)]
    digest: Digest
    size: Annotated[Whole, Field(ge=0, lt=2**62)]
    overwrite: Flag = False


class DataPath(Request):
    """`path` below a datastore (a file, a folder, or with *, ? and **), or a `url`."""

    datastore: DatastoreName | None = None
    path: Annotated[Text, StringConstraints(max_length=4096)] = ""
    url: Url | None = None

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if (self.datastore is None) == (self.url is None):
            raise ValueError("a path is either below a datastore, or a url")
        if self.url is not None and self.path:
            raise ValueError("a url has its path in it; leave out path")
        return self


class DatasetDefinition(Request):
    """What is read, and how; never changes. options: of the format, as batch jobs take them; partition_format among them.

    query: rows of a database, which the only path is. timestamp: the column whose rows are taken (after <= t < before).
    """

    kind: DatasetKind
    paths: Annotated[list[DataPath], Field(min_length=1, max_length=1000)]
    format: Format | None = None
    options: JsonObject = Field(default_factory=dict)
    columns: Annotated[list[Key], Field(max_length=10_000)] | None = None
    query: Query | None = None
    timestamp: Key | None = None
    partition_timestamp: Key | None = None
    before: Moment | None = None
    after: Moment | None = None

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        if self.kind == "File" and (self.format not in (None, "files") or self.query is not None or self.columns is not None or self.timestamp):
            raise ValueError("a data set of files has neither format, query, columns nor timestamp; make it Tabular")
        if self.kind == "Tabular" and self.format == "files":
            raise ValueError("a Tabular data set has rows; leave out the format files, or make it File")
        if self.query is not None and len(self.paths) != 1:
            raise ValueError("a query is asked of one database")
        if (self.before or self.after) and not self.timestamp:
            raise ValueError("before and after need timestamp: the column that they look at")
        return self


class NewDatasetVersion(Request):
    """The next version of the name; the latest one when it says the same. Without create_new_version, an existing name is refused instead.

    listed: the files that are there now are counted, and the digest changes when one of them does.
    """

    name: DatasetName
    definition: DatasetDefinition
    description: Text = ""
    tags: Labels = Field(default_factory=dict)
    create_new_version: Flag = False
    listed: Flag = False


class DatasetChange(Request):
    """Tags are replaced one by one; null removes one."""

    description: Text | None = None
    tags: dict[Key, Text | None] | None = None


class DatasetVersion(Stamped):
    """digest: of the definition and, where it was asked for, of the files that there were; then files and size say how many and how large."""

    name: str
    version: int
    definition: DatasetDefinition
    digest: str
    files: int | None = None
    size: int | None = None
    description: str = ""
    tags: dict[str, str]
    updated_at: datetime

    @property
    def reference(self) -> str:
        return f"{self.name}:{self.version}"


class Dataset(Stamped):
    """A name, and what its versions come to. latest_version: 0 when all are deleted."""

    name: str
    latest_version: int
    versions: int
    updated_at: datetime


def parse_dataset(said: str) -> tuple[str, str]:
    """`NAME` or `NAME:VERSION` as name and version, which is `latest` unless it is said. Raises UsageError."""
    found = _REFERENCE.fullmatch(said)
    if found is None:
        raise UsageError(f"{said[:100]!r} names no data set; write NAME or NAME:VERSION, such as customers:3.")
    return found[1], found[2] or "latest"
