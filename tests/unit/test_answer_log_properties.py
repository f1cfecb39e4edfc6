"""Whatever claims, crashes and late workers do, a stream is exactly the committed answers in their order."""

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from batch_app.disk.files import KINDS, AnswerLog, Place, publish_stream, read_stream

kinds = st.sampled_from(KINDS)
answers = st.lists(st.binary(min_size=1, max_size=8), min_size=1, max_size=4)


class AnswerLogs(RuleBasedStateMachine):
    """A ledger in miniature: `recorded` is what it has committed, `appended` what it has not heard of yet."""

    def __init__(self) -> None:
        super().__init__()
        self.home = tempfile.TemporaryDirectory()
        self.folder = Path(self.home.name) / "work"
        self.epoch = 0
        self.recorded = dict.fromkeys(KINDS, b"")
        self.places: list[tuple[Place, bytes]] = []
        self.late: list[AnswerLog] = []
        self.logs: dict[str, AnswerLog] = {}
        self.claim()

    @rule()
    def claim(self) -> None:
        """The worker before, if any, crashed or was paused: what it had not recorded is lost."""
        self.late.extend(self.logs.values())
        self.epoch += 1
        self.logs = {
            kind: AnswerLog(self.folder, kind, epoch=self.epoch, base=len(self.recorded[kind]))
            for kind in KINDS
        }
        self.appended: dict[str, list[tuple[Place, bytes]]] = {kind: [] for kind in KINDS}

    @rule(kind=kinds, lines=answers, then=st.sampled_from(["recorded", "cut off", "left"]))
    def append(self, kind: str, lines: list[bytes], then: str) -> None:
        """Answers are recorded together with what was left before them, or the disk refuses and they are cut off."""
        log = self.logs[kind]
        size = log.size
        places = log.append(lines)
        if then == "cut off":
            log.cut_to(size)
            return
        self.appended[kind] += zip(places, lines, strict=True)
        if then == "recorded":
            self.recorded[kind] += b"".join(line for _place, line in self.appended[kind])
            self.places += self.appended[kind]
            self.appended[kind].clear()

    @rule(at=st.integers(0, 3), lines=answers)
    def append_late(self, at: int, lines: list[bytes]) -> None:
        """A worker that was paused past its lease goes on as if nothing had happened."""
        if at < len(self.late):
            self.late[-1 - at].append(lines)

    @invariant()
    def each_stream_is_what_was_recorded(self) -> None:
        for kind in KINDS:
            expected = self.recorded[kind]
            assert b"".join(read_stream(self.folder, kind, 0, len(expected))) == expected

    @invariant()
    def each_answer_lies_at_its_place(self) -> None:
        for place, line in self.places[-8:]:
            found = read_stream(self.folder, place.kind, place.offset, place.offset + place.length)
            assert b"".join(found) == line

    def is_published_as_recorded(self, kind: str) -> None:
        temporary, final = self.folder.parent / "part", self.folder.parent / "published"
        end = len(self.recorded[kind])
        published = publish_stream(self.folder, kind, end, temporary=temporary, final=final)
        assert (published.bytes, final.read_bytes()) == (end, self.recorded[kind])

    def teardown(self) -> None:
        for kind in KINDS:
            self.is_published_as_recorded(kind)
        for log in (*self.late, *self.logs.values()):
            log.close()
        self.home.cleanup()


TestAnswerLogs = AnswerLogs.TestCase
TestAnswerLogs.settings = settings(max_examples=40, stateful_step_count=20)
