"""A batch of any size is entered without its rows ever being in memory together."""

import tracemalloc

from batch_app.database import Database
from tests.factories import accept, input_lines, ledger

LINES = 5_000


def test_the_rows_of_a_large_batch_are_never_in_memory_together(database: Database) -> None:
    accept(database)  # statements are compiled once
    tracemalloc.start()
    input_lines(LINES)
    _now, given = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    batch = accept(database, lines=LINES)
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak - given < 600 * LINES  # bytes; all at once takes more than 1,000 for each
    assert len(ledger(database, batch, "line")) == LINES
