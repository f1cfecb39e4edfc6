"""Which processes are reading the database at this moment, by the locks that SQLite takes for it.

A reader keeps the state that it began with, and while it does the write-ahead log cannot be used again. Only Linux
tells; elsewhere nobody seems to read.
"""

import re
from pathlib import Path
from typing import Final

from batch_app.database import Database

# SQLite's "WAL-mode File Format": a reader holds one of WAL_READ_LOCK(0) to (4), a byte of the -shm file each.
_FIRST, _LAST = 123, 127
_LOCK: Final = re.compile(r"^\d+: POSIX +ADVISORY +READ +(\d+) \w+:\w+:(\d+) (\d+) (\d+)$", re.MULTILINE)
_LOCKS: Final = Path("/proc/locks")


def reading_pids(database: Database) -> set[int]:
    """This process, too, if one of its threads reads. The inode alone tells the file: on some file systems its device
    has another number here than elsewhere."""
    shared = database.path.with_name(f"{database.path.name}-shm")
    if not (_LOCKS.exists() and shared.exists()):
        return set()
    inode = shared.stat().st_ino
    return {
        int(pid)
        for pid, of_file, first, last in _LOCK.findall(_LOCKS.read_text())
        if int(of_file) == inode and int(first) <= _LAST and int(last) >= _FIRST
    }


def name_of(pid: int) -> str:
    """Of its program, as `ps` shows it."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "ended meanwhile"
