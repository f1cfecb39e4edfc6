"""The migrations make exactly the tables that the code knows, checks and indexes included."""

import re
import sys
from pathlib import Path

import pytest
from sqlalchemy import Connection

from batch_app.database import Database
from batch_app.errors import SchemaError
from batch_app.operations import migrate
from batch_app.operations.migrate import Schema
from batch_app.store.tables import metadata


def parts_of(sql: str) -> tuple[str, list[str]]:
    """A statement without its columns and constraints, and these in an order that does not depend on theirs."""
    inside = re.sub(r"\s+", " ", sql[sql.index("(") + 1 : sql.rindex(")")])
    parts, depth, start = [], 0, 0
    for at, character in enumerate(inside):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append(inside[start:at].strip())
            start = at + 1
    parts.append(inside[start:].strip())
    return sql[: sql.index("(")].strip() + " … " + sql[sql.rindex(")") + 1 :].strip(), sorted(parts)


def schema(connection: Connection) -> dict[str, tuple[str, list[str]]]:
    query = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND tbl_name != 'alembic_version'"
    return {name: parts_of(sql) for name, sql in connection.exec_driver_sql(query)}


def test_the_migrations_make_exactly_the_schema_of_the_code(database: Database, fresh: Database) -> None:
    with fresh.write() as connection:
        metadata.create_all(connection)
    with fresh.read() as of_code, database.read() as of_migrations:
        assert schema(of_migrations) == schema(of_code)


def test_alembic_finds_no_difference_either(database: Database) -> None:
    assert migrate.differences(database) == []


def test_a_difference_would_be_found(fresh: Database) -> None:
    migrate.migrate(fresh)
    with fresh.write() as connection:
        connection.exec_driver_sql("DROP INDEX ix_batches_status")
        connection.exec_driver_sql("ALTER TABLE samples ADD COLUMN surplus INTEGER")
    assert len(migrate.differences(fresh)) == 2


def test_a_fresh_database_has_no_schema_and_a_migrated_one_the_current(fresh: Database) -> None:
    assert migrate.schema_of(fresh) is Schema.MISSING
    migrate.migrate(fresh)
    assert migrate.schema_of(fresh) is Schema.CURRENT
    migrate.require_current_schema(fresh)


def test_migrating_again_changes_nothing(database: Database) -> None:
    with database.read() as connection:
        before = schema(connection)
    migrate.migrate(database)
    with database.read() as connection:
        assert schema(connection) == before


@pytest.mark.parametrize(
    ("revision", "to_do"), [("0001", "`make migrate`"), ("9999", "'Updating' in docs/operations.md")]
)
def test_a_schema_of_another_version_is_refused_with_what_to_do(
    fresh: Database, revision: str, to_do: str
) -> None:
    set_revision(fresh, revision)
    assert migrate.schema_of(fresh) is Schema.OTHER
    with pytest.raises(SchemaError, match=f"has schema {revision}.*{to_do}"):
        migrate.require_current_schema(fresh)


def set_revision(database: Database, revision: str) -> None:
    migrate.migrate(database)
    with database.write() as connection:
        connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{revision}'")


def test_a_migration_that_fails_leaves_nothing_behind(fresh: Database) -> None:
    with fresh.write() as connection:
        connection.exec_driver_sql("CREATE TABLE requests (in_the_way)")
    with pytest.raises(Exception, match="already exists"):
        migrate.migrate(fresh)
    with fresh.read() as connection:
        assert list(schema(connection)) == ["requests"]
    assert migrate.schema_of(fresh) is Schema.MISSING


def run_command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["migrate", *arguments])
    return migrate.main()


def test_the_command_migrates_and_says_from_what_to_what(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BATCH_DATA_DIR", str(tmp_path))
    head = migrate.known_revision()
    for before in ("none", head):
        assert run_command(monkeypatch) == 0
        assert capsys.readouterr().out.strip().endswith(f"schema {before} -> {head}")


def test_the_command_refuses_a_database_of_newer_code_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BATCH_DATA_DIR", str(tmp_path))
    database = Database(tmp_path / "batch.db")
    set_revision(database, "9999")
    database.close()
    assert run_command(monkeypatch) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert "newer code made it" in line


def test_the_command_can_check_without_touching_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATCH_DATA_DIR", str(tmp_path / "untouched"))
    assert run_command(monkeypatch, "--check") == 0
    assert not (tmp_path / "untouched").exists()


def test_the_command_tells_of_a_difference_and_of_wrong_settings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as changed:
        changed.setattr(migrate, "differences", lambda _database: ["a column too many"])
        assert run_command(monkeypatch, "--check") == 1
    assert "a column too many" in capsys.readouterr().err
    monkeypatch.setenv("BATCH_API_PORT", "http")
    assert run_command(monkeypatch) == 1
    assert "error: BATCH_API_PORT" in capsys.readouterr().err
