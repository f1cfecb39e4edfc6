"""What the machine bears: heat, a GPU that is no longer read, memory."""

from batch_app.host.gpu import GpuSnapshot
from batch_app.processing.resource_guard import ResourceGuard

GIB = 1024**3


def card(temperature_c: float | None) -> GpuSnapshot:
    return GpuSnapshot("card", 0, 1, temperature_c=temperature_c)


def machine(*readings: GpuSnapshot | None, every: float = 10.0, memory: int = 0) -> ResourceGuard:
    """One that has seen these readings, one after the other."""
    seen = ResourceGuard(max_temperature_c=85, max_memory_bytes=30 * GIB)
    for number, reading in enumerate(readings):
        seen.look(1000 + number * every, reading, memory)
    return seen


def test_feeding_pauses_above_the_limit_and_resumes_five_degrees_below() -> None:
    hot = [machine(card(86), card(then)).is_hot for then in (86, 85, 80.5, 80, 70)]
    assert hot == [True, True, True, False, False]
    assert [machine(card(at)).is_hot for at in (84, 85, 85.5)] == [False, False, True]


def test_the_pause_is_told_with_both_temperatures() -> None:
    assert machine(card(86)).trouble == (
        "The GPU is at 86 °C: no request is sent to the engine until it is at 80 °C."
    )
    assert machine(card(86), card(79)).trouble is None


def test_a_reading_that_is_missing_now_and_then_changes_nothing() -> None:
    assert machine(card(86), None, card(None), None).is_hot
    assert not machine(card(60), None, card(None), None).is_hot
    assert machine(*[card(86), None] * 50).is_hot


def test_a_pause_ends_when_the_temperature_cannot_be_read_for_a_minute() -> None:
    assert machine(card(86), *[card(None)] * 6).is_hot
    assert not machine(card(86), *[card(None)] * 7).is_hot
    assert not machine(card(86), *[None] * 7).is_hot


def test_a_gpu_that_is_lost_is_told_of_and_one_that_never_was_is_not() -> None:
    assert machine(*[None] * 100).trouble is None
    assert machine(card(60), *[None] * 6).trouble is None
    assert "no longer answers" in (machine(card(60), *[None] * 7).trouble or "")
    assert machine(card(60), *[None] * 7, card(60)).trouble is None


def test_an_engine_is_replaced_when_the_worker_holds_too_much_but_not_all_the_time() -> None:
    crowded = machine(None, memory=31 * GIB)
    assert crowded.wants_new_engine(2000, ready_since=1000)
    assert not crowded.wants_new_engine(1500, ready_since=1000)
    assert not machine(None, memory=29 * GIB).wants_new_engine(9999, ready_since=1000)


def test_too_much_memory_is_told_of_with_both_figures() -> None:
    told = machine(None, memory=31 * GIB).trouble or ""
    assert "hold 31.0 GiB" in told
    assert "more than the 30.0 GiB of BATCH_MAX_MEMORY_PERCENT" in told


def test_no_limit_is_no_limit() -> None:
    free = ResourceGuard(max_temperature_c=85, max_memory_bytes=None)
    free.look(1000, None, 2**60)
    assert (free.is_crowded, free.trouble) == (False, None)
