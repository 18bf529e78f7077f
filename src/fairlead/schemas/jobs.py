"""Batch jobs: what is scored with what, how far it is, what it left, and the records of what happened."""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from fairlead.schemas.access import SecretName
from fairlead.schemas.services import Code, EnvironmentWish
from fairlead.schemas.spelling import Spelling
from fairlead.schemas.wire import Answer, Digest, Flag, JsonObject, Key, Moment, Number, Request, Stamped, Text, Whole

JobName = Annotated[str, Spelling.of_letters("name for a job", 127)]
SideName = Annotated[str, Spelling.of_letters("name for a side input", 127)]
JobKind = Literal["score", "program"]
EngineName = Literal["local", "ray", "spark"]
InputFormat = Literal["parquet", "csv", "tsv", "jsonl", "arrow", "arff", "files"]
OutputFormat = Literal["parquet", "csv", "jsonl", "text"]
OutputAction = Literal["rows", "append_row", "summary_only"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
Url = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
Words = Annotated[list[Text], Field(max_length=1000)]
_SIZE = re.compile(r"(\d+)\s*(b|kb|mb|gb|rows?|files?)?", re.IGNORECASE)
_BYTES = {"b": 1, "kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30}


class JobState(StrEnum):
    """As the seeds say it (C3, 2.7). The first two are on their way."""

    NOT_STARTED = "NotStarted"
    IN_PROGRESS = "InProgress"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"

    @property
    def is_over(self) -> bool:
        return self not in (JobState.NOT_STARTED, JobState.IN_PROGRESS)


class JobStage(StrEnum):
    """What a job goes through before it is over; the first three are NotStarted."""

    PACKAGING = "packaging"
    ENVIRONMENT = "environment"
    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    PUBLISHING = "publishing"


class JobInput(Request):
    """Exactly one of urls, tree, dataset, datastore (with path, or with query where it is a database), database (with query)."""

    urls: Annotated[list[Url], Field(max_length=10_000)] | None = None
    """Paths of the server's machine, folders, globs; or file, s3, gs, abfs(s), wasb(s), http(s)."""
    tree: Digest | None = None
    """An uploaded tree of files."""
    dataset: Text | None = None
    """NAME or NAME:VERSION."""
    datastore: Text | None = None
    path: Text = ""
    """Below the datastore."""
    database: Text | None = None
    """Such as postgresql://host/name or sqlite:///path; a password belongs into credentials."""
    query: Annotated[str, StringConstraints(max_length=100_000)] | None = None
    format: InputFormat | None = None
    options: JsonObject = Field(default_factory=dict)
    columns: Annotated[list[Key], Field(max_length=10_000)] | None = None
    timestamp: Key | None = None
    before: Moment | None = None
    after: Moment | None = None
    credentials: SecretName | None = None
    """A secret of the workspace: JSON of the store's options, or a database's password."""

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        given = [name for name in ("urls", "tree", "dataset", "datastore", "database") if getattr(self, name)]
        if len(given) != 1:
            raise ValueError(f"an input is one of urls, tree, dataset, datastore and database, not {' and '.join(given) or 'none of them'}")
        if self.database is not None and self.query is None:
            raise ValueError("a database is read by a query: give database and query together")
        if self.query is not None and self.database is None and (self.datastore is None or self.path):
            raise ValueError("a query is for a database: give database and query together, or query and the name of a datastore that is one")
        if (self.before or self.after) and not self.timestamp:
            raise ValueError("before and after need timestamp: the column that they look at")
        return self


class JobOutput(Request):
    """Where answers go: url, or datastore and path; neither: the server keeps them for download."""

    url: Url | None = None
    datastore: Text | None = None
    path: Text = ""
    format: OutputFormat = "parquet"
    action: OutputAction = "rows"
    file_name: Annotated[str, Spelling.of_letters("name for this file", 201)] = "parallel_run_step.txt"
    """Of the one file that append_row makes."""
    keep: Annotated[list[Key], Field(max_length=10_000)] = Field(default_factory=list)
    """Input columns that stand beside the answers."""
    partition_by: Annotated[list[Key], Field(max_length=100)] = Field(default_factory=list)
    table: Key | None = None
    """With `url` a database: rows are added to it."""
    options: JsonObject = Field(default_factory=dict)
    credentials: SecretName | None = None
    overwrite: Flag = False
    """What another job wrote there is removed first; what no job wrote stays, and is refused."""

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if self.url and self.datastore:
            raise ValueError("an output is either a url, or a datastore and a path below it")
        if self.table and self.overwrite:
            raise ValueError("rows are added to a table, which is never overwritten; remove them in the database, or leave overwrite out")
        return self


class MiniBatch(Request):
    """What one run() gets; at most one is set, none leaves it to the driver (1 MB of rows, 10 files)."""

    rows: Annotated[Whole, Field(ge=1, le=2**40)] | None = None
    bytes: Annotated[Whole, Field(ge=1, le=2**40)] | None = None
    files: Annotated[Whole, Field(ge=1, le=2**31)] | None = None

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if sum(value is not None for value in (self.rows, self.bytes, self.files)) > 1:
            raise ValueError("a mini-batch is counted in rows, in bytes or in files; give one of them")
        return self


class Limits(Request):
    """Items (rows, or files) that may fail over the whole job; -1: any number. Seconds for one run()."""

    error_threshold: Annotated[Whole, Field(ge=-1, le=2**62)] = 0
    allowed_failed_count: Annotated[Whole, Field(ge=-1, le=2**62)] | None = None
    allowed_failed_percent: Annotated[Number, Field(ge=0, le=100)] | None = None
    run_max_try: Annotated[Whole, Field(ge=1, le=1000)] = 3
    run_invocation_timeout: Annotated[Number, Field(gt=0, le=864_000)] = 60.0


class EngineWish(Request):
    """`processes`: per node; omitted: one per core, or per GPU. `pool`: a compute pool of the workspace, which says nodes and priority."""

    name: EngineName = "local"
    nodes: Annotated[Whole, Field(ge=1, le=10_000)] = 1
    processes: Annotated[Whole, Field(ge=1, le=1024)] | None = None
    options: JsonObject = Field(default_factory=dict)
    pool: Key | None = None


class Scoring(Request):
    """How it is scored: what a job and a batch service of a model have in common."""

    method: Key | None = None
    """Of a model without code: predict, predict_proba, …"""
    mini_batch: MiniBatch = Field(default_factory=MiniBatch)
    partition_keys: Annotated[list[Key], Field(max_length=100)] = Field(default_factory=list)
    limits: Limits = Field(default_factory=Limits)
    engine: EngineWish = Field(default_factory=EngineWish)
    arguments: Words = Field(default_factory=list)
    """Of the script: its argv."""
    variables: Annotated[dict[Key, Text], Field(max_length=500)] = Field(default_factory=dict)
    secrets: Annotated[list[SecretName], Field(max_length=200)] = Field(default_factory=list)
    """Names of secrets of the workspace, given to the script as files."""
    log_level: LogLevel = "INFO"


class NewJob(Scoring):
    """A scoring job. Exactly one of models (with or without code) and bundle. The same name and body again is the same job."""

    name: JobName | None = None
    """Default: the time, such as 2026-01-31_235959."""
    models: Annotated[list[Text], Field(max_length=1000)] = Field(default_factory=list)
    """`name`, `name:version` or `name@alias`; resolved now, for good."""
    bundle: Digest | None = None
    """A tree that is a whole bundle."""
    code: Code | None = None
    script: Text | None = None
    """A batch script in the code, with run(mini_batch); omitted: the realtime script or the model itself answers tables."""
    environment: EnvironmentWish | None = None
    inputs: Annotated[list[JobInput], Field(min_length=1, max_length=1000)]
    side_inputs: Annotated[dict[SideName, JobInput], Field(max_length=100)] = Field(default_factory=dict)
    """Fetched before init(), and given to the script as paths."""
    output: JobOutput = Field(default_factory=JobOutput)
    experiment: Key | None = None
    description: Text = ""
    tags: Annotated[dict[Key, Text], Field(max_length=200)] = Field(default_factory=dict)
    git_commit: Text | None = None
    git_dirty: Flag | None = None


class Rerun(Request):
    """The same once more, as it was resolved then, under another name."""

    name: JobName | None = None


class JobFailure(Answer):
    """stage: a JobStage. cause: a word for programs, such as init-raised, too-many-failed, missing-package, driver-died."""

    stage: str
    cause: str
    message: str
    log_lines: list[str] = Field(default_factory=list)


class Count(Answer):
    total: int | None = None
    done: int = 0
    failed: int = 0


class JobProgress(Answer):
    """As the driver says it. Rows are items: files where files are scored, as `unit` says."""

    unit: str = "rows"
    shards: Count = Field(default_factory=Count)
    rows: Count = Field(default_factory=Count)
    rows_per_second: float | None = None
    eta_seconds: float | None = None
    tries: int = 0
    """Runs of mini-batches beyond their first."""
    interruptions: int = 0
    message: str = ""


class Job(Stamped):
    """`id` is for ever; `name` is unique in its batch service, or among jobs without one, until the job is deleted."""

    name: str
    kind: JobKind
    state: JobState
    stage: JobStage | None = None
    """Null when it is over."""
    message: str = ""
    service: str | None = None
    """The batch service that it is a job of."""
    models: list[str] = Field(default_factory=list)
    bundle_digest: str | None = None
    environment: str | None = None
    """`name:version`, where a registered one was asked for."""
    environment_lock: str | None = None
    """As a service of the same would have it."""
    batch_lock: str | None = None
    """That, and what batch needs beside."""
    engine: EngineName = "local"
    request: JsonObject = Field(default_factory=dict)
    """What was asked for: the body of NewJob, or the parameters of a batch service's job."""
    parameters: dict[str, str] = Field(default_factory=dict)
    """Of a batch service's job: all of them, defaults too."""
    output_url: str | None = None
    progress: JobProgress | None = None
    failure: JobFailure | None = None
    restarts: int = 0
    """How often its driver was killed and started again."""
    cancel_asked_at: datetime | None = None
    cancel_asked_by: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    updated_at: datetime
    serial: Whole = 0
    """Grows with every change; `?wait=30&seen=SERIAL` answers when it has grown."""
    rerun_of: str | None = None
    experiment: str | None = None
    description: str = ""
    tags: dict[str, str] = Field(default_factory=dict)
    git_commit: str | None = None
    git_dirty: bool | None = None

    @property
    def is_settled(self) -> bool:
        return self.state.is_over


class JobEvent(Answer):
    """Something that happened to a job; number: from 1 up, with gaps. event: JobSubmitted, JobRunning, NodePreempted, JobFailed, …; state: of E8."""

    id: str
    number: Whole
    at: datetime
    event: str
    state: Literal["Queued", "Running", "Succeeded", "Failed", "Canceled"]
    message: str = ""
    node: str | None = None
    cause: str | None = None
    details: dict[str, Any] = Field(default_factory=dict)


class JobLog(Answer):
    """A file of the log layout, such as `logs/user/stdout/node-0/process000.stdout.txt`; path: below `logs/`."""

    path: str
    size: int
    updated_at: datetime


class JobLogText(Answer):
    """A piece of a log file. Ask again with `next_offset`; `end`: there is no more for now."""

    path: str
    text: str
    offset: int
    next_offset: int
    end: bool


class OutputPart(Answer):
    """A published file. path: below the output's URL; kind: parts hold answers, quarantine what could not be scored.

    rows, sha256: where the job's manifest says them.
    """

    kind: Literal["part", "quarantine"]
    path: str
    rows: int | None = None
    bytes: int
    sha256: str | None = None


class JobQuery(Request):
    """One SELECT over `job_events`, the records of this workspace."""

    sql: Annotated[str, StringConstraints(min_length=1, max_length=20_000)]


class JobRows(Answer):
    """`more`: the answer was cut."""

    columns: list[str]
    rows: list[list[Any]]
    more: bool = False


def parse_mini_batch(said: str) -> MiniBatch:
    """`10MB`, `10000rows`, `5files`, or a number alone, which counts files. Raises ValueError."""
    found = _SIZE.fullmatch(said.strip())
    if found is None or int(found[1]) < 1:
        raise ValueError(f"{said[:100]!r} is no mini-batch; write 10MB, 10000rows or 5files")
    number, unit = int(found[1]), (found[2] or "files").lower()
    if unit in _BYTES:
        return MiniBatch(bytes=number * _BYTES[unit])
    return MiniBatch(rows=number) if unit.startswith("row") else MiniBatch(files=number)
