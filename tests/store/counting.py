"""Reads and then writes, many times: what a transaction that takes no lock first cannot do beside others.

A process of its own: `python -m tests.store.counting DATABASE TIMES`.
"""

import sys
from pathlib import Path

from batch_app.database import Database

HOW_MANY = "SELECT requests_in_flight FROM workers WHERE id = 'counter'"


def count_up(path: Path, times: int) -> None:
    database = Database(path)
    for _ in range(times):
        with database.write() as connection:
            found = connection.exec_driver_sql(HOW_MANY).scalar_one()
            connection.exec_driver_sql("UPDATE workers SET requests_in_flight = ?", (found + 1,))
    database.close()


if __name__ == "__main__":
    count_up(Path(sys.argv[1]), int(sys.argv[2]))
