"""From the one internal state to the words of Azure ML (E6); DECISIONS 30."""

from __future__ import annotations

from collections.abc import Mapping

from fairlead.schemas.services import ServiceState
from fairlead.targets.types import State

WORDS: Mapping[State, ServiceState] = {
    State.ABSENT: ServiceState.STOPPED,
    State.STARTING: ServiceState.TRANSITIONING,
    State.RUNNING: ServiceState.HEALTHY,
    State.UPDATING: ServiceState.UPDATING,
    State.UNHEALTHY: ServiceState.UNHEALTHY,
    State.FAILED: ServiceState.FAILED,
    State.STOPPED: ServiceState.STOPPED,
}


def states_of(word: ServiceState) -> list[str]:
    """The internal states that the word stands for; none for a word that only clusters have."""
    return [state.value for state, said in WORDS.items() if said is word]
