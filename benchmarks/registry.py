"""The registry with 100,000 versions under 10,000 names: CPU of the control plane for a list, a search, a look at one version, a registration.

python -m benchmarks.registry [--requests 200] [--database-url postgresql://…]

One connection, one request after the other. CPU is user and system time of the server's processes; SQLite works inside them, PostgreSQL
does not, and is not counted. There is no peer: mlflow-skinny brings no store that one could compare with, so these are plain
milliseconds of the machine that the report names, and a machine that does other things meanwhile shows more.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import select

from benchmarks import results
from benchmarks.peers import ROOT
from benchmarks.processes import Tree
from benchmarks.registry_rows import NAMES, VERSIONS, fill
from fairlead.client import models
from fairlead.client.transport import Transport
from fairlead.schemas.models import NewModelVersion
from fairlead.sdk.uploads import upload_tree
from fairlead.server.bootstrap import bootstrap
from fairlead.server.opening import open_database
from fairlead.server.settings import Settings
from fairlead.server.tables.access import WorkspaceRow
from fairlead.stores import tree_of

ROUNDS = 5
REQUESTS = {
    "50 names": "models",
    "50 versions, the newest": "model-versions",
    "versions of one name": "models/model-5/versions",
    "one version": "models/model-5/versions/3",
    "one version by its alias": "models/model-5/versions/@champion",
    "search: tag of one version": "model-versions?tag=BuildId%3D4711",
    "search: tag of 10,000": "model-versions?tag=stage%3Dprod",
    "search: metrics.auc > 0.9 and tags.stage = 'prod'": "model-versions?where=metrics.auc > 0.9 and tags.stage = 'prod'",
    "search: metric that none has": "model-versions?where=metrics.auc > 2",
    "search: the newest of each name, by framework": "model-versions?latest=true&framework=Onnx",
    "search: the 9,000 oldest": "model-versions?where=tags.BuildId < 9000",
    "search: the 50,000 oldest": "model-versions?where=tags.BuildId < 50000",
    "search: names that begin so, 11,110 versions": "model-versions?name=model-9*",
    "search: a tag and a framework, together nowhere": "model-versions?tag=stage%3Dprod&framework=Onnx",
    "search: two metrics of many, together nowhere": "model-versions?where=metrics.auc > 0.5 and metrics.loss < 0.5",
    "search: tag of 10,000, among the oldest third": "model-versions?where=metrics.loss < 4700 and tags.stage = 'prod'",
    "search: tag of 10,000 among the 9,000 oldest": "model-versions?where=tags.BuildId < 9000 and tags.stage = 'prod'",
    "search: the 9,000 oldest, where nothing else holds": "model-versions?where=tags.BuildId < 9000 and metrics.loss > 9000 and metrics.auc >= 0",
    "search: 5 of 100,000, by their size": "model-versions?where=size < 1005",
}


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=200, help="of each kind, in five rounds (200)")
    parser.add_argument("--database-url", default="", help="an empty PostgreSQL database; default: SQLite")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="fairlead-registry-") as folder, running(Path(folder), options.database_url) as (tree, owner):
        acts: dict[str, Callable[[], object]] = {name: _getting(owner, path) for name, path in REQUESTS.items()}
        acts["a registration"] = _registering(owner, Path(folder))
        measured = measure(tree, acts, max(1, options.requests // ROUNDS))
    database = "PostgreSQL" if options.database_url else "SQLite"
    records = [{"database": database, "request": name, **numbers} for name, numbers in measured.items()]
    for each in records:
        print(f"{each['request']:52} {each['cpu_ms']:6.1f} ms CPU  {each['wall_ms']:6.1f} ms", flush=True)
    kept = (results.read("registry") or {"records": []})["records"]
    results.write("registry", [*(each for each in kept if each["database"] != database), *records])


def measure(tree: Tree, acts: dict[str, Callable[[], object]], count: int) -> dict[str, dict[str, float]]:
    """The median over the rounds, in each of which every kind has its turn."""
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in acts}
    for turn in range(-1, ROUNDS):  # the first fills caches
        for name, act in acts.items():
            cpu, wall = tree.cpu_seconds(), time.perf_counter()
            for _ in range(count):
                act()
            taken = (tree.cpu_seconds() - cpu) / count, (time.perf_counter() - wall) / count
            if turn >= 0:
                seen[name].append(taken)
    return {
        name: {"cpu_ms": statistics.median(cpu for cpu, _ in runs) * 1000, "wall_ms": statistics.median(wall for _, wall in runs) * 1000}
        for name, runs in seen.items()
    }


@contextmanager
def running(folder: Path, database_url: str) -> Iterator[tuple[Tree, Transport]]:
    database = open_database(Settings(state_dir=folder / "state", cache_dir=folder / "cache", database_url=database_url))
    bootstrap(database, folder / "state")
    with database.reading() as session:
        workspace = session.scalars(select(WorkspaceRow.id).where(WorkspaceRow.name == "default")).one()
    print(f"writing {VERSIONS:,} versions under {NAMES:,} names …", flush=True)
    fill(database, workspace)
    database.close()
    environment = {**os.environ, "FAIRLEAD_HOME": str(folder)} | ({"FAIRLEAD_DATABASE_URL": database_url} if database_url else {})
    with (folder / "server.log").open("wb") as log:
        tree = Tree([sys.executable, "-m", "fairlead.server"], env=environment, cwd=ROOT, log=log)
    try:
        with Transport(_url(folder / "state" / "server.json"), (folder / "state" / "owner.token").read_text().strip()) as owner:
            yield tree, owner
    finally:
        tree.stop()


def _url(told: Path) -> str:
    give_up = time.monotonic() + 60
    while time.monotonic() < give_up:
        if told.exists():
            return str(json.loads(told.read_text())["url"])
        time.sleep(0.05)
    raise SystemExit("The server did not start within a minute.")


def _getting(owner: Transport, path: str) -> Callable[[], object]:
    return lambda: owner.request("GET", f"{owner.path()}/{path}")


def _registering(owner: Transport, folder: Path) -> Callable[[], object]:
    model = folder / "model.bin"
    model.write_bytes(b"weights")
    tree = upload_tree(owner, tree_of(model), model)
    return lambda: models.register(owner, NewModelVersion(name="model-5", tree=tree, tags={"stage": "trial"}, metrics={"auc": 0.5}))


if __name__ == "__main__":
    main(sys.argv[1:])
