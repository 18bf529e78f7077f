"""A registry of 100,000 versions under 10,000 names, written with SQL inside the database: seconds, where the API would take an hour.

Version `i` (from 0) is of the name `model-{i mod names}`, so the names' versions lie scattered as in a registry that has grown.
One in ten is tagged stage=prod; each has a BuildId of its own, the metrics auc (0 to 0.999) and loss, one of four frameworks, and a run of its own.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from fairlead.server.db import Database

VERSIONS = 100_000
NAMES = 10_000


def fill(database: Database, workspace_id: str, *, versions: int = VERSIONS, names: int = NAMES) -> None:
    """Adds them to the workspace, then lets the database look at what it has; PostgreSQL as its autovacuum does within minutes of so many rows."""
    with database.writing() as session:
        _Filler(session.connection(), workspace_id, versions, names).fill()
    with database.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("ANALYZE" if database.is_sqlite else "VACUUM (ANALYZE)")


class _Filler:
    """Writes rows from the numbers 0, 1, 2 …; each column is an SQL expression over `i`."""

    def __init__(self, connection: Connection, workspace_id: str, versions: int, names: int) -> None:
        self._connection = connection
        self._sqlite = connection.dialect.name == "sqlite"
        self._workspace = f"'{workspace_id}'"
        self._versions, self._names = versions, names
        self._now = "'2026-01-01 00:00:00.000000'" if self._sqlite else "'2026-01-01T00:00:00Z'::timestamptz"

    def fill(self) -> None:
        if not self._sqlite:
            self._connection.exec_driver_sql("SET LOCAL session_replication_role = replica")  # half the time is foreign keys, which are right here
        self._insert("models", self._names, self._model())
        self._insert("model_versions", self._versions, self._version())
        version, workspace = self._id("vers", "i"), self._workspace
        for key, value, number in (("stage", "CASE WHEN i % 10 = 0 THEN 'prod' ELSE 'trial' END", "NULL"), ("BuildId", self._text("i"), "i")):
            label = {"version_id": version, "kind": "'tag'", "key": f"'{key}'", "value": value, "number": number, "workspace_id": workspace}
            self._insert("model_labels", self._versions, label)
        for name, value in (("auc", "(i % 1000) / 1000.0"), ("loss", "i / 7.0")):
            self._insert("model_metrics", self._versions, {"version_id": version, "name": f"'{name}'", "value": value, "workspace_id": workspace})
        last = self._id("vers", f"i + {self._versions - self._names}")
        alias = {"model_id": self._id("mode", "i"), "alias": "'champion'", "version_id": last, "version": str(self._each), "updated_at": self._now, "etag": "1"}
        self._insert("model_aliases", self._names, alias)

    @property
    def _each(self) -> int:
        return self._versions // self._names

    def _model(self) -> dict[str, str]:
        name = f"'model-' || {self._text('i')}"
        counts = dict.fromkeys(("last_version", "latest_version", "versions", "last_event"), str(self._each))
        stamps = {"created_at": self._now, "updated_at": self._now}
        return {"id": self._id("mode", "i"), "workspace_id": self._workspace, "name": name, "folded": name, **counts, **stamps}

    def _version(self) -> dict[str, str]:
        texts = {"flavor": "'scikit-learn'", "stage": "'registered'", "description": "''", "tree": self._padded("i", 64)}
        numbers = {"version": f"i / {self._names} + 1", "size": "1000 + i", "files": "1", "etag": "1"}
        empty = {"properties": self._json("'{}'"), "lineage": self._json("""'{"datasets": []}'"""), "requirements": self._json("'[]'")}
        return {
            "id": self._id("vers", "i"),
            "workspace_id": self._workspace,
            "model_id": self._id("mode", f"i % {self._names}"),
            "name": f"'model-' || {self._text(f'i % {self._names}')}",
            "framework": "CASE i % 4 WHEN 0 THEN 'ScikitLearn' WHEN 1 THEN 'Onnx' WHEN 2 THEN 'XGBoost' ELSE 'Custom' END",
            "run_id": f"'run-' || {self._text('i')}",
            "tags": self._json("""'{"stage": "' || CASE WHEN i % 10 = 0 THEN 'prod' ELSE 'trial' END || '"}'"""),
            "metrics": self._json(f"""'{{"auc": ' || {self._text("(i % 1000) / 1000.0")} || '}}'"""),
            "created_at": self._now,
            "updated_at": self._now,
            **texts,
            **numbers,
            **empty,
        }

    def _insert(self, table: str, count: int, columns: dict[str, str]) -> None:
        numbers = f"WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {count})"  # noqa: S608 - a number
        names, values = ", ".join(columns), ", ".join(columns.values())
        insert = f"INSERT INTO {table} ({names}) {numbers} SELECT {values} FROM n"  # noqa: S608 - all of it is ours
        self._connection.execute(text(insert.replace(":", "\\:")))

    def _id(self, mark: str, number: str) -> str:
        return f"'{mark}' || {self._padded(number, 32)}"

    def _padded(self, number: str, width: int) -> str:
        return f"printf('%0{width}d', {number})" if self._sqlite else f"lpad(({number})::text, {width}, '0')"

    def _text(self, number: str) -> str:
        return f"CAST({number} AS VARCHAR(40))"

    def _json(self, value: str) -> str:
        return value if self._sqlite else f"({value})::jsonb"
