"""`fairlead service profile`: how fast a service is and what it needs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from fairlead.cli.deployment import credential_of
from fairlead.cli.model_options import Workspace
from fairlead.cli.output import AsJson, Output, Quiet
from fairlead.cli.service_names import Id, Name, Words, find
from fairlead.cli.wishes import requests_of
from fairlead.client import services
from fairlead.client.connection import connect
from fairlead.errors import FairleadError, UsageError
from fairlead.sdk.profiling import Load
from fairlead.sdk.profiling import profile as measure

Requests = Annotated[Path | None, typer.Option("--requests", metavar="FILE", help="Requests, one JSON body per line; default: the service's sample.")]
Seconds = Annotated[float, typer.Option(min=0.1, max=1500, help="How long.")]
Concurrency = Annotated[int, typer.Option(min=1, max=1000, help="Callers at a time.")]
Rate = Annotated[float | None, typer.Option(help="Requests per second; default: as fast as answers come.")]
SHOWN = {
    "requests": "totalQueries",
    "answered": "successQueries",
    "success rate": "successRate",
    "requests/s": "measuredQueriesPerSecond",
    "average ms": "averageLatencyInMs",
    "p50 ms": "latencyPercentile50InMs",
    "p90 ms": "latencyPercentile90InMs",
    "p99 ms": "latencyPercentile99InMs",
    "cores in use": "maxUtilizedCpu",
    "memory, GiB": "maxUtilizedMemoryInGB",
    "workers": "measuredWorkers",
    "recommended": "recommendedWorkers",
    "error": "error",
}


def add_to(app: typer.Typer) -> None:
    app.command()(profile)


def profile(
    words: Words = None,
    name: Name = None,
    identity: Id = None,
    requests: Requests = None,
    seconds: Seconds = 10.0,
    concurrency: Concurrency = 4,
    rate: Rate = None,
    workspace: Workspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Measure a service with sample requests, and recommend workers and memory.

    \b
    fairlead service profile churn --requests requests.jsonl --seconds 30
    """
    output = Output(as_json=as_json, quiet=quiet)
    load = Load(requests=requests_of(requests), seconds=seconds, concurrency=concurrency, rate=rate)
    with connect(workspace=workspace) as transport:
        service = services.show_service(transport, find(transport, words, name, identity))
        if service.scoring_uri is None:
            raise UsageError(f"{service.name} has no address yet: it is {service.state.value}.")
        with output.phase(f"measuring {service.name} for {seconds:g} s"):
            told = measure(service.scoring_uri, credential_of(transport, service), load, name=service.name)
    show_profile(told, output)


def show_profile(told: dict[str, Any], output: Output) -> None:
    """Raises FairleadError when no request was answered."""
    lines = [(label, told[key]) for label, key in SHOWN.items() if key != "recommendedWorkers"]
    advice = f"{told['recommendedWorkers']} workers, {told['recommendedMemoryInGB']:g} GiB for those that ran"
    output.result(told, short=str(told["measuredQueriesPerSecond"]), lines=[*lines, ("recommended", advice)])
    if told["state"] == "Failed":
        raise FairleadError(f"{told['name']} answered no request of {told['totalQueries']}: {told['error']}.")
