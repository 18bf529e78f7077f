"""What a service's own words, or what it left behind, say of its state."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from fairlead.targets.local.place import Kept, Place
from fairlead.targets.types import LAST_LINES, Failure, Observation, State

ENDING = "It answers what it has in hand, and ends."
STATES = {"starting": State.STARTING, "running": State.RUNNING, "updating": State.UPDATING, "unhealthy": State.UNHEALTHY, "stopping": State.UPDATING}


def of_status(kept: Kept, status: dict[str, Any]) -> Observation:
    last = status["last"]
    is_newest = kept.generation <= last["generation"]
    failure = _failure(last, ()) if last["outcome"] == "failed" and is_newest else None
    state = STATES[status["state"]]
    if state is State.RUNNING and not is_newest:
        state = State.UPDATING  # it is written down; the order to read it is on its way
    return Observation(
        state=state,
        endpoint=kept.endpoint,
        revision=status["revision"],
        generation=last["generation"] if last["outcome"] != "trying" else status["generation"] or 0,
        message=_message(status, failure),
        failure=failure,
        workers_ready=status["workers"]["ready"],
        workers_wanted=kept.workers,
    )


def _message(status: dict[str, Any], failure: Failure | None) -> str:
    if status["state"] == "stopping":
        return ENDING
    if status["state"] == "unhealthy":
        return str(status["reason"])
    return f"Revision {status['revision']} goes on serving; the update failed: {failure.message}" if failure else ""


def of_silence(kept: Kept, place: Place) -> Observation:
    """Nobody answers: it is about to, or it has ended, and its report says how."""
    report = place.last_report
    seen = Observation(state=State.STOPPED, endpoint=kept.endpoint, generation=report.get("generation", 0), workers_wanted=kept.workers)
    if place.is_running:
        return _mute(seen, kept, report)
    if not kept.is_wanted:
        return replace(seen, workers_wanted=0)
    if report.get("outcome") == "ok":
        return replace(seen, message="It has served and nobody ended it: it was killed, or the machine was restarted.")
    failure = _failure(report, _last_lines(place.output)) if report.get("outcome") == "failed" else _killed(place)
    return replace(seen, state=State.FAILED, generation=max(seen.generation, kept.generation), message=failure.message, failure=failure)


def _mute(seen: Observation, kept: Kept, report: dict[str, Any]) -> Observation:
    if not kept.is_wanted:
        return replace(seen, state=State.UPDATING, message=ENDING)
    if report.get("outcome") == "ok":
        return replace(seen, state=State.UNHEALTHY, message="Its supervisor runs and does not answer: it has been stopped, or the machine is overloaded.")
    return replace(seen, state=State.UPDATING if report.get("serial", 1) > 1 else State.STARTING)  # a large bundle is being read


def _failure(last: dict[str, Any], otherwise: tuple[str, ...]) -> Failure:
    return Failure(stage=last["stage"], cause=last["cause"], message=last["message"], log_lines=tuple(last["log_lines"][-LAST_LINES:]) or otherwise)


def _killed(place: Place) -> Failure:
    lines = _last_lines(place.output)
    why = "its last words are in log_lines" if lines else "somebody killed it, or the machine was restarted"
    return Failure(stage="starting", cause="killed", message=f"The service's process ended while it started: {why}.", log_lines=lines)


def _last_lines(path: Path) -> tuple[str, ...]:
    try:
        return tuple(path.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:])
    except OSError:
        return ()
