"""`/v1/workspaces/{workspace}/compute`."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Response

from fairlead.schemas.compute import NewPool, Pool, PoolChange, PoolName, PoolUse
from fairlead.schemas.wire import Page
from fairlead.server.access import Contributor, Reader
from fairlead.server.compute import pools, uses
from fairlead.server.conditional import IfMatch, show_tag
from fairlead.server.once import Repeatable
from fairlead.server.paging import Pages
from fairlead.server.routing import Router
from fairlead.server.sessions import Reading, Writing

router = Router(prefix="/v1/workspaces/{workspace}/compute", tags=["compute"])
Name = Annotated[PoolName, Path(description="Of a pool; case does not count.")]


@router.get("")
def list_pools(access: Reader, session: Reading, pages: Pages) -> Page[Pool]:
    """Pools, by name, with the nodes that they have now."""
    return pools.list_pools(session, access.workspace_id, pages)


@router.post("", status_code=201, response_model=Pool)
def create_pool(access: Contributor, session: Writing, body: NewPool, once: Repeatable) -> Response:
    """A new pool; it has its least number of nodes until a job comes."""
    return once.answer(session, access, body, lambda: pools.create(session, access, body))


@router.get("/{name}")
def show_pool(access: Reader, session: Reading, name: Name, response: Response) -> Pool:
    """One pool, with the nodes that it has now."""
    row = pools.pool_named(session, access.workspace_id, name)
    show_tag(response, row)
    return pools.show(session, row)


@router.patch("/{name}")
def change_pool(access: Contributor, session: Writing, name: Name, body: PoolChange, response: Response, if_match: IfMatch = None) -> Pool:
    """Its limits and options; jobs that run keep what they have."""
    row = pools.pool_named(session, access.workspace_id, name, lock=True)
    changed = pools.change(session, access, row, body, if_match)
    show_tag(response, row)
    return changed


@router.delete("/{name}", status_code=204)
def delete_pool(access: Contributor, session: Writing, name: Name, if_match: IfMatch = None) -> None:
    """Refused while a job has nodes of it."""
    pools.delete(session, access, pools.pool_named(session, access.workspace_id, name, lock=True), if_match)


@router.get("/{name}/uses")
def list_pool_uses(access: Reader, session: Reading, pages: Pages, name: Name) -> Page[PoolUse]:
    """Jobs that have nodes of it, or had; newest first."""
    return uses.list_uses(session, pools.pool_named(session, access.workspace_id, name).id, pages)
