"""P4: 8 % of the requests want 384 tokens, the rest 24, and their `max_tokens` says so.

Three contestants in turn with 16 sequences at a time: `order=auto`, `order=submission` (the order of arrival), and
`LLM.chat` of 32 requests at a time with a barrier between them.

What an order can save at all are steps of the engine, above all those of a tail in which few sequences are left. Two
further lines say how many that is, and how much cheaper than a full step one of a single sequence is here.
"""

import heapq
import statistics
from collections.abc import Iterable, Iterator
from typing import Any

from scripts.bench.context import Bench
from scripts.bench.figures import Figure, Target, median_ratio
from scripts.bench.workloads import heavy_tail, uniform

ROWS = ("P4",)
_SEQUENCES = 16
_CHUNK = 32
_STEPS = 128


def measure(bench: Bench) -> Iterator[Figure]:
    count = bench.options.sizes.tail_prompts
    prompts = heavy_tail(count)
    engine: dict[str, Any] = {"max_num_seqs": _SEQUENCES}
    seconds, others = bench.in_turn(
        {
            "auto order": bench.batch(prompts, {"order": "auto"}, **engine),
            "arrival order": bench.batch(prompts, {"order": "submission"}, **engine),
            "chunks with a barrier": bench.compared("chat", prompts, chunk=_CHUNK, **engine),
        }
    )
    for name, bound in (("arrival order", 0.80), ("chunks with a barrier", 0.55)):
        yield Figure(
            "P4",
            f"{count} requests, 8 % long: time against {name}",
            Target("≤", bound),
            median_ratio(seconds["auto order"], seconds[name]),
            runs={"auto order, s": seconds["auto order"], f"{name}, s": seconds[name]},
            others=others,
        )
    lengths = [prompt.output_tokens for prompt in prompts]
    arrival, longest_first = _steps(lengths), _steps(sorted(lengths, reverse=True))
    yield Figure(
        "P4",
        "the same by the engine's steps alone",
        None,
        longest_first / arrival,
        note=f"{arrival:,} steps, longest first {longest_first:,}",
    )
    full, single, others = _step_seconds(bench)
    yield Figure(
        "P4",
        f"a step of one sequence: time against a step of {_SEQUENCES}",
        None,
        single / full,
        note=f"{1000 * single:.1f} ms against {1000 * full:.1f}",
        others=others,
    )


def _steps(lengths: Iterable[int]) -> int:
    """A token of each running answer a step, and the next request in the place of the first answer that ends."""
    ends = [0] * _SEQUENCES
    for length in lengths:
        heapq.heapreplace(ends, ends[0] + length)
    return max(ends)


def _step_seconds(bench: Bench) -> tuple[float, float, float]:
    """Of a step with all sequences, of one with a single one, and what others took. No prompt is in them: they are the
    difference that so many more tokens make."""
    seconds, others = bench.in_turn(
        {
            f"{count} of {tokens} tokens": bench.compared(
                "chat", uniform(count, output_tokens=tokens), max_num_seqs=_SEQUENCES
            )
            for count in (_SEQUENCES, 1)
            for tokens in (1, 1 + _STEPS)
        }
    )
    short, long, short_single, long_single = map(statistics.median, seconds.values())
    return (long - short) / _STEPS, (long_single - short_single) / _STEPS, others
