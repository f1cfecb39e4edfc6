"""Whether an engine works, felt turn by turn: a hung one is found out, one that works hard is left alone."""

from collections.abc import Callable

from batch_app.inference.engine import EngineCounters
from batch_app.processing.stall_detector import StallDetector

STALL = 100.0
Readings = Callable[[float], EngineCounters]


def found_at(
    readings: Readings, *, until: float = 2000, in_flight: int = 5, step: float = 0.25
) -> float | None:
    """When the engine with these readings is taken to be hung; None when it never is."""
    pulse, now = StallDetector(stall_seconds=STALL), 0.0
    while now < until:
        if pulse.stalled(now, readings(now), in_flight=in_flight):
            return now
        now += step
    return None


def test_a_stopped_engine_is_found_out_within_two_minutes() -> None:
    at = found_at(lambda _now: EngineCounters(prompt_tokens=100, generation_tokens=50, requests_running=5))
    assert at is not None
    assert STALL < at <= 120


def test_the_threads_of_a_hung_process_are_no_sign_of_work() -> None:
    at = found_at(lambda now: EngineCounters(generation_tokens=50, busy_seconds=now / 100))
    assert at is not None
    assert at <= 120


def test_any_counter_that_moves_is_a_sign_of_work() -> None:
    slow = STALL - 1
    for moving in ("prompt_tokens", "generation_tokens", "requests_running", "prefix_cache_queries"):
        assert found_at(lambda now, moving=moving: EngineCounters(**{moving: int(now / slow)})) is None  # type: ignore[misc]


def test_a_long_prompt_fills_the_cache_step_by_step_and_raises_no_alarm() -> None:
    assert found_at(lambda now: EngineCounters(kv_cache_usage=int(now / 90) / 100)) is None


def test_one_step_may_take_minutes_as_long_as_it_computes() -> None:
    """A chunk of a big model on a small CPU, or a grammar that is compiled."""
    at = found_at(lambda now: EngineCounters(requests_running=1, busy_seconds=now / 2))
    assert at is not None
    assert 6 * STALL < at < 6 * STALL + 10


def test_an_engine_without_work_is_never_hung() -> None:
    assert found_at(lambda _now: EngineCounters(), in_flight=0) is None


def test_work_that_comes_after_a_long_rest_starts_the_count_anew() -> None:
    pulse = StallDetector(stall_seconds=STALL)
    for now in range(1000):
        assert not pulse.stalled(now, EngineCounters(), in_flight=0)
    assert not any(pulse.stalled(1000 + now, EngineCounters(), in_flight=5) for now in range(int(STALL)))


def test_time_in_which_this_process_slept_too_does_not_count() -> None:
    """A suspended laptop, a stopped worker: the engine slept as well."""
    pulse = StallDetector(stall_seconds=STALL)
    assert not pulse.stalled(0, EngineCounters(), in_flight=5)
    assert not pulse.stalled(1, EngineCounters(), in_flight=5)
    assert not pulse.stalled(10_000, EngineCounters(), in_flight=5)
