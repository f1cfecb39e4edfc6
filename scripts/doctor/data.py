"""The database and the files it names. Only reads; a damaged database is a finding, not a traceback."""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from pysqlite3 import dbapi2

from batch_app.database import WAL_LIMIT_BYTES, Database
from batch_app.disk.files import KINDS, read_stream, sha256_of
from batch_app.operations.leftovers import find_leftovers
from batch_app.operations.migrate import current_revision, known_revision, way_out
from batch_app.settings import Settings
from batch_app.store import batches, files, request_reads, vacuum, wal_readers
from batch_app.store.files import StoredFile
from scripts.doctor.findings import Finding, bad, listed, ok, size, warn

_FIRST_BAD, _FIRST_GOOD = (3, 7, 0), (3, 51, 3)
_MOMENTS = (
    "SELECT max(created_at) FROM batches",
    "SELECT max(heartbeat_at) FROM workers",
    "SELECT max(at) FROM samples",
)
_LOOKS, _PAUSE_SECONDS = 5, 0.2
_RECIPE = "see 'The database is damaged' in docs/operations.md"


def sqlite() -> Iterator[Finding]:
    number = dbapi2.sqlite_version
    if _FIRST_BAD <= dbapi2.sqlite_version_info < _FIRST_GOOD:
        yield bad("sqlite", f"{number} can corrupt a database that several processes share", "`make setup`")
    else:
        yield ok("sqlite", number)


def soundness(settings: Settings) -> Iterator[Finding]:
    """What SQLite itself says of the file."""
    path = settings.database_path
    if not path.exists():
        yield ok("database", f"{path} is not there yet: the API makes it")
        return
    try:
        with closing(dbapi2.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as connection:
            problems = [row[0] for row in connection.execute("PRAGMA quick_check(5)")]
    except dbapi2.Error as error:
        problems = [str(error)]
    if problems == ["ok"]:
        yield ok("database", f"{size(path.stat().st_size)}, sound")
    else:
        yield bad("database", f"{path}: {listed(problems)}", _RECIPE)


def schema(database: Database) -> Iterator[Finding]:
    revision, known = current_revision(database), known_revision()
    if revision == known:
        yield ok("schema", str(revision))
    elif revision is None:
        yield warn("schema", "the database is empty", "start the API, or `make migrate`")
    else:
        yield bad("schema", f"{revision}, this code knows {known}", way_out(revision))


def log_and_space(database: Database) -> Iterator[Finding]:
    """How much of the database's files is dead weight."""
    log = vacuum.wal_bytes(database)
    if log > WAL_LIMIT_BYTES:
        yield _large_log(log, _stuck_readers(database))
    with database.read() as connection:
        page, unused, automatic = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("page_size", "freelist_count", "auto_vacuum")
        ]
    if page * unused > 64 * 1024**2 and not automatic:
        advice = f"""stop everything, then: venv/bin/python -c "from pysqlite3 import dbapi2; c = dbapi2.connect(\
'{database.path}'); c.executescript('PRAGMA auto_vacuum=2; VACUUM')\""""
        yield warn("database", f"{size(page * unused)} of it are unused", advice)


def _large_log(log: int, stuck: set[int]) -> Finding:
    text = f"its -wal file has {size(log)}"
    if not stuck:
        advice = (
            "the API cuts it within a minute; if not, a program holds an old state: `lsof` on the database"
        )
        return warn("database", text, advice)
    who = listed(f"pid {pid} ({wal_readers.name_of(pid)})" for pid in sorted(stuck))
    advice = f"`kill {' '.join(map(str, sorted(stuck)))}`: nothing is lost, and the API cuts the file within a minute"
    return warn("database", f"{text} and grows: {who} holds an old state", advice)


def _stuck_readers(database: Database) -> set[int]:
    """Those found at every look: our own processes read for moments."""
    stuck = wal_readers.reading_pids(database)
    for _look in range(1, _LOOKS):
        time.sleep(_PAUSE_SECONDS)
        stuck &= wal_readers.reading_pids(database)
    return stuck


def moments(database: Database, now: float) -> Iterator[Finding]:
    """A clock that was set back makes heartbeats and expiries wait for the time that was."""
    with database.read() as connection:
        latest = max(connection.exec_driver_sql(query).scalar_one() or 0 for query in _MOMENTS)
    if latest > now + 60:
        shown = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(latest))
        yield bad(
            "clock", f"the database knows of {shown}: the clock was set back", "`timedatectl set-ntp true`"
        )


def named_files(database: Database, settings: Settings, *, deep: bool) -> Iterator[Finding]:
    """Every file that the database names, and every committed answer of an unfinished batch, is there. `deep`: every
    byte of the files, too, is as it was published."""
    present = files.list_files(database, limit=None, newest_first=False)
    wrong = {file.path for file in present if not _is_whole(file, settings.data_dir / file.path, deep=deep)}
    if wrong:  # what was deleted meanwhile is missed by nobody
        named = files.list_files(database, limit=None, newest_first=False)
        wrong &= {file.path for file in named}
    if wrong:
        advice = "take them from a backup: they never change, a copy of any age will do"
        yield bad("files", f"missing, cut off or damaged: {listed(sorted(wrong))}", advice)
    else:
        looked_at = "every byte as published" if deep else "of the right size"
        yield ok("files", f"{len(present)}, {size(sum(file.bytes for file in present))}, {looked_at}")
    yield from _answers_so_far(database, settings)


def _answers_so_far(database: Database, settings: Settings) -> Iterator[Finding]:
    for batch in batches.list_open_batches(database):
        for kind in KINDS:
            end = request_reads.committed_bytes(database, batch_id=batch.id, kind=kind).end
            try:
                for _piece in read_stream(settings.work_dir / batch.id, kind, 0, end):
                    pass
            except (EOFError, OSError) as error:
                if _is_open(database, batch.id):
                    yield bad("files", f"{batch.id}: {error}", f"fetch work/{batch.id} from a backup")


def _is_open(database: Database, batch_id: str) -> bool:
    """A batch that ended while its logs were read has them no more."""
    return batch_id in {batch.id for batch in batches.list_open_batches(database)}


def _is_whole(file: StoredFile, path: Path, *, deep: bool) -> bool:
    try:
        return path.stat().st_size == file.bytes and (not deep or sha256_of(path) == file.sha256)
    except OSError:
        return False


def leftovers(database: Database, settings: Settings, now: float) -> Iterator[Finding]:
    if found := find_leftovers(database, settings, now=now):
        advice = "harmless: the API removes them within the hour"
        yield warn("leftovers", listed(path.relative_to(settings.data_dir) for path in found), advice)
    else:
        yield ok("leftovers", "none")
