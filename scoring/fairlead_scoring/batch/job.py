"""A job's order, as `job.json` in its place says it: what is scored with what, and where the answers go. Plain data, from JSON and to JSON.

The place is a folder of the job's own, by which a driver and whoever started it speak to each other; nobody keeps process ids:

    PLACE/job.json         the order
    PLACE/lock             flock of the driver, while it runs
    PLACE/cancel           once it is there, the driver ends within seconds
    PLACE/progress.json    how far it is (`progress.Progress`), replaced by rename, at most twice a second
    PLACE/events.jsonl     what happened, one line each: workers that died, nodes that came and went, tries, the end
    PLACE/secrets/NAME     credentials, 0600, named in the order, never written into it
    PLACE/logs/...         as ParallelRunStep lays them out (P5)
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Dict, Mapping, Optional, Tuple

ORDER = "job.json"
LOCK = "lock"
CANCEL = "cancel"
PROGRESS = "progress.json"
EVENTS = "events.jsonl"
SECRETS = "secrets"
LOGS = "logs"
VERSION = 1


@dataclass(frozen=True)
class Input:
    """Rows or files. Either `urls` (paths, folders, globs; file, s3, gs, abfs(s), wasb(s), http(s)), or `database` and `query`.

    format: parquet, csv, tsv, jsonl, arrow, arff, files; None: by the names' endings. options: of that format, as docs/how-to/batch-inputs.md lists them.
    columns: those that are read; None: all. credentials: the name of a file in PLACE/secrets. base: what `partition_format` and relative names begin at.
    before, after: with `timestamp`, the column whose rows are taken (after <= t < before, ISO 8601).
    """

    urls: Tuple[str, ...] = ()
    format: Optional[str] = None
    options: Mapping[str, Any] = field(default_factory=dict)
    columns: Optional[Tuple[str, ...]] = None
    credentials: Optional[str] = None
    database: Optional[str] = None
    query: Optional[str] = None
    timestamp: Optional[str] = None
    before: Optional[str] = None
    after: Optional[str] = None


@dataclass(frozen=True)
class Output:
    """Where answers go. url: a folder; `append_row` makes one file of it at the end. format: parquet, csv, jsonl, text.

    action: rows (parts of a table), append_row (one text file `file_name`), summary_only (the script writes its own files; items are counted).
    keep: input columns that stand beside the answers. partition_by: columns that become folders. table: with a database as `url`, rows are added to it.
    """

    url: str
    format: str = "parquet"
    action: str = "rows"
    file_name: str = "parallel_run_step.txt"
    keep: Tuple[str, ...] = ()
    partition_by: Tuple[str, ...] = ()
    table: Optional[str] = None
    credentials: Optional[str] = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class MiniBatch:
    """What one `run()` gets: exactly one is set. Decided from inputs and order alone, so that every engine cuts alike."""

    rows: Optional[int] = None
    bytes: Optional[int] = None
    files: Optional[int] = None


@dataclass(frozen=True)
class Limits:
    """error_threshold, allowed_failed_count: items (rows, or files) that may fail over the whole job, -1: any; allowed_failed_percent: of all, 0 to 100.

    run_max_try: how often a mini-batch is tried. run_invocation_timeout: seconds for one `run()`. restarts: how often a driver that was killed begins again.
    """

    error_threshold: int = 0
    allowed_failed_count: Optional[int] = None
    allowed_failed_percent: Optional[float] = None
    run_max_try: int = 3
    run_invocation_timeout: float = 60.0


@dataclass(frozen=True)
class Engine:
    """name: local, ray, spark. nodes, processes (per node; None: cores, or one per GPU). options: address, master, … of that engine."""

    name: str = "local"
    nodes: int = 1
    processes: Optional[int] = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Order:
    """kind: score (mini-batches through a bundle) or program (a batch service's driver, run once with `arguments`).

    bundle: folder. script: a batch script in the bundle's code with run(mini_batch); None: the bundle's own realtime script or flavor answers tables.
    method: of a no-code model. arguments: argv of the script. side_inputs: name -> URL, fetched before init() and given as paths;
    side_credentials: name -> a file in PLACE/secrets.
    partition_keys: columns by whose values rows are grouped; a mini-batch holds one group. variables: of the script's environment.
    """

    id: str
    name: str
    bundle: str
    kind: str = "score"
    script: Optional[str] = None
    method: Optional[str] = None
    inputs: Tuple[Input, ...] = ()
    output: Optional[Output] = None
    side_inputs: Mapping[str, str] = field(default_factory=dict)
    side_credentials: Mapping[str, str] = field(default_factory=dict)
    arguments: Tuple[str, ...] = ()
    mini_batch: MiniBatch = field(default_factory=MiniBatch)
    partition_keys: Tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    engine: Engine = field(default_factory=Engine)
    variables: Mapping[str, str] = field(default_factory=dict)
    program: Mapping[str, Any] = field(default_factory=dict)
    log_level: str = "INFO"

    def to_json(self) -> Dict[str, Any]:
        return {"version": VERSION, **asdict(self)}

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Order:
        """What to_json() gave. Unknown members are a newer release's, and ignored. Raises KeyError, TypeError for what is none."""
        made = _fields(cls, said)
        made["inputs"] = tuple(Input(**_fields(Input, each)) for each in said.get("inputs") or ())
        made["output"] = None if said.get("output") is None else Output(**_fields(Output, said["output"]))
        for name, kind in (("mini_batch", MiniBatch), ("limits", Limits), ("engine", Engine)):
            made[name] = kind(**_fields(kind, said.get(name) or {}))
        return cls(**made)


def _fields(kind: Any, said: Mapping[str, Any]) -> Dict[str, Any]:
    """Lists become tuples, so that an order is a value."""
    known = kind.__dataclass_fields__
    return {name: tuple(value) if isinstance(value, list) else value for name, value in said.items() if name in known}
