"""D3: 64 callers at once register versions and move an alias; afterwards the history explains everything, and nothing is lost or doubled."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from fairlead.client import models
from fairlead.client.transport import Transport
from fairlead.errors import Conflict
from fairlead.schemas.models import Alias, AliasMove, ModelChange, ModelVersion
from tests.fairlead.server.registry.given import new, registered, small_tree

AT_ONCE = 64


def test_concurrent_registrations_and_alias_moves_lose_nothing(owner: Transport) -> None:
    small_tree(owner)
    start = Barrier(AT_ONCE)

    def register(number: int) -> tuple[int, int]:
        """The version made, and the one that the alias was moved to right after."""
        start.wait()
        made = models.register(owner, new(owner, tags={"caller": str(number)}))
        models.move_alias(owner, f"churn:{made.version}", "champion")
        return number, made.version

    with ThreadPoolExecutor(AT_ONCE) as pool:
        made = dict(pool.map(register, range(AT_ONCE)))
    assert sorted(made.values()) == list(range(1, AT_ONCE + 1))
    there = {int(each.tags["caller"]): each.version for each in models.each_version(owner, "churn")}
    assert there == made
    told = list(reversed(list(models.each_model_event(owner, "churn"))))
    assert [each.number for each in told] == list(range(1, 2 * AT_ONCE + 1))
    assert [each.version for each in told if each.event == "registered"] == list(range(1, AT_ONCE + 1))
    check_alias_history(owner, set(made.values()))
    model = models.show_model(owner, "churn")
    assert (model.versions, model.latest_version) == (AT_ONCE, AT_ONCE)


def check_alias_history(owner: Transport, moved_to: set[int]) -> None:
    """Each move begins where the one before it ended, each happened once, after its version was registered, and the last one holds."""
    moves = list(reversed(list(models.each_alias_event(owner, "churn", "champion"))))
    assert [each.details["to"] for each in moves][-1] == models.show_alias(owner, "churn", "champion").version
    assert sorted(each.details["to"] for each in moves) == sorted(moved_to)
    assert [each.details["from"] for each in moves] == [None, *(each.details["to"] for each in moves[:-1])]
    registrations = {each.version: each.number for each in models.each_model_event(owner, "churn") if each.event == "registered"}
    assert all(each.number > registrations[each.details["to"]] for each in moves)
    assert [each.at for each in moves] == sorted(each.at for each in moves)


def test_one_key_sent_by_many_at_once_registers_once(owner: Transport) -> None:
    body = new(owner)
    start = Barrier(8)

    def register(_: int) -> str:
        start.wait()
        try:
            return owner.send(ModelVersion, "POST", owner.path("models"), body=body, headers={"idempotency-key": "one"}).value.id
        except Conflict:  # the key was in use at this moment: sending it again gets the answer
            return owner.send(ModelVersion, "POST", owner.path("models"), body=body, headers={"idempotency-key": "one"}).value.id

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(register, range(8)))) == 1
    assert models.show_model(owner, "churn").versions == 1


@pytest.mark.parametrize("round_", range(3))
def test_changes_and_deletions_at_once_leave_a_whole_registry(owner: Transport, round_: int) -> None:
    """Each act succeeds, or is refused in a sentence; no request waits for another for ever."""
    for _ in range(8):
        registered(owner)
    start = Barrier(24)

    def act(number: int) -> None:
        start.wait()
        version = number % 8 + 1
        if number < 8:
            models.change_version(owner, f"churn:{version}", ModelChange(tags={f"t{number}": "1"}, archived=version % 2 == 0))
        elif number < 16:
            owner.send(Alias, "PUT", owner.path("models", "churn", "aliases", f"a{version}"), body=AliasMove(version=version))
        else:
            registered(owner, "other" if number % 2 else "churn", tags={"n": str(number)})

    with ThreadPoolExecutor(24) as pool:
        list(pool.map(act, range(24)))
    told = list(models.each_model_event(owner, "churn"))
    assert [each.number for each in told] == list(range(len(told), 0, -1))
    model = models.show_model(owner, "churn")
    assert (model.versions, len(model.aliases)) == (12, 8)
    usable = [each.version for each in models.each_version(owner, "churn") if not each.archived]
    assert model.latest_version == max(usable)
