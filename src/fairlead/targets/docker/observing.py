"""What a look at a service's containers says of its state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fairlead.targets.checking import endpoint_of, is_loopback
from fairlead.targets.docker.address import Address
from fairlead.targets.docker.looking import Replica
from fairlead.targets.docker.place import FAILED, TRYING, Kept
from fairlead.targets.types import Observation, Service, State

ENDING = "It answers what it has in hand, and ends."


def of_end(kept: Kept, address: Address, *, is_over: bool) -> Observation:
    """Nobody wants it any more."""
    seen = _blank(kept, address)
    return replace(seen, workers_wanted=0) if is_over else replace(seen, state=State.UPDATING, message=ENDING)


def of_replicas(kept: Kept, replicas: Sequence[Replica], note: str, address: Address) -> Observation:
    seen = _blank(kept, address)
    batch, service = _shown(kept)
    serving = [each for each in replicas if each.batch == batch and each.id not in kept.retired and not each.is_proof]
    ready = [each for each in serving if each.is_ready] if service else []
    seen = replace(
        seen,
        state=_state(kept, is_ready=bool(ready)),
        revision=kept.serving.revision if kept.serving else None,
        failure=kept.failure if kept.outcome == FAILED else None,
        workers_ready=sum(_workers(each, service) for each in ready) if service else 0,
    )
    return replace(seen, message=_message(kept, seen, serving, note))


def of_silence(kept: Kept, why: str, address: Address, *, answers: bool) -> Observation:
    """The engine says nothing. answers: whether what was routed to last does."""
    seen = replace(_blank(kept, address), message=why)
    if not kept.is_wanted:
        return replace(seen, state=State.UPDATING)
    failure = kept.failure if kept.outcome == FAILED else None
    workers = kept.serving.workers * kept.serving.replicas if kept.serving and answers else 0
    return replace(
        seen,
        state=_state(kept, is_ready=answers),
        revision=kept.serving.revision if kept.serving else None,
        failure=failure,
        workers_ready=workers,
    )


def _blank(kept: Kept, address: Address) -> Observation:
    host = kept.wanted.host if address.is_local or is_loopback(kept.wanted.host) else address.hostname
    endpoint = endpoint_of(host, kept.port, tls=kept.wanted.tls is not None)
    return Observation(state=State.STOPPED, endpoint=endpoint, generation=kept.tried, workers_wanted=kept.wanted.workers * kept.wanted.replicas)


def _shown(kept: Kept) -> tuple[int, Service | None]:
    return (kept.serving_batch, kept.serving) if kept.serving else (kept.batch, None)


def _workers(replica: Replica, service: Service) -> int:
    said = replica.probe.workers if replica.probe else None
    return service.workers if said is None else said


def _state(kept: Kept, *, is_ready: bool) -> State:
    if kept.outcome == TRYING:
        return State.UPDATING if kept.serving else State.STARTING
    if kept.serving is None:
        return State.FAILED
    return State.RUNNING if is_ready else State.UNHEALTHY


def _message(kept: Kept, seen: Observation, serving: Sequence[Replica], note: str) -> str:
    if seen.failure is not None:
        return f"Revision {seen.revision} goes on serving; the update failed: {seen.failure.message}" if seen.revision else seen.failure.message
    if seen.state is State.RUNNING and seen.workers_ready >= seen.workers_wanted:
        return ""
    if kept.outcome == TRYING:
        return note
    unwell = next((each.probe.message for each in serving if each.probe and not each.is_ready and each.probe.message), "")
    return kept.trouble or note or unwell or _of_engine(serving)


def _of_engine(serving: Sequence[Replica]) -> str:
    """Such as "Restarting (3) 5 seconds ago"."""
    unwell = [each for each in serving if not each.is_ready]
    return f"The container {unwell[0].found.name}: {unwell[0].found.status}." if unwell else "Its containers are gone; others are on their way."
