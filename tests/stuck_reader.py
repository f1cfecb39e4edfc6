"""A program from outside that begins to read the database and does not go on: a shell left open, say."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PROGRAM = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN")
connection.execute("SELECT count(*) FROM batches").fetchall()
print("reads", flush=True)
sys.stdin.read()
"""


@contextmanager
def stuck_reader(path: Path) -> Iterator[int]:
    """Its pid."""
    command = [sys.executable, "-c", _PROGRAM, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == b"reads\n"
        yield reader.pid
