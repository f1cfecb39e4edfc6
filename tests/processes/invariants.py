"""What must be true of a data folder after any crash, found out from its bytes, not by the code that wrote them."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from pysqlite3 import dbapi2


@dataclass
class Findings:
    """Of one or more batches. All zeros and no damage is what is promised."""

    lost: int = 0
    doubled: int = 0
    torn: int = 0
    damage: list[str] = field(default_factory=list)

    def add(self, other: "Findings") -> None:
        self.lost += other.lost
        self.doubled += other.doubled
        self.torn += other.torn
        self.damage += other.damage

    def __bool__(self) -> bool:
        return bool(self.lost or self.doubled or self.torn or self.damage)


def examine_batch(data_dir: Path, batch_id: str, custom_ids: Iterable[str]) -> Findings:
    """An ended batch: each line sent has exactly one answer, whole, at the place that the ledger says."""
    expected, found = set(custom_ids), Findings()
    with closing(_connect(data_dir)) as connection:
        content = _published(connection, data_dir, batch_id)
        ledger = _all(connection, "SELECT * FROM requests WHERE batch_id = ?", batch_id)
    published: Counter[str] = Counter()
    for line in (line for text in content.values() for line in text.splitlines()):
        custom_id = _custom_id(line)
        found.torn += custom_id not in expected
        published[custom_id] += 1
    found.lost = len(expected - set(published))
    found.doubled = sum(count - 1 for custom_id, count in published.items() if custom_id in expected)
    for row in ledger:
        at = row["answer_offset"] or 0
        answer = content[row["answer_kind"] or "error"][at : at + (row["answer_length"] or 0)]
        if _custom_id(answer) != row["custom_id"]:
            found.damage.append(f"{batch_id}: line {row['line']} has no answer where the ledger says it lies")
    if {row["custom_id"] for row in ledger} != expected:
        found.damage.append(f"{batch_id}: the ledger has other lines than were sent")
    return found


def examine_echoes(data_dir: Path, batch_id: str, sent: Sequence[Mapping[str, Any]]) -> Findings:
    """As `examine_batch`, of a batch of chats of the echo engine: each answer is the one to its own line's text."""
    found = examine_batch(data_dir, batch_id, [line["custom_id"] for line in sent])
    echoes = {line["custom_id"]: _echo(line["body"]["messages"][-1]["content"]) for line in sent}
    with closing(_connect(data_dir)) as connection:
        content = _published(connection, data_dir, batch_id)
    for line in (line for text in content.values() for line in text.splitlines()):
        if (custom_id := _custom_id(line)) in echoes and _said(line) not in (None, echoes[custom_id]):
            found.damage.append(f"{batch_id}: {custom_id} has the answer to another line")
    return found


def examine_folder(data_dir: Path) -> Findings:
    """The database is sound and every file that it names is there, as it was when it got its name."""
    found = Findings()
    with closing(_connect(data_dir)) as connection:
        for check in ("integrity_check", "foreign_key_check"):
            rows = [tuple(row) for row in connection.execute(f"PRAGMA {check}")]
            if rows not in ([("ok",)], []):
                found.damage.append(f"{check}: {rows[:3]}")
        for file in _all(connection, "SELECT * FROM files WHERE deleted_at IS NULL"):
            path = data_dir / file["path"]
            if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != file["sha256"]:
                found.damage.append(
                    f"{file['id']} ({file['purpose']}) is not what it was when it got its name"
                )
    return found


def statuses(data_dir: Path) -> dict[str, str]:
    """The state of each batch by id."""
    with closing(_connect(data_dir)) as connection:
        return dict(connection.execute("SELECT id, status FROM batches").fetchall())


def _connect(data_dir: Path) -> Any:
    connection = dbapi2.connect(str(data_dir / "batch.db"), timeout=30)
    connection.row_factory = dbapi2.Row
    return connection


def _all(connection: Any, query: str, *values: str) -> list[Any]:
    return list(connection.execute(query, values))


def _one(connection: Any, query: str, *values: str) -> Any:
    [row] = _all(connection, query, *values)
    return row


def _published(connection: Any, data_dir: Path, batch_id: str) -> dict[str, bytes]:
    """What is in each of a batch's files."""
    batch = _one(connection, "SELECT * FROM batches WHERE id = ?", batch_id)
    return {kind: _bytes_of(connection, data_dir, batch[f"{kind}_file_id"]) for kind in ("output", "error")}


def _bytes_of(connection: Any, data_dir: Path, file_id: str | None) -> bytes:
    if file_id is None:
        return b""
    return (data_dir / _one(connection, "SELECT path FROM files WHERE id = ?", file_id)["path"]).read_bytes()


def _custom_id(line: bytes) -> str:
    """Of a whole answer; "" of anything else."""
    try:
        return str(orjson.loads(line)["custom_id"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ""


def _echo(text: str) -> str:
    """What the echo engine says in the end to a text."""
    refusal = re.search(r"\[\[fail (\d+)\]\]", text)
    return f"The text asked for a {refusal[1]}." if refusal else text


def _said(line: bytes) -> str | None:
    """By the engine, in a whole answer; None where it was not asked to the end."""
    response = orjson.loads(line).get("response")
    if response is None:
        return None
    body = response["body"]
    return str(body["error"]["message"] if "error" in body else body["choices"][0]["message"]["content"])
