"""`fairlead batch run`: the model that answers requests scores files, in one command."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from fairlead.cli import deploy, job_watch
from fairlead.cli.deployment import Progress as Stages
from fairlead.cli.deployment import connected
from fairlead.cli.model_options import Workspace
from fairlead.cli.output import AsJson, Output, Quiet
from fairlead.cli.pairs import labels
from fairlead.cli.wishes import check_models, environment_of, is_bundle_folder, models_of
from fairlead.client.transport import Transport
from fairlead.errors import UsageError
from fairlead.sdk import batching
from fairlead.sdk.batch_data import Data
from fairlead.sdk.batching import BatchWish
from fairlead.sdk.deploying import Source

app = typer.Typer(help="Score files, tables and folders with a model, on one machine or many.", no_args_is_help=True, rich_markup_mode=None)

What = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="MODEL [FILE]",
        help="A registered model, a model's file (registered first), or a bundle; none for a --script that needs none. Then further inputs, as a shell "
        "makes them of `--in *.parquet`.",
        show_default=False,
    ),
]
In = Annotated[
    list[str] | None, typer.Option("--in", "-i", metavar="PATH|URL", help="File, folder, glob, URL, dataset:NAME or datastore:NAME/PATH; repeat it.")
]
Out = Annotated[str | None, typer.Option("--out", "-o", metavar="PATH|URL", help="Folder for the answers; default: the server keeps them.")]
Engine = Annotated[str, typer.Option(metavar="local|ray|spark", help="Who runs the pieces: processes of the server's machine, Ray or Spark.")]
EngineOption = Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="Of that engine: address=auto, master=spark://host:7077.")]
MiniBatch = Annotated[str | None, typer.Option(metavar="SIZE", help="What one run() gets: 10MB, 10000rows or 5files.")]
Columns = Annotated[str | None, typer.Option(metavar="A,B", help="Columns that are read; default: all.")]
Keep = Annotated[str | None, typer.Option(metavar="A,B", help="Input columns that stand beside the answers.")]
Format = Annotated[str | None, typer.Option("--format", metavar="parquet|csv|jsonl|text", help="Of the answers.", show_default="parquet")]
InputFormat = Annotated[str | None, typer.Option(metavar="parquet|csv|tsv|jsonl|arrow|arff|files", help="Of the inputs.", show_default="by the names' endings")]
InputOption = Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="Of that format: delimiter=; or nulls=NA.")]
Method = Annotated[str | None, typer.Option(help="Of a model without a script: predict_proba, …")]
Script = Annotated[Path | None, typer.Option(help="Batch script, with init() and run(mini_batch).")]
RealtimeScript = Annotated[Path | None, typer.Option("--realtime-script", "-f", help="score.py of a service, with run(data); it is given tables.")]
SourceDir = Annotated[Path | None, typer.Option(help="Folder of the script that ships with it.")]
Argument = Annotated[list[str] | None, typer.Option("--argument", metavar="TEXT", help="Argument of the script; may be repeated.")]
Processes = Annotated[int | None, typer.Option(min=1, help="Per node; default: one per core, or per GPU.")]
Nodes = Annotated[int | None, typer.Option(min=1, help="How many nodes.")]
Compute = Annotated[str | None, typer.Option(metavar="NAME", help="A compute pool, which says nodes and priority.")]
PartitionBy = Annotated[str | None, typer.Option(metavar="A,B", help="Columns that become folders of the output.")]
PartitionKeys = Annotated[str | None, typer.Option(metavar="A,B", help="Columns by whose values rows are grouped: one run() gets one group.")]
Table = Annotated[str | None, typer.Option(help="With --out a database: the table that rows are added to.")]
AppendRow = Annotated[str | None, typer.Option(metavar="FILE", help="All answers in one text file of this name, in the order of the inputs.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Remove first what another job wrote into the output.")]
SummaryOnly = Annotated[bool, typer.Option("--summary-only", help="The script writes its own files; items are only counted.")]
Threshold = Annotated[int, typer.Option(min=-1, help="How many rows or files may fail; -1: any number.")]
FailedCount = Annotated[int | None, typer.Option("--allowed-failed-count", min=-1, help="The same, as a second bound.")]
FailedPercent = Annotated[float | None, typer.Option("--allowed-failed-percent", min=0, max=100, help="The same, of all.")]
MaxTry = Annotated[int, typer.Option(min=1, help="How often a mini-batch is tried.")]
Timeout = Annotated[float, typer.Option(min=0.001, help="Seconds for one run().")]
Credentials = Annotated[str | None, typer.Option(metavar="SECRET", help="Secret of the workspace that opens inputs and output; see `fairlead secret`.")]
OutCredentials = Annotated[str | None, typer.Option(metavar="SECRET", help="The output's, where it is another.")]
Query = Annotated[str | None, typer.Option(metavar="SQL", help="Rows of a database, with --database.")]
Database = Annotated[
    str | None,
    typer.Option(metavar="URL|datastore:NAME", help="postgresql://host/name, sqlite:///path or a datastore; the password is a secret (--credentials)."),
]
Dataset = Annotated[list[str] | None, typer.Option(metavar="NAME[:VERSION]", help="A registered data set; may be repeated.")]
Timestamp = Annotated[str | None, typer.Option(metavar="COLUMN", help="With --after or --before: the column that they look at.")]
After = Annotated[str | None, typer.Option(metavar="TIME", help="Only rows from this time on, such as 2026-01-31.")]
Before = Annotated[str | None, typer.Option(metavar="TIME", help="Only rows before this time.")]
SideInput = Annotated[list[str] | None, typer.Option(metavar="NAME=PATH|URL", help="Fetched before init(); the script finds its path.")]
Name = Annotated[str | None, typer.Option("--name", "-n", "-j", "--job", help="The job's name; default: the time.")]
LogLevel = Annotated[str | None, typer.Option(metavar="LEVEL", help="DEBUG, INFO, WARNING or ERROR.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Return when the server has taken it on.")]


@app.callback()
def batch() -> None:
    """Score files, tables and folders with a model, on one machine or many."""


@app.command()
def run(
    what: What = None,
    in_: In = None,
    out: Out = None,
    engine: Engine = "local",
    engine_option: EngineOption = None,
    mini_batch: MiniBatch = None,
    columns: Columns = None,
    keep: Keep = None,
    format_: Format = None,
    input_format: InputFormat = None,
    input_option: InputOption = None,
    method: Method = None,
    script: Script = None,
    realtime_script: RealtimeScript = None,
    source_dir: SourceDir = None,
    argument: Argument = None,
    requirements: deploy.Requirements = None,
    conda: deploy.Conda = None,
    environment: deploy.Environment = None,
    processes: Processes = None,
    nodes: Nodes = None,
    compute: Compute = None,
    partition_by: PartitionBy = None,
    partition_keys: PartitionKeys = None,
    table: Table = None,
    append_row: AppendRow = None,
    summary_only: SummaryOnly = False,
    overwrite: Overwrite = False,
    error_threshold: Threshold = 0,
    allowed_failed_count: FailedCount = None,
    allowed_failed_percent: FailedPercent = None,
    max_try: MaxTry = 3,
    timeout: Timeout = 60.0,
    credentials: Credentials = None,
    out_credentials: OutCredentials = None,
    query: Query = None,
    database: Database = None,
    dataset: Dataset = None,
    timestamp: Timestamp = None,
    after: After = None,
    before: Before = None,
    side_input: SideInput = None,
    env: deploy.Env = None,
    secret: deploy.Secret = None,
    name: Name = None,
    tag: deploy.Tag = None,
    description: deploy.Description = None,
    log_level: LogLevel = None,
    no_wait: NoWait = False,
    workspace: Workspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Score files with a model: rows in, answers out, each row once. The job goes on when this command ends.

    \b
    fairlead batch run churn:3 --in data/*.parquet --out scores/
    fairlead batch run churn.pkl --in s3://bucket/rows/ --credentials lake --keep id --method predict_proba
    fairlead batch run digits:1 --in images/ --script batch.py --mini-batch 5files --append-row results.txt
    """
    asked = dict(locals())
    output = Output(as_json=as_json, quiet=quiet)
    model, *more = what or [""]
    inputs = [*(in_ or ()), *more]
    if model:
        check_models([model])
    elif script is None and realtime_script is None:
        raise UsageError("Which model? Name it first: `fairlead batch run churn:3 --in FILES`. A --script that needs no model goes without.")
    wish = _wish(asked, inputs)
    stages = Stages(output)
    with connected(stages, workspace) as transport:
        with stages.stage("uploading"):
            job = batching.start(transport, BatchWish(**{**vars(wish), **_scorer(transport, model, wish, output)}), say=output.say)
        if no_wait:
            show = f"fairlead job show {job.name} --wait"
            output.result(job, short=job.name, lines=[("job", job.name), ("state", job.state.value), ("output", job.output_url), ("follow", show)])
            return
        done = job_watch.wait(transport, job, output)
        job_watch.show_end(done, output)


def _wish(asked: Mapping[str, Any], inputs: Sequence[str]) -> BatchWish:
    return BatchWish(
        source=_source(asked),
        batch_script=asked["realtime_script"] is None,
        environment=environment_of(asked),
        data=_data(asked, inputs),
        side_inputs={name: Data(places=[place], credentials=asked["credentials"]) for name, place in labels(asked["side_input"], "--side-input").items()},
        size=asked["mini_batch"],
        place=asked["out"],
        place_credentials=asked["out_credentials"] or asked["credentials"],
        output=_output(asked),
        settings=_settings(asked),
    )


def _scorer(transport: Transport, model: str, wish: BatchWish, output: Output) -> dict[str, Any]:
    if model and is_bundle_folder(model):
        return {"bundle": Path(model)}
    return {"models": models_of(transport, [model] if model else [], output.say, needs_flavor=wish.source is None)}


def _source(asked: Mapping[str, Any]) -> Source | None:
    script, realtime, folder = asked["script"], asked["realtime_script"], asked["source_dir"]
    if script is not None and realtime is not None:
        raise UsageError("--script and --realtime-script: a job has one script.")
    chosen = script or realtime
    if chosen is None and folder is not None:
        raise UsageError("--source-dir is the folder of a script; give --script too.")
    return None if chosen is None else Source(script=_inside(chosen, folder), folder=folder)


def _inside(script: Path, folder: Path | None) -> Path:
    """The script as a path from here; it may be named from its folder."""
    return folder / script if folder is not None and not script.exists() else script


def _data(asked: Mapping[str, Any], inputs: Sequence[str]) -> list[Data]:
    words = {
        "format": asked["input_format"],
        "options": options_of(asked["input_option"], "--input-option") or None,
        "columns": listed(asked["columns"]),
        "timestamp": asked["timestamp"],
        "after": asked["after"],
        "before": asked["before"],
    }
    given = {name: value for name, value in words.items() if value is not None}
    if (asked["query"] is None) != (asked["database"] is None):
        raise UsageError("--query and --database belong together: which rows, and of which database.")
    found = []
    if asked["database"] is not None:
        found.append(Data(words={**given, "database": asked["database"], "query": asked["query"]}, credentials=asked["credentials"]))
    places = [*inputs, *(f"dataset:{each}" for each in asked["dataset"] or ())]
    if places:
        found.append(Data(places=places, words=given, credentials=asked["credentials"]))
    if not found:
        raise UsageError("What is to be scored? Name files, a folder or a URL: `--in data/*.parquet`; or --dataset, or --query with --database.")
    return found


def _output(asked: Mapping[str, Any]) -> dict[str, Any]:
    if asked["append_row"] and asked["summary_only"]:
        raise UsageError("--append-row and --summary-only: say one, or neither.")
    action = "append_row" if asked["append_row"] else "summary_only" if asked["summary_only"] else None
    said = {
        "format": asked["format_"] or ("text" if asked["append_row"] else None),
        "action": action,
        "file_name": asked["append_row"],
        "keep": listed(asked["keep"]),
        "partition_by": listed(asked["partition_by"]),
        "table": asked["table"],
        "overwrite": asked["overwrite"] or None,
    }
    return {name: value for name, value in said.items() if value is not None}


def _settings(asked: Mapping[str, Any]) -> dict[str, Any]:
    limits = {
        "error_threshold": asked["error_threshold"],
        "allowed_failed_count": asked["allowed_failed_count"],
        "allowed_failed_percent": asked["allowed_failed_percent"],
        "run_max_try": asked["max_try"],
        "run_invocation_timeout": asked["timeout"],
    }
    engine = {
        "name": asked["engine"],
        "nodes": asked["nodes"],
        "processes": asked["processes"],
        "options": options_of(asked["engine_option"], "--engine-option") or None,
        "pool": asked["compute"],
    }
    said = {
        "name": asked["name"],
        "method": asked["method"],
        "partition_keys": listed(asked["partition_keys"]),
        "limits": {name: value for name, value in limits.items() if value is not None},
        "engine": {name: value for name, value in engine.items() if value is not None},
        "arguments": asked["argument"],
        "variables": labels(asked["env"], "--env") or None,
        "secrets": asked["secret"],
        "log_level": asked["log_level"] and asked["log_level"].upper(),
        "tags": labels(asked["tag"], "--tag") or None,
        "description": asked["description"],
    }
    return {name: value for name, value in said.items() if value is not None}


def listed(said: str | None) -> list[str] | None:
    """`a,b`."""
    return None if said is None else [each.strip() for each in said.split(",") if each.strip()]


def options_of(said: Sequence[str] | None, option: str) -> dict[str, Any]:
    """KEY=VALUE, where a value that is JSON is taken as that: header=false, nulls=["", "NA"]."""
    return {name: _value(text) for name, text in labels(said, option).items()}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
