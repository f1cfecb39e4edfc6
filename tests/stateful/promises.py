"""What must be true after every step, whatever happened, checked against the database and the files themselves."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pysqlite3 import dbapi2

from batch_app.disk.files import KINDS, AnswerKind, read_stream
from batch_app.settings import Settings
from batch_app.states import (
    BATCH_MOVES,
    FINAL_BATCH_STATES,
    FINAL_REQUEST_STATES,
    REQUEST_MOVES,
    BatchStatus,
    RequestStatus,
)
from tests.stateful.incarnation import parsed, text_of

Row = dict[str, Any]
_FROZEN = ("completed", "failed", "cancelled", "expired")
_TOKENS = ("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens")


@dataclass
class View:
    """All rows at one moment."""

    batches: dict[str, Row]
    lines: dict[str, list[Row]]
    files: dict[str, Row]
    letters: list[Row]
    events: list[Row]
    moves: list[Row]


@dataclass
class Promises:
    """Remembers what was final and what was answered, and compares."""

    settings: Settings
    texts: dict[str, dict[str, str]]
    _final: dict[object, Row] = field(default_factory=dict)
    _answers: dict[tuple[str, str], bytes] = field(default_factory=dict)
    _epochs: Counter[str] = field(default_factory=Counter)
    _seen_moves: int = 0

    def __post_init__(self) -> None:
        self._connection = dbapi2.connect(str(self.settings.database_path), isolation_level=None)
        self._connection.row_factory = dbapi2.Row

    def close(self) -> None:
        self._connection.close()

    def check(self) -> View:
        view = self._look()
        self._moves_are_lawful(view)
        self._what_is_final_stays(view)
        for batch in view.batches.values():
            self._no_line_is_lost(batch, view.lines[batch["id"]])
            self._counts_add_up(batch, view.lines[batch["id"]])
            self._windows_are_kept(batch)
            self._answers_lie_side_by_side_and_never_move(view, batch)
        self._what_runs_is_claimed(view)
        self._files_are_there(view)
        self._ends_are_announced_once(view)
        self._dead_letters_name_failed_lines(view)
        self._limits_hold(view)
        return view

    def _look(self) -> View:
        lines = defaultdict(list)
        for row in self._rows("SELECT * FROM requests ORDER BY batch_id, line"):
            lines[row["batch_id"]].append(row)
        view = View(
            {row["id"]: row for row in self._rows("SELECT * FROM batches")},
            lines,
            {row["id"]: row for row in self._rows("SELECT * FROM files")},
            self._rows("SELECT * FROM dead_letters"),
            self._rows("SELECT * FROM events"),
            self._rows(f"SELECT * FROM moves WHERE id > {self._seen_moves} ORDER BY id"),
        )
        self._seen_moves = view.moves[-1]["id"] if view.moves else self._seen_moves
        return view

    def _rows(self, query: str) -> list[Row]:
        return [dict(row) for row in self._connection.execute(query)]

    def _moves_are_lawful(self, view: View) -> None:
        for move in view.moves:
            if move["what"] == "claim":
                assert move["old"] is None, f"taken from a worker that had not let go: {move}"
                assert move["line"] > self._epochs[move["batch_id"]], f"an epoch used twice: {move}"
                self._epochs[move["batch_id"]] = move["line"]
            elif move["old"] is None:
                assert move["new"] in ("queued", "failed", "pending"), move
            elif move["what"] == "batch":
                assert BatchStatus(move["new"]) in BATCH_MOVES[BatchStatus(move["old"])], move
            else:
                assert RequestStatus(move["new"]) in REQUEST_MOVES[RequestStatus(move["old"])], move

    def _what_is_final_stays(self, view: View) -> None:
        rows: dict[object, Row] = {}
        for batch in view.batches.values():
            if batch["status"] in FINAL_BATCH_STATES:
                rows[batch["id"]] = batch
            for line in view.lines[batch["id"]]:
                if line["status"] in FINAL_REQUEST_STATES:
                    rows[batch["id"], line["line"]] = line
        for key, before in self._final.items():
            assert rows.get(key) == before, f"final, and changed: {before} -> {rows.get(key)}"
        self._final = rows

    def _no_line_is_lost(self, batch: Row, lines: list[Row]) -> None:
        if batch["id"] in self.texts:  # an API that died while accepting told nobody what it accepted
            assert [line["custom_id"] for line in lines] == list(self.texts[batch["id"]]), batch
        assert len(lines) == batch["total_requests"], batch

    def _counts_add_up(self, batch: Row, lines: list[Row]) -> None:
        if batch["status"] not in FINAL_BATCH_STATES:
            return
        counted = Counter(line["status"] for line in lines)
        assert {name: batch[f"{name}_requests"] for name in _FROZEN} == {
            name: counted[name] for name in _FROZEN
        }, batch
        for name in _TOKENS:
            assert batch[name] == sum(line[name] for line in lines), (name, batch)

    def _windows_are_kept(self, batch: Row) -> None:
        if (expires_at := batch["expires_at"]) is None:
            return
        for begun in ("in_progress_at", "finalizing_at"):
            assert batch[begun] is None or batch[begun] < expires_at, f"{begun} past its window: {batch}"
        assert batch["expired_at"] is None or batch["expired_at"] >= expires_at, f"expired early: {batch}"

    def _answers_lie_side_by_side_and_never_move(self, view: View, batch: Row) -> None:
        for kind in KINDS:
            answered = [line for line in view.lines[batch["id"]] if line["answer_kind"] == kind]
            answered.sort(key=lambda line: line["answer_offset"])
            end = 0
            for line in answered:
                assert line["answer_offset"] == end, f"a gap or an overlap: {line}"
                end += line["answer_length"]
            stream = self._stream(view, batch, kind, end)
            for line in answered if stream is not None else []:
                at = line["answer_offset"]
                self._is_its_answer(batch, line, stream[at : at + line["answer_length"]])

    def _stream(self, view: View, batch: Row, kind: AnswerKind, end: int) -> bytes | None:
        """A batch's answers of one kind; None when their file was deleted."""
        if batch["status"] not in FINAL_BATCH_STATES:
            return b"".join(read_stream(self.settings.work_dir / batch["id"], kind, 0, end))
        file_id = batch["output_file_id" if kind == "output" else "error_file_id"]
        if file_id is None:
            assert end == 0, f"ended without a file for its answers: {batch}"
            return b""
        file = view.files[file_id]
        assert file["bytes"] == end, f"a file of answers that is not the sum of them: {file}"
        return None if file["deleted_at"] else self._path(file).read_bytes()

    def _is_its_answer(self, batch: Row, line: Row, answer: bytes) -> None:
        key = (line["batch_id"], line["custom_id"])
        if key not in self._answers:
            self._answers[key] = answer
            said = parsed(answer)
            assert said["custom_id"] == line["custom_id"]
            if line["status"] == "completed":
                assert said["response"]["body"]["model"] == batch["served_model"], "another model's answer"
            if line["status"] == "completed" and line["batch_id"] in self.texts:
                assert text_of(said) == self.texts[line["batch_id"]][line["custom_id"]]
        assert self._answers[key] == answer, f"an answer that was there has changed: {line}"

    def _what_runs_is_claimed(self, view: View) -> None:
        for batch in view.batches.values():
            running = [line for line in view.lines[batch["id"]] if line["status"] == "running"]
            assert not running or batch["worker_id"], f"running for nobody: {running} of {batch}"

    def _files_are_there(self, view: View) -> None:
        for file in view.files.values():
            if file["deleted_at"] is None:
                assert self._path(file).stat().st_size == file["bytes"], file
        for batch in view.batches.values():
            if batch["status"] not in FINAL_BATCH_STATES:
                source = view.files[batch["input_file_id"]]
                assert source["deleted_at"] is None, f"an open batch without its input: {batch}"

    def _path(self, file: Row) -> Path:
        return self.settings.data_dir / str(file["path"])

    def _ends_are_announced_once(self, view: View) -> None:
        told = {event["batch_id"]: event["type"] for event in view.events}
        ended = {
            batch["id"]: f"batch.{batch['status']}"
            for batch in view.batches.values()
            if batch["status"] in FINAL_BATCH_STATES
        }
        assert told == ended
        assert len(told) == len(view.events)

    def _dead_letters_name_failed_lines(self, view: View) -> None:
        status = {
            (line["batch_id"], line["line"]): line["status"]
            for lines in view.lines.values()
            for line in lines
        }
        retried = {batch["parent_batch_id"] for batch in view.batches.values()}
        for letter in view.letters:
            assert status[letter["batch_id"], letter["line"]] == "failed", letter
            assert (letter["retried_by_batch_id"] is not None) == (letter["batch_id"] in retried), letter

    def _limits_hold(self, view: View) -> None:
        active = [
            row for row in view.batches.values() if row["status"] in ("queued", "in_progress", "finalizing")
        ]
        assert len(active) <= self.settings.max_active_batches
        for lines in view.lines.values():
            for line in lines:
                assert line["attempts"] <= self.settings.max_attempts, line
                assert line["engine_deaths"] <= self.settings.max_engine_deaths, f"never alone: {line}"

    def at_rest(self) -> None:
        """After a sweep: every batch has ended, every custom_id stands in one of its files exactly once, and nothing
        lies around."""
        view = self.check()
        for batch in view.batches.values():
            assert batch["status"] in FINAL_BATCH_STATES
            streams = [self._stream(view, batch, kind, self._end(view, batch, kind)) for kind in KINDS]
            if None not in streams:
                names = [parsed(line)["custom_id"] for s in streams for line in (s or b"").splitlines()]
                assert sorted(names) == sorted(line["custom_id"] for line in view.lines[batch["id"]])
        assert list(self.settings.work_dir.iterdir()) == []
        present = {row["id"] for row in view.files.values() if row["deleted_at"] is None}
        assert {path.stem for path in self.settings.files_dir.iterdir()} == present
        assert self._rows("PRAGMA integrity_check") == [{"integrity_check": "ok"}]
        assert self._rows("PRAGMA foreign_key_check") == []

    def _end(self, view: View, batch: Row, kind: AnswerKind) -> int:
        return sum(line["answer_length"] for line in view.lines[batch["id"]] if line["answer_kind"] == kind)
