"""Lists that come in pages, and the tags of a repository."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2

from fairlead.errors import UsageError
from fairlead.images.registry.answers import Answer
from fairlead.images.registry.connection import Asked, Connection
from fairlead.images.registry.pulling import pull_scope
from fairlead.images.registry.references import Reference

_PAGE = 1000
_MOST_PAGES = 1000


def list_tags(connection: Connection, reference: Reference) -> Iterator[str]:
    """In the registry's order; none for a repository that is not there."""
    url: str | None = f"/v2/{reference.repository}/tags/list?n={_PAGE}"
    for _ in range(_MOST_PAGES):
        answer = connection.ask(Asked(method="GET", url=str(url), scopes=pull_scope(reference.repository)), 200, 404)
        tags = answer.json().get("tags") or [] if answer.status == 200 else []
        if not isinstance(tags, list):
            raise UsageError(f"The registry {connection.host} gave no list of tags for {reference.name}; look at the address.")
        yield from (str(tag) for tag in tags)
        url = next_page(answer)
        if url is None:
            return


def next_page(answer: Answer) -> str | None:
    """The address in its Link header (RFC 8288); None at the end."""
    link = httpx2.Response(200, headers=answer.headers).links.get("next", {}).get("url")
    return str(answer.url.join(link)) if link else None
