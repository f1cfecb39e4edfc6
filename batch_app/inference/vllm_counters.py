"""vLLM's figures about itself, added up step by step.

Takes the place of its Prometheus logger, which puts the latency of every token into a histogram, on the thread that
all answers pass. Imports no vllm: `record` is what vLLM calls.
"""

from typing import Any

from batch_app.inference.engine import EngineCounters


class VllmCounters:
    """One engine's, from its start. Written on vLLM's thread and read on the worker's: each reading is right by
    itself, and two may be a step apart."""

    def __init__(self) -> None:
        self._schedulers: dict[
            int, Any
        ] = {}  # the latest figures of each: data parallel engines have several
        self._prompt_tokens = self._generation_tokens = self._preemptions = 0
        self._cache_queries = self._cache_hits = 0

    def record(
        self, scheduler_stats: Any, iteration_stats: Any, *, engine_idx: int = 0, **_others: Any
    ) -> None:
        """After a step; either may be None."""
        if scheduler_stats is not None:
            self._schedulers[engine_idx] = scheduler_stats
            self._cache_queries += scheduler_stats.prefix_cache_stats.queries
            self._cache_hits += scheduler_stats.prefix_cache_stats.hits
        if iteration_stats is not None:
            self._prompt_tokens += iteration_stats.num_prompt_tokens
            self._generation_tokens += iteration_stats.num_generation_tokens
            self._preemptions += iteration_stats.num_preempted_reqs

    def record_admission_rejection(self, reason: str) -> None:
        """Its request is answered with an error, which is told there."""

    def reading(self, *, busy_seconds: float) -> EngineCounters:
        schedulers = list(self._schedulers.values())
        return EngineCounters(
            prompt_tokens=self._prompt_tokens,
            generation_tokens=self._generation_tokens,
            requests_running=sum(one.num_running_reqs for one in schedulers),
            requests_waiting=sum(one.num_waiting_reqs + one.num_skipped_waiting_reqs for one in schedulers),
            preemptions=self._preemptions,
            prefix_cache_queries=self._cache_queries,
            prefix_cache_hits=self._cache_hits,
            kv_cache_usage=max((one.kv_cache_usage for one in schedulers), default=0.0),
            busy_seconds=busy_seconds,
        )
