"""What an order names, found with its secrets; what cannot be there is said once, and as it is."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from fairlead_scoring.batch.job import Input, Order
from fairlead_scoring.batch.job_places import JobPlaces
from fairlead_scoring.batch.places import Refused, Vanished
from fairlead_scoring.batch.places.retrying import Persistence
from fairlead_scoring.batch.side_inputs import fetch_all


def test_addresses_come_with_secrets_and_never_with_passwords() -> None:
    secrets = {"base": {"user": "me", "password": "a/b@c"}}
    found = JobPlaces(Order("1", "job", "/no"), secrets)(Input(database="postgresql://host/x", query="SELECT 1", credentials="base"))
    assert found.url == "postgresql://me:a%2Fb%40c@host/x"
    for url in ("postgresql://me:hidden@host/x", "postgresql://host/x?user=me&password=hidden", "postgresql://host/x?sslpassword=hidden"):
        with pytest.raises(Refused, match="holds a password") as raised:
            JobPlaces(Order("1", "job", "/no"), {})(Input(database=url, query="SELECT 1"))
        assert "hidden" not in str(raised.value)


def test_a_side_input_that_is_not_there_is_said(tmp_path: Path) -> None:
    assert fetch_all(Order("1", "job", "/no", side_inputs={"here": str(tmp_path)}), {}, "unused", {}) == {"here": str(tmp_path)}
    with pytest.raises(Vanished, match="side input /none/such is not there"):
        fetch_all(Order("1", "job", "/no", side_inputs={"gone": "file:///none/such"}), {}, "unused", {})


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENAMETOOLONG])
def test_what_another_try_would_not_help_is_said_as_it_is(number: int) -> None:
    with pytest.raises(Refused, match=r"/x cannot be written \(.*\). Give another place"):
        Persistence("/x").act_once(lambda: (_ for _ in ()).throw(OSError(number, os.strerror(number))))
