"""How commands say which service: its name, `-n NAME`, `-i ID`, and the word `realtime` before it, as the first generation had it."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from fairlead.client import services
from fairlead.client.transport import Transport
from fairlead.errors import NotFound, UsageError

Words = Annotated[list[str] | None, typer.Argument(metavar="[realtime] [SERVICE]", help="The service's name.", show_default=False)]
Name = Annotated[str | None, typer.Option("-n", "--name", help="The service's name.")]
Id = Annotated[str | None, typer.Option("-i", "--id", help="The service's id, or its name.")]
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def kind_of(words: list[str] | None) -> list[str]:
    """The words without `realtime`. Raises UsageError for `batch`."""
    left = list(words or ())
    if left[:1] == ["batch"]:
        raise UsageError("This command is for realtime services; of a batch service there are create, run, list, show, delete, and its jobs.")
    return left[1:] if left[:1] == ["realtime"] else left


def said_name(words: list[str] | None, name: str | None, identity: str | None) -> str:
    """What was said, once. Raises UsageError."""
    said = [*kind_of(words), *(each for each in (name, identity) if each)]
    if not said:
        raise UsageError("Which service? Give its name; `fairlead service list` shows those there are.")
    if len(set(said)) > 1:
        raise UsageError(f"One service at a time: {', '.join(said)} are {len(said)}.")
    return said[0]


def find(transport: Transport, words: list[str] | None, name: str | None, identity: str | None) -> str:
    """The name of the service that is meant; an id is looked up. Raises NotFound."""
    said = said_name(words, name, identity)
    if not _ID.fullmatch(said):
        return said
    found = next((each.name for each in services.list_services(transport) if each.id == said), None)
    if found is None:
        raise NotFound(f"There is no service with the id {said}; `fairlead service list --json` shows ids.")
    return found
