"""Watching a deployment until it is decided: which stage, for how long, and why it failed if it did."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fairlead.client import services
from fairlead.client.transport import Transport
from fairlead.errors import BootFailure, Unavailable
from fairlead.schemas.services import Failure, Service, ServiceState, Stage

STAGES: dict[str, str] = {
    Stage.PACKAGING: "packaging",
    Stage.ENVIRONMENT: "building environment",
    Stage.IMAGE: "building image",
    Stage.STARTING: "starting",
    Stage.PROVING: "proving",
    Stage.RUNNING: "running",
}


@dataclass(frozen=True, kw_only=True)
class Step:
    """A stage that has begun (`seconds` None) or is over."""

    stage: Stage
    seconds: float | None = None

    @property
    def name(self) -> str:
        return STAGES[self.stage]

    def show(self) -> None:
        """For a person who watches a program."""
        print(f"{self.name} ... " if self.seconds is None else f"{self.seconds:.1f} s\n", end="", flush=True)


def follow(transport: Transport, name: str, *, timeout: float | None = None) -> Iterator[Step | Service]:
    """Each step as it begins and ends, and last the service as it is when all is decided.

    Raises BootFailure (facts: stage, cause, log_lines) when the revision that is wanted does not come to serve, Unavailable when time is up; the
    deployment goes on then.
    """
    since = time.monotonic()
    stage: Stage | None = None
    service: Service | None = None
    for service in services.changes(transport, name, timeout=timeout):
        now = time.monotonic()
        if service.stage not in (stage, Stage.RUNNING) and not service.is_settled:
            yield from _turn(stage, service.stage, now - since)
            stage, since = service.stage, now
    if service is None or not service.is_settled:
        doing = STAGES[stage] if stage is not None else "on its way"
        raise Unavailable(f"{name} is still {doing} after {timeout or 0:g} s, and goes on. Look again with `fairlead service show {name} --wait`.")
    _refuse_failed(service)
    yield from _turn(stage, None, time.monotonic() - since)
    yield service


def error_of(service: Service, failure: Failure) -> BootFailure:
    """One sentence; stage, cause and log lines are its facts."""
    goes_on = f" Revision {service.revision} goes on serving." if service.revision is not None and service.state != ServiceState.FAILED else ""
    message = failure.message if failure.message.endswith((".", "!", "?")) else f"{failure.message}."
    said = f"{service.name} failed while {STAGES.get(failure.stage, failure.stage)}: {message}{goes_on}"
    return BootFailure(said, service=service.name, stage=failure.stage, cause=failure.cause, log_lines=list(failure.log_lines))


def failure_facts(failure: Failure | None) -> dict[str, Any] | None:
    """In the words of Azure ML: code (the cause), message, stage, logs."""
    if failure is None:
        return None
    return {"code": failure.cause, "message": failure.message, "stage": failure.stage, "logs": list(failure.log_lines)}


def _refuse_failed(service: Service) -> None:
    if service.update_error is not None:
        raise error_of(service, service.update_error)
    if service.state is ServiceState.FAILED:
        raise BootFailure(f"{service.name} failed: {service.message or 'no reason was recorded.'}", service=service.name)


def _turn(ended: Stage | None, begun: Stage | None, seconds: float) -> Iterator[Step]:
    if ended is not None:
        yield Step(stage=ended, seconds=seconds)
    if begun is not None:
        yield Step(stage=begun)
