"""Paths that the client asks for: a name is one part of them, whatever somebody typed."""

from __future__ import annotations

import pytest

from fairlead.client.transport import Transport
from fairlead.errors import UsageError


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/", "../../v1/tokens"])
def test_what_would_lead_elsewhere_is_refused(name: str) -> None:
    with Transport("http://127.0.0.1:9", "token", "default") as transport, pytest.raises(UsageError, match="cannot be a name"):
        transport.path("secrets", name)


def test_other_characters_are_quoted() -> None:
    with Transport("http://127.0.0.1:9", "token", "default") as transport:
        assert transport.path("models", "a b?c#d%2F..") == "/v1/workspaces/default/models/a%20b%3Fc%23d%252F.."
