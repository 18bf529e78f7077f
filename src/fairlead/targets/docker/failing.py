"""Why a container does not serve: from the runtime's report, how the container ended, and its last lines."""

from __future__ import annotations

import json
from typing import Any

from fairlead.errors import FairleadError, NotFound
from fairlead.targets.docker import faults, inputs, merging
from fairlead.targets.docker.blueprint import REPORT
from fairlead.targets.docker.engine import Ending, Engine
from fairlead.targets.types import LAST_LINES, Failure, Service

SIGKILLED = 137
NOT_FOUND, NOT_EXECUTABLE = 127, 126
MEBI = 1024 * 1024


def of_container(engine: Engine, container: str, service: Service) -> Failure:
    """Of one that has ended, or never began."""
    try:
        ending = engine.ending(container)
    except NotFound:
        return Failure(stage="starting", cause="killed", message="The container was removed while it started: somebody did that by hand.")
    report = inputs.report_in(engine.get(container, REPORT))
    stage, cause, message = _why(ending, report, service)
    return Failure(stage=stage, cause=cause, message=message, log_lines=_last_words(engine, container, report))


def of_error(error: FairleadError) -> Failure:
    """What the engine said to an order."""
    return Failure(stage="starting", cause=faults.cause_of(error), message=str(error))


def sentence(failure: Failure) -> str:
    """As a line of the log."""
    return json.dumps({"level": "error", "source": "target", "message": failure.message, "cause": failure.cause})


def _last_words(engine: Engine, container: str, report: dict[str, Any]) -> tuple[str, ...]:
    """What the script printed, and how it failed; all of the log where that is nothing. The runtime's report has no prints: its log goes to the engine."""
    log = merging.last_lines(engine, container, LAST_LINES)
    printed = [text for line in log for text in _said_by_worker(line)]
    reported = [line for line in report.get("log_lines", ()) if line not in printed]
    return tuple([*printed, *reported] or log)[-LAST_LINES:]


def _said_by_worker(line: str) -> list[str]:
    try:
        said = json.loads(line)
    except ValueError:
        return []
    is_of_worker = isinstance(said, dict) and "worker" in said and said.get("source") != "supervisor"
    return str(said.get("message", "")).splitlines() if is_of_worker else []


def _why(ending: Ending, report: dict[str, Any], service: Service) -> tuple[str, str, str]:
    """Stage, cause and message."""
    said_why = report.get("outcome") == "failed"
    if ending.is_out_of_memory and (not said_why or report.get("cause") in ("killed", "worker-ended")):
        return "starting", "out-of-memory", _out_of_memory(service)
    if said_why:
        return report["stage"], report["cause"], report["message"]
    if ending.error:
        fault = faults.of_answer("", "start the container", 500, ending.error)
        return "starting", faults.cause_of(fault), str(fault)
    if ending.code in (NOT_FOUND, NOT_EXECUTABLE):
        return "starting", "image-unusable", "The image has no runtime where Fairlead's images have it; make it with `fairlead package`."
    if ending.code == SIGKILLED:
        return "starting", "killed", "The container was killed while it started: somebody did, or memory of its machine ran out."
    return "starting", "front-failed", f"The container ended with exit code {ending.code} while it started; its last words are in log_lines."


def _out_of_memory(service: Service) -> str:
    limit = service.resources.memory
    if limit is None:
        return "It needed more memory than the engine's machine has left. Give it a machine with more, or load less."
    each = f" with {service.workers} workers" if service.workers > 1 else ""
    return f"It needed more memory than its limit of {limit / MEBI:.0f} MiB{each}. Raise the memory of the service, or load less."
