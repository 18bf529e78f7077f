"""D5: the schema that steps lead to is the one that the tables say; every older one is upgraded whole or not at all; a newer one is left alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete, text, update
from sqlalchemy.exc import DatabaseError

from fairlead.errors import BootFailure
from fairlead.server import schema
from fairlead.server.db import Database
from fairlead.server.migrations.upgrading import upgrade
from fairlead.server.migrations.writing import differences, write
from fairlead.server.tables import Record
from fairlead.server.tables.access import AuditRow
from tests.control_plane import ControlPlanes
from tests.fairlead.server.schema_facts import facts, fill, rows

STEPS = schema.revisions()


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    yield opened
    opened.close()


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """A copy of the steps, to be added to."""
    return shutil.copytree(schema.FOLDER, tmp_path / "migrations")


def test_the_steps_lead_to_what_the_tables_say(database: Database) -> None:
    assert schema.ensure(database)
    with database.engine.connect() as connection:
        assert differences(connection) == [], "The tables changed: run scripts/migration, with a message, or with --rewrite-first while nothing is released."
        migrated = facts(connection)
    _drop_everything(database)
    Record.metadata.create_all(database.engine)
    with database.engine.connect() as connection:
        assert migrated == facts(connection)


def test_the_first_step_can_be_written_from_the_tables(database: Database, history: Path) -> None:
    for step in (history / "versions").glob("*.py"):
        step.unlink()
    shutil.copy(schema.FOLDER / "versions" / "0001_first.py", history / "versions")
    assert write("The first schema", history, first=True) == history / "versions" / "0001_first.py"
    upgrade(database, "0001", history)
    with database.engine.connect() as connection:
        assert differences(connection) == []


def test_there_is_nothing_to_write_when_nothing_changed(history: Path) -> None:
    assert write("nothing new", history) is None


@pytest.mark.parametrize("step", STEPS)
def test_every_earlier_schema_is_upgraded_with_its_rows(database: Database, step: str) -> None:
    upgrade(database, step)
    with database.engine.begin() as connection:
        before = fill(connection)
    assert schema.ensure(database) is (step != STEPS[-1])
    with database.engine.connect() as connection:
        after = rows(connection)
    for table, kept in before.items():
        now = [{name: row[name] for name in kept[0] if name in row} for row in after[table]] if table in after else kept
        assert now == [{name: value for name, value in row.items() if name in now[0]} for row in kept], table


def test_a_schema_of_a_newer_version_is_refused_in_a_sentence(database: Database) -> None:
    schema.ensure(database)
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE schema_version SET version_num = '9999'"))
    with pytest.raises(BootFailure, match="schema 9999, which is newer than this Fairlead"):
        schema.ensure(database)


def test_a_database_of_another_program_is_left_alone(database: Database) -> None:
    with database.engine.begin() as connection:
        connection.execute(text("CREATE TABLE tokens (id INTEGER PRIMARY KEY)"))
    with pytest.raises(BootFailure, match="tables of another program \\(tokens\\)"):
        schema.ensure(database)
    with database.engine.connect() as connection:
        assert list(facts(connection)["tables"]) == ["tokens"]


def test_a_file_that_is_no_database_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_text("not a database " * 100)
    ended = _start(tmp_path, "--database-url", f"sqlite:///{tmp_path}/notes.db")
    assert (ended.returncode, "Traceback" in ended.stderr) == (6, False)
    assert "file is not a database" in ended.stderr


@pytest.mark.parametrize("point", ["schema.step-done", "schema.before-commit", "schema.after-commit"])
def test_a_kill_in_the_middle_of_an_upgrade_is_mended_by_the_next_start(database: Database, database_url: str, tmp_path: Path, point: str) -> None:
    killed = _start(tmp_path, "--database-url", database_url, env={"FAIRLEAD_FAULT": point})
    assert killed.returncode == -9, killed.stderr
    with database.engine.connect() as connection:
        assert bool(facts(connection)["tables"]) is (point == "schema.after-commit")
    schema.ensure(database)
    with database.engine.connect() as connection:
        assert differences(connection) == []


def test_a_step_that_fails_changes_nothing(database: Database, history: Path) -> None:
    schema.ensure(database)
    step = f'from alembic import op\nrevision, down_revision = "9000", "{STEPS[-1]}"\n'
    step += 'def upgrade():\n    op.drop_table("secrets")\n    op.execute("no SQL")\n'
    (history / "versions" / "9000_broken.py").write_text(step)
    with database.engine.connect() as connection:
        before = facts(connection)
    with pytest.raises(BootFailure, match=r"could not be brought up to date .*nothing of it was changed"):
        schema.ensure(database, history)
    with database.engine.connect() as connection:
        assert facts(connection) == before


def test_servers_that_start_at_once_make_one_schema_and_one_administrator(control_planes: ControlPlanes, database_url: str, tmp_path: Path) -> None:
    started = control_planes.at_once(4, database_url=database_url)
    with_token = [each for each in started if (each.state / "owner.token").exists()]
    assert len(with_token) == 1
    answers = [each.request("GET", "/v1/workspaces", token=with_token[0].token).json() for each in started]
    assert [[one["name"] for one in answer["items"]] for answer in answers] == [["default"]] * 4


def test_no_one_changes_the_audit_log(database: Database) -> None:
    schema.ensure(database)
    with database.engine.begin() as connection:
        fill(connection)
    for statement in (delete(AuditRow), update(AuditRow).values(principal="somebody else")):
        with pytest.raises(DatabaseError, match="only ever added"), database.writing() as session:
            session.execute(statement)


def _drop_everything(database: Database) -> None:
    Record.metadata.drop_all(database.engine)


def _start(home: Path, *arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """A server that is expected to end by itself."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("FAIRLEAD_")}
    command = [sys.executable, "-m", "fairlead.server", *arguments]
    return subprocess.run(command, env=inherited | {"FAIRLEAD_HOME": str(home / "home")} | (env or {}), capture_output=True, text=True, timeout=120)
