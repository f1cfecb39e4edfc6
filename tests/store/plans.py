"""How SQLite goes about what the store asks it."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import event

from batch_app.database import Database


def plans_of(database: Database, ask: Callable[[], object]) -> list[str]:
    """The plan of every SELECT that `ask` makes, its steps joined."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        asked.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", note)
    ask()
    event.remove(database.engine, "before_cursor_execute", note)
    with database.read() as connection:
        plans = [
            connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
            for statement, parameters in asked
            if statement.startswith("SELECT")
        ]
    return ["; ".join(step[3] for step in plan) for plan in plans]
