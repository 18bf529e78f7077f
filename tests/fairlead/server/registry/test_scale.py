"""100,000 versions under 10,000 names: each list, search and show is three statements at most, who asks included, and no plan reads a table whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from sqlalchemy import event, select

from benchmarks.registry_rows import NAMES, VERSIONS, fill
from fairlead.server import app
from fairlead.server.context import Context
from fairlead.server.opening import open_context
from fairlead.server.settings import Settings
from fairlead.server.tables.access import WorkspaceRow
from tests.postgresql import PostgreSQL

LARGE = ("models", "model_versions", "model_labels", "model_metrics", "model_aliases")
MOST_THROWN_AWAY = 20_000  # rows that PostgreSQL reads and does not use: an index that is read from end to end is a table read whole, too
MOST_STEPS = 500  # thousands of instructions of SQLite's machine; a search that looks at all versions takes 1,200 and more
SEARCHES = {
    "tag": "tag=stage",
    "tag of many": "tag=stage%3Dtrial",
    "tag of one": "tag=BuildId%3D4711",
    "tag of none": "tag=stage%3Dnowhere",
    "two tags": "tag=stage%3Dprod&tag=BuildId%3D4710",
    "framework": "framework=Onnx",
    "framework of none": "framework=Nothing",
    "run": "run_id=run-77",
    "dataset": "dataset=customers",
    "name": "name=model-17",
    "names": "name=model-17*",
    "latest": "latest=true",
    "latest with a tag": "latest=true&tag=stage%3Dprod",
    "archived": "archived=only",
    "metric of many": "where=metrics.auc > 0.5",
    "metric of few": "where=metrics.auc > 0.998 and tags.stage = 'trial'",
    "metric of none": "where=metrics.auc > 2",
    "number in a tag": "where=tags.BuildId >= 99990",
    "oldest": "where=tags.BuildId < 9000",
    "created": "where=created_at > '2027-01-01'",
    "either": "where=tags.BuildId = 17 or metrics.loss < 3",
    "negation": "where=not tags.stage = 'prod' and name = 'model-5'",
    "like": "where=name like 'model-99%' and tags.stage like 'PR%'",
    "nowhere": "tag=stage%3Dprod&framework=Onnx",
    "nowhere, by ranges": "where=metrics.auc > 0.5 and metrics.loss < 0.5",
    "nowhere among the oldest": "where=tags.BuildId < 9000 and metrics.loss > 9000 and metrics.auc >= 0",
    "oldest of many": "where=metrics.loss < 4700 and tags.stage = 'prod'",
    "half, the oldest": "where=tags.BuildId < 50000",
    "no index": "where=size < 1005",
    "names of many": "name=model-9*",
    "either of many": "where=tags.stage = 'prod' or metrics.auc = 0.5",
    "all that is asked at once": "where=" + " and ".join(f"metrics.loss > {number}" for number in range(40)),
    "next page": "after=WyJ2ZXJzMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwNTAwMDAiXQ",
}
PATHS = {
    "names": "models",
    "names that begin so": "models?name=model-5*",
    "a name": "models/model-5",
    "versions of a name": "models/model-5/versions",
    "a version": "models/model-5/versions/3",
    "the latest": "models/model-5/versions/latest",
    "an alias": "models/model-5/versions/@champion",
    "history": "models/model-5/history",
    "uses": "models/model-5/versions/3/uses",
    "aliases": "models/model-5/aliases",
    "all": "model-versions",
    **{name: f"model-versions?{query}" for name, query in SEARCHES.items()},
}
EARLY: dict[str, Callable[[int], bool]] = {
    "tag=stage%3Dprod&framework=Onnx": lambda i: False,
    "where=metrics.loss < 900 and tags.stage = 'prod'": lambda i: i < 6300 and i % 10 == 0,
    "where=tags.BuildId < 9000 and metrics.auc > 0.8": lambda i: i < 9000 and i % 1000 > 800,
    "where=tags.stage = 'prod' and (tags.BuildId < 7000 or metrics.auc = 0.75)": lambda i: i % 10 == 0 and (i < 7000 or i % 1000 == 750),
    "where=(tags.stage = 'prod' or metrics.auc = 0.251) and metrics.loss < 2000": lambda i: (i % 10 == 0 or i % 1000 == 251) and i < 14_000,
    "where=not tags.stage = 'prod' and framework like 'onn_' and size < 1100": lambda i: i % 4 == 1 and i < 100,
}


class Watched:
    """The control plane in this process, and the statements that the last request ran."""

    def __init__(self, context: Context, token: str) -> None:
        self._app = app.create(context)
        self._token = token
        self._engine = context.database.engine
        self.is_sqlite = context.database.is_sqlite
        self.statements: list[tuple[str, Any]] = []
        event.listen(self._engine, "before_cursor_execute", self._note)

    def get(self, path: str) -> dict[str, Any]:
        self.statements.clear()
        answer = anyio.run(self._get, path)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def plan(self, statement: str, parameters: Any) -> str:
        explain = "EXPLAIN QUERY PLAN" if self.is_sqlite else "EXPLAIN (ANALYZE, TIMING OFF)"
        with self._engine.connect() as connection:
            rows = connection.exec_driver_sql(f"{explain} {statement}", parameters).all()
        return "\n".join(str(row[-1]) for row in rows)

    @contextmanager
    def steps(self) -> Iterator[list[int]]:
        """What SQLite's virtual machine does meanwhile: one element per thousand instructions."""
        counted: list[int] = []

        def watch(connection: Any, *_: Any) -> None:
            connection.set_progress_handler(lambda: counted.append(1), 1000)

        event.listen(self._engine, "checkout", watch)
        try:
            yield counted
        finally:
            event.remove(self._engine, "checkout", watch)

    async def _get(self, path: str) -> httpx2.Response:
        headers = {"authorization": f"Bearer {self._token}"}
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(self._app), base_url="http://in.process") as client:
            return await client.get(f"/v1/workspaces/default/{path}", headers=headers)

    def _note(self, _connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if not statement.startswith(("BEGIN", "EXPLAIN")):
            self.statements.append((statement, parameters))


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def large(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("large")
    url = ""
    if request.param == "postgresql":
        server: PostgreSQL = request.getfixturevalue("postgresql")
        url = server.database()
    context = open_context(Settings(state_dir=folder / "state", cache_dir=folder / "cache", database_url=url))
    with context.database.reading() as session:
        workspace = session.scalars(select(WorkspaceRow.id).where(WorkspaceRow.name == "default")).one()
    fill(context.database, workspace)
    try:
        watched = Watched(context, (Path(folder) / "state" / "owner.token").read_text().strip())
        watched.get("models")  # notes the token's use
        yield watched
    finally:
        context.database.close()


@pytest.mark.parametrize("name", PATHS)
def test_a_request_is_few_statements_that_each_use_an_index(large: Watched, name: str) -> None:
    large.get(PATHS[name])
    statements = list(large.statements)
    assert 1 < len(statements) <= 3, statements
    for statement, parameters in statements:
        plan = large.plan(statement, parameters)
        whole = [line for line in plan.splitlines() if reads_a_table_whole(line)]
        assert not whole, f"{statement}\n{parameters}\n{plan}"
        thrown_away = [int(count) for count in re.findall(r"Removed by Filter: (\d+)", plan)]
        assert sum(thrown_away) < MOST_THROWN_AWAY, f"{statement}\n{parameters}\n{plan}"


def reads_a_table_whole(line: str) -> bool:
    """SQLite says SCAN where it begins at the first row of a table or of a whole index, PostgreSQL Seq Scan."""
    if "Seq Scan on" in line:
        return line.partition("Seq Scan on ")[2].partition(" ")[0] in LARGE
    return line.strip().startswith("SCAN ") and line.split()[1] in LARGE


def test_answers_are_right(large: Watched) -> None:
    def found(query: str) -> list[str]:
        return [f"{each['name']}:{each['version']}" for each in large.get(f"model-versions?{query}")["items"]]

    newest = VERSIONS - 1
    assert found("limit=2") == [f"model-{newest % NAMES}:10", f"model-{newest % NAMES - 1}:10"]
    assert found("tag=BuildId%3D4711") == ["model-4711:1"]
    assert found("where=tags.BuildId >= 99998") == ["model-9999:10", "model-9998:10"]
    assert found("where=tags.BuildId = 17 or metrics.loss < 0.2") == ["model-17:1", "model-1:1", "model-0:1"]
    assert found("run_id=run-77") == ["model-77:1"]
    assert found("name=model-17&limit=2") == ["model-17:10", "model-17:9"]
    assert found("latest=true&name=MODEL-17") == ["model-17:10"]
    assert found("where=metrics.auc > 2") == []
    assert len(found("limit=500&where=metrics.auc > 0.5")) == 500
    assert found("where=metrics.auc >= 0.999&limit=1") == ["model-9999:10"]
    assert large.get("models?limit=1")["items"][0] == large.get("models/model-0")


@pytest.mark.parametrize("query", EARLY)
def test_pages_that_end_early_leave_nothing_out(large: Watched, query: str) -> None:
    pages: list[list[int]] = []
    after: str | None = ""
    while after is not None:
        page = large.get(f"model-versions?limit=500&{query}{after and f'&after={after}'}")
        pages.append([int(each["id"].removeprefix("vers")) for each in page["items"]])
        after = page["next"]
    assert [i for page in pages for i in page] == [i for i in reversed(range(VERSIONS)) if EARLY[query](i)]
    assert any(len(page) < 500 for page in pages[:-1])


@pytest.mark.parametrize("name", PATHS)
def test_no_request_is_much_work_for_sqlite(large: Watched, name: str) -> None:
    """Whatever is asked for, and wherever it holds. PostgreSQL tells what it throws away, which the test of its plans looks at."""
    if not large.is_sqlite:
        return
    with large.steps() as steps:
        large.get(PATHS[name])
    assert sum(steps) < MOST_STEPS
