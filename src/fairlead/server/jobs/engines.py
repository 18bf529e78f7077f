"""Which engine a job runs on: as it says, or as the pool of the workspace that it names."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from fairlead.errors import NotFound
from fairlead.schemas.jobs import EngineWish
from fairlead.server.access import Access
from fairlead.server.compute import pools, uses
from fairlead.server.tables.jobs import JobRow


def resolve(session: Session, access: Access, wish: EngineWish) -> dict[str, Any]:
    """name, nodes, processes, options, and `pool`, as the job keeps them. Raises NotFound, UsageError for more nodes than the pool may have."""
    said = wish.model_dump(mode="json")
    if wish.pool is None:
        return said
    nodes = wish.nodes if "nodes" in wish.model_fields_set else None
    told = pools.engine_of(session, access.workspace_id, wish.pool, nodes=nodes, processes=wish.processes)
    return {**said, **told, "options": {**told["options"], **wish.options}}


def take_nodes(session: Session, job: JobRow) -> bool:
    """From now on the job has nodes of its pool; False: other jobs have them, and it waits. A pool that was deleted holds up nobody."""
    engine = job.wish.get("engine") or {}
    if not engine.get("pool"):
        return True
    try:
        pool = pools.pool_named(session, job.workspace_id, str(engine["pool"]), lock=True)
    except NotFound:
        return True
    nodes = int(engine.get("nodes") or 1)
    if not uses.has_room(session, pool, nodes):
        return False
    uses.begin(session, pool, job.id, job.name, nodes)
    return True
