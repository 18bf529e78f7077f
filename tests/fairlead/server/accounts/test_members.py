"""Roles in a workspace: given, changed, taken; one owner stays."""

from __future__ import annotations

import threading

import pytest

from fairlead.client import access
from fairlead.client.transport import Transport
from fairlead.errors import Conflict, FairleadError, Forbidden, NotFound, Unauthenticated, UsageError
from fairlead.schemas.access import MemberChange
from tests.fairlead.server.accounts.people import speaking_as, token_for, with_token


def members(transport: Transport) -> dict[str, str]:
    return {each.principal: each.role for each in access.list_members(transport)}


def test_members_are_added_changed_and_removed(owner: Transport) -> None:
    me = access.show_me(owner).principal
    assert access.set_member(owner, "ann@example.org", MemberChange(role="reader")).kind == "person"
    access.set_member(owner, "robot", MemberChange(role="contributor", kind="program"))
    assert members(owner) == {me: "owner", "ann@example.org": "reader", "robot": "contributor"}
    access.set_member(owner, "robot", MemberChange(role="owner"))
    access.remove_member(owner, "ann@example.org")
    assert members(owner) == {me: "owner", "robot": "owner"}
    with pytest.raises(NotFound, match="no member"):
        access.remove_member(owner, "ann@example.org")
    with pytest.raises(NotFound, match="no member"):
        access.remove_member(owner, "nobody-ever")


def test_a_role_is_in_force_at_once(owner: Transport) -> None:
    with speaking_as(owner, "bo", "owner") as bo:
        access.set_member(bo, "cy", MemberChange(role="reader"))
        access.set_member(owner, "bo", MemberChange(role="contributor"))
        with pytest.raises(Forbidden, match=r"is contributor of the workspace .* needs the role owner"):
            access.set_member(bo, "cy", MemberChange(role="owner"))
        access.remove_member(owner, "bo")
        with pytest.raises(Unauthenticated, match="revoked"):
            access.list_members(bo).__next__()


def test_coming_back_does_not_bring_old_tokens_back(owner: Transport) -> None:
    token = token_for(owner, "dee", "owner").token
    access.remove_member(owner, "dee")
    access.set_member(owner, "dee", MemberChange(role="owner"))
    with with_token(owner, token) as dee, pytest.raises(Unauthenticated):
        access.show_me(dee)


def test_the_last_owner_stays_one(owner: Transport) -> None:
    me = access.show_me(owner).principal
    for attempt in (
        lambda: access.set_member(owner, me, MemberChange(role="reader")),
        lambda: access.remove_member(owner, me),
        lambda: token_for(owner, me, "reader"),
    ):
        with pytest.raises(Conflict, match="last owner"):
            attempt()
    assert members(owner) == {me: "owner"}
    assert list(access.list_tokens(owner)) == [], "what was refused has left nothing"


def test_two_owners_cannot_remove_each_other_at_once(owner: Transport) -> None:
    """The one who comes second finds no other owner."""
    me = access.show_me(owner).principal
    with speaking_as(owner, "one", "owner") as one, speaking_as(owner, "two", "owner") as two:
        access.remove_member(one, me)
        outcomes: list[str] = []

        def remove(caller: Transport, other: str) -> None:
            try:
                access.remove_member(caller, other)
                outcomes.append("removed")
            except FairleadError as error:
                outcomes.append(type(error).__name__)

        threads = [threading.Thread(target=remove, args=pair) for pair in ((one, "two"), (two, "one"))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert outcomes.count("removed") == 1
    assert list(members(owner).values()) == ["owner"]


@pytest.mark.parametrize(("name", "role"), [(".hidden", "reader"), ("a b", "reader"), ("x" * 128, "reader"), ("ann", "king"), ("ann", None)])
def test_a_member_that_makes_no_sense_is_refused(owner: Transport, name: str, role: str | None) -> None:
    before = members(owner)
    with pytest.raises(UsageError):
        owner.request("PUT", owner.path("members", name), json={"role": role})
    assert members(owner) == before
