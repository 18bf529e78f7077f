"""ETag and If-Match: nobody changes what they have not seen."""

from __future__ import annotations

from typing import Annotated, Protocol

from fastapi import Header, Response

from fairlead.errors import Changed

IfMatch = Annotated[str | None, Header(alias="if-match", max_length=200, description="The ETag that the caller last saw.")]


class Tagged(Protocol):
    @property
    def etag(self) -> int: ...


def show_tag(response: Response, row: Tagged) -> None:
    response.headers["etag"] = f'"{row.etag}"'


def check_tag(asked: str | None, row: Tagged, what: str) -> None:
    """Raises Changed unless the caller's tag is the row's, or none was sent."""
    if asked is None or asked.strip() == "*":
        return
    if f'"{row.etag}"' not in [each.strip().removeprefix("W/") for each in asked.split(",")]:
        raise Changed(f"{what} has changed since you read it (it is at {row.etag} now); read it again, then repeat the change.")
