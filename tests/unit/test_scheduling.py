"""Which model is loaded and whose line is next: priority first, then fairly, and nobody waits for ever."""

from collections import Counter, deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from batch_app.processing.claimed_batch import ClaimedBatch
from batch_app.processing.scheduling import (
    ALONE_SECONDS,
    OTHERS_SECONDS,
    SuspectSchedule,
    choose_model,
    next_run,
    next_suspect,
)
from batch_app.states import BatchStatus
from batch_app.store.batches import Batch
from batch_app.store.claims import Claim
from batch_app.store.request_writes import FetchedRequest

TURN = 900.0
DAY = 24 * 3600.0
NewRun = Callable[..., ClaimedBatch]


def batch(**fields: Any) -> Batch:
    known = {"id": "batch_a", "status": BatchStatus.IN_PROGRESS, "priority": 0, "served_model": "a"}
    return Batch(**{**dict.fromkeys(Batch.__dataclass_fields__), **known, **fields})


def choose(models: str, *, loaded: str | None, since: float = 0.0, now: float = 0.0) -> str | None:
    waiting = [batch(served_model=model) for model in models]
    return choose_model(waiting, loaded=loaded, loaded_since=since, turn_seconds=TURN, now=now)


@pytest.fixture
def new_run(tmp_path: Path) -> Iterator[NewRun]:
    """Runs with a number of lines ready, or with a suspect."""
    (tmp_path / "input").touch()
    runs = []

    def make(name: str, *, ready: int = 0, priority: int = 0, suspect: bool = False) -> ClaimedBatch:
        found, claim = batch(id=name, priority=priority), Claim(name, "w", 1, 0, 0)
        run = ClaimedBatch(found, claim, source=tmp_path / "input", work_folder=tmp_path)
        run.ready = deque(FetchedRequest(line, "c", 0, 1, 0, 0) for line in range(ready))
        run.suspect = FetchedRequest(0, "c", 0, 1, 0, 2) if suspect else None
        runs.append(run)
        return run

    yield make
    for run in runs:
        run.close()


def feed(runs: list[ClaimedBatch], lines: int) -> list[str]:
    """Whose lines go to the engine, in order."""
    fed = []
    for turn in range(1, lines + 1):
        run = next_run(runs)
        assert run is not None
        run.ready.popleft()
        run.last_fed = turn
        fed.append(run.id)
    return fed


def test_without_a_model_the_first_batch_decides() -> None:
    assert choose("ba", loaded=None) == "b"
    assert choose("", loaded=None) is None


def test_the_loaded_model_stays_while_it_has_work_and_its_turn_lasts() -> None:
    assert choose("ba", loaded="a", now=TURN - 1) == "a"


def test_the_loaded_model_stays_past_its_turn_when_nobody_else_waits() -> None:
    assert choose("aa", loaded="a", now=10 * TURN) == "a"


def test_the_loaded_model_stays_when_nothing_waits_at_all() -> None:
    assert choose("", loaded="a", now=10 * TURN) == "a"


def test_another_model_comes_when_the_turn_is_over() -> None:
    assert choose("abc", loaded="a", now=TURN) == "b"


def test_another_model_comes_at_once_when_the_loaded_one_has_no_work() -> None:
    assert choose("cb", loaded="a", now=1) == "c"


def test_every_model_that_waits_gets_its_turn() -> None:
    loaded, seen = "a", set()
    for turn in range(1, 7):
        loaded = choose("abc", loaded=loaded, since=(turn - 1) * TURN, now=turn * TURN) or ""
        seen.add(loaded)
    assert seen == {"a", "b", "c"}


def test_runs_of_the_same_priority_take_turns(new_run: NewRun) -> None:
    runs = [new_run("large", ready=100), new_run("small", ready=3), new_run("middle", ready=10)]
    assert Counter(feed(runs, 9)) == {"large": 3, "small": 3, "middle": 3}


def test_a_small_batch_does_not_wait_behind_a_large_one_that_came_first(new_run: NewRun) -> None:
    large = new_run("large", ready=1_000)
    feed([large], 500)
    assert feed([large, new_run("small", ready=2)], 4).count("small") == 2


def test_a_higher_priority_goes_first_and_leaves_nothing_to_others_until_it_is_done(new_run: NewRun) -> None:
    runs = [new_run("low", ready=5), new_run("high", ready=3, priority=10)]
    assert feed(runs, 5) == ["high"] * 3 + ["low"] * 2


def test_runs_without_a_line_at_hand_are_passed_over(new_run: NewRun) -> None:
    assert next_run([new_run("empty", ready=0)]) is None
    assert next_run([]) is None


def test_the_suspects_of_runs_take_turns_after_those_of_higher_priority(new_run: NewRun) -> None:
    runs = [new_run(name, suspect=True) for name in "ab"] + [new_run("high", suspect=True, priority=1)]
    runs[0].last_fed = 5
    assert next_suspect(runs) is runs[2]
    assert next_suspect(runs[:2]) is runs[1]
    assert next_suspect([new_run("none", ready=3)]) is None


def test_others_stop_for_suspects_when_these_have_waited_and_go_on_when_they_had_their_time(
    new_run: NewRun,
) -> None:
    turn, suspected, ready = SuspectSchedule(), new_run("a", suspect=True), new_run("b", ready=9)

    def is_on(now: float, *, held: int) -> bool:
        return turn.is_on(suspected, ready, held=held, now=now)

    assert not is_on(0, held=8)
    assert not is_on(OTHERS_SECONDS - 1, held=8)
    assert is_on(OTHERS_SECONDS, held=8)
    emptied_at = OTHERS_SECONDS + 1000
    assert is_on(emptied_at, held=0), "however long the window took to empty"
    assert is_on(emptied_at + ALONE_SECONDS + 5, held=1), "nothing is sent while a suspect is alone"
    ended_at = emptied_at + ALONE_SECONDS + 10
    assert not is_on(ended_at, held=0)
    assert not is_on(ended_at + OTHERS_SECONDS - 1, held=8)
    assert is_on(ended_at + OTHERS_SECONDS, held=8)


def test_a_turn_of_suspects_ends_with_the_last_of_them_and_is_waited_for_anew(new_run: NewRun) -> None:
    turn, suspected, ready = SuspectSchedule(), new_run("a", suspect=True), new_run("b", ready=9)
    turn.is_on(suspected, ready, held=8, now=0)
    assert turn.is_on(suspected, ready, held=0, now=OTHERS_SECONDS)
    assert not turn.is_on(None, ready, held=0, now=OTHERS_SECONDS + 1)
    assert not turn.is_on(suspected, ready, held=8, now=OTHERS_SECONDS + 2)


def test_a_higher_priority_is_not_stopped_for_suspects_but_waits_for_the_end_of_their_turn(
    new_run: NewRun,
) -> None:
    turn, suspected = SuspectSchedule(), new_run("a", suspect=True)
    low, high = new_run("low", ready=9), new_run("high", ready=9, priority=1)
    for now in (0, OTHERS_SECONDS, 10 * OTHERS_SECONDS):
        assert not turn.is_on(suspected, high, held=8, now=now)
    assert turn.is_on(suspected, low, held=8, now=10 * OTHERS_SECONDS + 1)
    assert turn.is_on(suspected, high, held=8, now=10 * OTHERS_SECONDS + 2)
