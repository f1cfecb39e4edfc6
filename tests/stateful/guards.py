"""Does the machine see that a guard is gone? Removes one after another, in a copy of the tree, and tests the copy.

`python -m tests.stateful.guards [WORD …]` tries all, or those whose name has one of the words in it, and prints the
table of `docs/testing.md`. Exit status 1 when a guard's removal is not found, or when its text is not in its file.
"""

import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from batch_app.settings import PROJECT_DIR

_PARTS = ("batch_app", "migrations", "tests", "pyproject.toml", "models.toml")


@dataclass(frozen=True)
class Guard:
    """`old` stands exactly once in the file; `new` is the code without the guard."""

    name: str
    file: str
    old: str
    new: str


GUARDS = [
    Guard(
        "a claim is of one epoch",
        "store/claims.py",
        "        batches.c.claim_epoch == claim.epoch,\n",
        "",
    ),
    Guard(
        "a claim is of one worker", "store/claims.py", "        batches.c.worker_id == claim.worker_id,\n", ""
    ),
    Guard(
        "every verb of a worker asks for its claim",
        "store/claims.py",
        "    if connection.execute(select(batches.c.id).where(holds(claim))).one_or_none() is None:",
        "    if False:",
    ),
    Guard(
        "only a batch that nobody has is claimed",
        "store/claims.py",
        "            batches.c.worker_id.is_(None),\n            batches.c.status",
        "            batches.c.status",
    ),
    Guard(
        "only an open batch is claimed",
        "store/claims.py",
        "            batches.c.status.in_(OPEN_BATCH_STATES),\n",
        "",
    ),
    Guard(
        "each claim has an epoch of its own",
        "store/claims.py",
        "claim_epoch=batches.c.claim_epoch + 1,",
        "claim_epoch=batches.c.claim_epoch,",
    ),
    Guard(
        "what is claimed to be ended does not begin",
        "processing/loop.py",
        ", only_to_end=True)",
        ")",
    ),
    Guard(
        "a line given back with its batch is pending again",
        "store/claims.py",
        "            return_running_lines(connection, requests.c.batch_id == claim.batch_id)\n",
        "            pass\n",
    ),
    Guard(
        "lines of a lost worker are pending again",
        "store/claims.py",
        "            return_running_lines(connection, requests.c.batch_id.in_(held))\n",
        "",
    ),
    Guard(
        "a worker does not give itself up",
        "store/claims.py",
        "            workers.c.id != except_id,\n",
        "",
    ),
    Guard(
        "only what is still one's own is given back",
        "store/claims.py",
        "update(batches).where(holds(claim)).values(worker_id=None)",
        "update(batches).where(batches.c.id == claim.batch_id).values(worker_id=None)",
    ),
    Guard(
        "finalizing begins when every line is answered",
        "store/claims.py",
        "batches.c.status == BatchStatus.IN_PROGRESS, ~unanswered.exists())",
        "batches.c.status == BatchStatus.IN_PROGRESS)",
    ),
    Guard(
        "finalizing begins from in_progress",
        "store/claims.py",
        "holds(claim), batches.c.status == BatchStatus.IN_PROGRESS, ~",
        "holds(claim), ~",
    ),
    Guard(
        "a batch ends from a state that ends so",
        "store/claims.py",
        "where(holds(claim), batches.c.status.in_(leaves))",
        "where(holds(claim))",
    ),
    Guard(
        "frozen counts are those of the ledger",
        "store/claims.py",
        "name: func.sum(requests.c[name])",
        "name: func.max(requests.c[name])",
    ),
    Guard(
        "an end is announced",
        "store/claims.py",
        "        note_end(connection, batch_id=claim.batch_id, status=status, now=now)\n",
        "",
    ),
    Guard(
        "only queued or in_progress is cancelled",
        "store/batches.py",
        "            batches.c.status.in_([BatchStatus.QUEUED, BatchStatus.IN_PROGRESS]),\n",
        "",
    ),
    Guard(
        "a retry marks the dead letters",
        "store/accepting.py",
        "            _mark_retried(connection, batch)\n",
        "            pass\n",
    ),
    Guard(
        "no more batches than may be active",
        "store/queueing.py",
        "    if active >= limits.max_active_batches:",
        "    if False:",
    ),
    Guard(
        "a batch's input is there when it is accepted",
        "store/accepting.py",
        "            require_file(connection, batch.input_file_id)\n",
        "            pass\n",
    ),
    Guard(
        "only a running line gets an end",
        "store/requests.py",
        "        requests.c.status == RequestStatus.RUNNING,\n    )",
        "    )",
    ),
    Guard(
        "suspects wait until they are alone",
        "store/requests.py",
        "_ORIGINAL, due, fit])",
        "_ORIGINAL, due])",
    ),
    Guard(
        "a line postponed beyond reason is due",
        "store/requests.py",
        ", retry_at > now + longest_backoff_seconds)",
        ")",
    ),
    Guard(
        "a file in use is not deleted",
        "store/files.py",
        "        if needed_by := connection.execute(_open_batch_with(files.c.id == file_id)).scalars().first():",
        "        if needed_by := None:",
    ),
    Guard(
        "a file in use does not expire",
        "store/files.py",
        ", ~_open_batch_with(literal(True)).exists())",
        ")",
    ),
    Guard(
        "a writer takes the lock first",
        "database.py",
        '"BEGIN IMMEDIATE" if write else "BEGIN DEFERRED"',
        '"BEGIN DEFERRED"',
    ),
    Guard(
        "each claim appends to a log of its own",
        "files.py",
        '{kind}-{epoch:06d}-{base}.jsonl"',
        '{kind}-000001-{base}.jsonl"',
    ),
    Guard(
        "a log begins at the committed end",
        "processing/run.py",
        "epoch=claim.epoch, base=ends[kind])",
        "epoch=claim.epoch, base=0)",
    ),
    Guard(
        "a stream ends where the next claim begins",
        "files.py",
        'is missing")\n    bounds = [segment.base for segment in segments[1:]] + [end]',
        'is missing")\n    bounds = [end for _segment in segments]',
    ),
    Guard(
        "what a full disk took is cut off again",
        "processing/record.py",
        "            run.logs[kind].cut_to(size)\n",
        "            pass\n",
    ),
    Guard(
        "what is in the log is recorded before more is appended",
        "processing/record.py",
        "    flush(database, run, now=now)\n    arrivals",
        "    arrivals",
    ),
    Guard(
        "a claim without a run is given back",
        "processing/runs.py",
        "            if row.worker_id == self._worker_id and row.id not in self._runs:",
        "            if False:",
    ),
    Guard(
        "a run that is somebody else's is let go of",
        "processing/runs.py",
        "            if row is not None and (row.worker_id, row.claim_epoch) == (self._worker_id, run.claim.epoch):",
        "            if row is not None:",
    ),
    Guard(
        "what is cut short is not completed",
        "processing/runs.py",
        "if run.is_cut_short or not",
        "if not",
    ),
    Guard(
        "what was cut short for a reason that is gone is given back",
        "processing/loop.py",
        "run is not None and run.is_cut_short:",
        "False:",
    ),
    Guard(
        "an expired batch ends",
        "processing/loop.py",
        "        if batch.expires_at is not None and batch.expires_at <= now:",
        "        if False:",
    ),
    Guard(
        "a clock set back delays nothing",
        "processing/loop.py",
        "        if now < self._last_turn_at:",
        "        if False:",
    ),
    Guard(
        "only logs of ended batches are swept",
        "leftovers.py",
        "        if ended:",
        "        if True:",
    ),
    Guard(
        "bytes of deleted files are swept",
        "store/files.py",
        "select(files.c.id).where(_PRESENT)).scalars()",
        "select(files.c.id)).scalars()",
    ),
]


def main(words: list[str]) -> int:
    chosen = [guard for guard in GUARDS if not words or any(word in guard.name for word in words)]
    missed = 0
    print("| guard removed | found after | by |\n| --- | --- | --- |", flush=True)
    for guard in chosen:
        seconds, how = _try(guard)
        missed += how is None
        print(f"| {guard.name} | {f'{seconds:.0f} s' if how else 'not found'} | {how or ''} |", flush=True)
    print(f"{len(chosen) - missed} of {len(chosen)} found", file=sys.stderr)
    return 1 if missed else 0


def _try(guard: Guard) -> tuple[float, str | None]:
    """The processor time that the tests took, start of Python included, and what failed; None when nothing did."""
    with tempfile.TemporaryDirectory() as folder:
        for part in _PARTS:
            source, target = PROJECT_DIR / part, Path(folder) / part
            shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
        _remove(guard, Path(folder) / "batch_app" / guard.file)
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "tests/stateful"]
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": folder}
        before = _seconds_of_children()
        ran = subprocess.run(
            command, check=False, cwd=folder, env=environment, capture_output=True, text=True
        )
        return _seconds_of_children() - before, _what_failed(ran.stdout) if ran.returncode else None


def _seconds_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _remove(guard: Guard, path: Path) -> None:
    text = path.read_text()
    if text.count(guard.old) != 1:
        raise SystemExit(f"{guard.name}: its text stands {text.count(guard.old)} times in {path.name}")
    path.write_text(text.replace(guard.old, guard.new))


def _what_failed(output: str) -> str:
    """The promise that was broken, or the error at which the history ended, as far as it names no row."""
    errors = re.findall(r"^(?:E|[ |]+) +([\w.]*(?:Error|Exception)\b.*)$", output, re.MULTILINE)
    told = errors[0] if errors else "?"
    return (
        re.split(r"[{\[(<]|batch_|/", told.removeprefix("AssertionError: "))[0].strip(" :")
        or "AssertionError"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
