"""Promises of the loop: trouble is borne as long as patience lasts, and the server's own pause is kept."""

from collections.abc import Iterator

import pytest

from scripts.client import waiting
from scripts.client.errors import BusyError, ClientError, UnavailableError
from scripts.client.progress import Pace, Progress, Standing, duration
from scripts.client.waiting import Patience, run_to_end


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(waiting, "time", clock)
    return clock


class Script:
    """Turns that end as the script says: True, False or an exception; finished with its last line."""

    def __init__(self, *outcomes: bool | ClientError) -> None:
        self._outcomes: Iterator[bool | ClientError] = iter(outcomes)
        self._left = len(outcomes)

    @property
    def finished(self) -> bool:
        return self._left == 0

    def run_once(self, _now: float, /) -> bool:
        self._left -= 1
        outcome = next(self._outcomes)
        if isinstance(outcome, ClientError):
            raise outcome
        return outcome

    def standing(self) -> Standing:
        return Standing(total=1, done=0, failed=0, doing="")


def turn(script: Script, patience_seconds: float = 100) -> None:
    run_to_end(script, Progress(quiet=True), interval_seconds=2, patience=Patience(patience_seconds))


def test_it_sleeps_between_turns_but_not_when_there_is_more_to_do(clock: Clock) -> None:
    turn(Script(True, True, False, False))
    assert clock.slept == [0, 0, 2]


def test_pauses_double_while_there_is_trouble_and_start_anew_after_a_good_turn(clock: Clock) -> None:
    trouble = UnavailableError("gone")
    turn(Script(trouble, trouble, trouble, False, trouble, False))
    assert clock.slept == [1, 2, 4, 2, 1]


def test_patience_ends(clock: Clock) -> None:
    with pytest.raises(UnavailableError, match="gone"):
        turn(Script(*[UnavailableError("gone")] * 50), patience_seconds=100)
    assert 100 <= clock.now < 200


def test_a_busy_server_is_asked_again_when_it_said_so_and_for_ever(clock: Clock) -> None:
    turn(Script(*[BusyError("hot", retry_after_seconds=30)] * 500, True), patience_seconds=100)
    assert set(clock.slept) == {30}


def test_a_refusal_ends_it_at_once(clock: Clock) -> None:
    with pytest.raises(ClientError, match="no"):
        turn(Script(ClientError("no"), True))
    assert clock.slept == []


def test_loading_a_model_does_not_count_as_slow_answering() -> None:
    pace = Pace()
    assert [pace.note(second, done=7) for second in range(100)] == [0] * 100
    assert [pace.note(99 + second, done=7 + 3 * second) for second in (1, 2, 5)] == [3, 3, 3]


def test_the_pace_is_that_of_the_last_minute() -> None:
    pace = Pace()
    slow = [pace.note(second, done=second) for second in range(200)]
    fast = [pace.note(199 + second, done=199 + 10 * second) for second in range(1, 61)]
    assert (slow[-1], fast[-1]) == (1, 10)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (61, "1 min 1 s"),
        (3_600, "1 h 0 min"),
        (72_000, "20 h 0 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_durations_are_said_in_two_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text
