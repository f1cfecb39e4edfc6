"""Brings the database to the schema this code knows: `python -m batch_app.migrate [--check]`.

The API migrates a database that has no schema yet; an old one is migrated by this command only, while nothing runs.
"""

import argparse
import sys
import tempfile
from enum import Enum
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from batch_app.database import Database
from batch_app.errors import ConfigurationError, SchemaError
from batch_app.settings import PROJECT_DIR, load_settings
from batch_app.store.tables import metadata


class Schema(Enum):
    """How a database's schema stands to the one this code knows."""

    MISSING = "missing"
    CURRENT = "current"
    OTHER = "other"


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(PROJECT_DIR / "migrations"))
    return config


def known_revision() -> str:
    """The newest migration in this checkout."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


def current_revision(database: Database) -> str | None:
    """The migration the database stands at; None when it has no schema."""
    with database.read() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def schema_of(database: Database) -> Schema:
    revision = current_revision(database)
    if revision is None:
        return Schema.MISSING
    return Schema.CURRENT if revision == known_revision() else Schema.OTHER


def migrate(database: Database) -> None:
    """Run every migration that is missing, in one transaction."""
    config = _config()
    with database.write("migrate") as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def require_current_schema(database: Database) -> None:
    """Raises SchemaError when the schema is another one than this code knows."""
    if schema_of(database) is not Schema.CURRENT:
        raise SchemaError(
            f"{database.path} has schema {current_revision(database)}, this code knows {known_revision()}: "
            f"{way_out(current_revision(database))}"
        )


def way_out(revision: str | None) -> str:
    """What a person does about a database at a revision that is not the newest known one."""
    if _is_known(revision):
        return "stop the API and the worker, `make backup`, `make migrate`"
    return "newer code made it: run that, or go 'Back again' as under 'Updating' in docs/operations.md"


def _is_known(revision: str | None) -> bool:
    scripts = ScriptDirectory.from_config(_config()).walk_revisions()
    return revision is None or revision in {script.revision for script in scripts}


def differences(database: Database) -> list[object]:
    """What the migrations left different from the tables in `tables.py` (what `alembic check` reports)."""
    with database.read() as connection:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m batch_app.migrate", description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="migrate an empty copy and compare it with the code"
    )
    arguments = parser.parse_args()
    try:
        return _check() if arguments.check else _upgrade()
    except (ConfigurationError, SchemaError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _upgrade() -> int:
    database = Database(load_settings().database_path)
    before = current_revision(database)
    if not _is_known(before):
        require_current_schema(database)
    migrate(database)
    print(f"{database.path}: schema {before or 'none'} -> {current_revision(database)}")
    return 0


def _check() -> int:
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder) / "check.db")
        migrate(database)
        found = differences(database)
    for difference in found:
        print(f"migrations and batch_app/store/tables.py differ: {difference}", file=sys.stderr)
    return 1 if found else 0
