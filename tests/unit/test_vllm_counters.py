"""vLLM's figures about itself, added up from what it hands over after each step."""

from types import SimpleNamespace
from typing import Any

from batch_app.inference.engine import EngineCounters
from batch_app.inference.vllm_counters import VllmCounters


def scheduler(**figures: Any) -> SimpleNamespace:
    """A scheduler's figures after a step, by vLLM's names; `queries` and `hits` are of its prefix cache."""
    cache = {name: figures.pop(name, 0) for name in ("queries", "hits")}
    idle = {
        "num_running_reqs": 0,
        "num_waiting_reqs": 0,
        "num_skipped_waiting_reqs": 0,
        "kv_cache_usage": 0.0,
    }
    return SimpleNamespace(prefix_cache_stats=SimpleNamespace(**cache), **{**idle, **figures})


def step(*, prompt: int = 0, generated: int = 0, preempted: int = 0) -> SimpleNamespace:
    return SimpleNamespace(
        num_prompt_tokens=prompt, num_generation_tokens=generated, num_preempted_reqs=preempted
    )


def test_an_engine_that_has_done_nothing_reads_as_zeros() -> None:
    assert VllmCounters().reading(busy_seconds=0.0) == EngineCounters()


def test_what_a_step_adds_is_added_up_and_what_it_finds_is_the_latest() -> None:
    counters = VllmCounters()
    first = scheduler(num_running_reqs=4, num_waiting_reqs=9, kv_cache_usage=0.5, queries=100, hits=20)
    counters.record(first, step(prompt=100, generated=4, preempted=1))
    second = scheduler(
        num_running_reqs=3,
        num_waiting_reqs=5,
        num_skipped_waiting_reqs=2,
        kv_cache_usage=0.25,
        queries=30,
        hits=30,
    )
    counters.record(second, step(prompt=30, generated=3, preempted=2), mm_cache_stats=None)
    assert counters.reading(busy_seconds=1.5) == EngineCounters(
        prompt_tokens=130,
        generation_tokens=7,
        requests_running=3,
        requests_waiting=5 + 2,
        preemptions=3,
        prefix_cache_queries=130,
        prefix_cache_hits=50,
        kv_cache_usage=0.25,
        busy_seconds=1.5,
    )


def test_either_half_of_a_step_s_figures_may_be_missing() -> None:
    counters = VllmCounters()
    counters.record(scheduler(num_running_reqs=2), None)
    counters.record(None, step(generated=5))
    reading = counters.reading(busy_seconds=0.0)
    assert (reading.requests_running, reading.generation_tokens) == (2, 5)


def test_several_schedulers_are_added_up_and_the_fullest_cache_counts() -> None:
    counters = VllmCounters()
    for running, usage in ((1, 0.9), (2, 0.1)):  # each of them twice: only the latest figures are its own
        for engine in (0, 1):
            figures = scheduler(num_running_reqs=running + engine, kv_cache_usage=usage + engine / 20)
            counters.record(figures, None, engine_idx=engine)
    reading = counters.reading(busy_seconds=0.0)
    assert (reading.requests_running, reading.kv_cache_usage) == (2 + 3, 0.1 + 1 / 20)
