"""P6: three small batches of one model, submitted at once, against one batch of all their lines, in turn."""

from collections.abc import Iterator

from scripts.bench.context import Bench
from scripts.bench.figures import Figure, Target, median_ratio
from scripts.bench.workloads import uniform

ROWS = ("P6",)
_BATCHES = 3


def measure(bench: Bench) -> Iterator[Figure]:
    each = bench.options.sizes.small_batch
    prompts = uniform(_BATCHES * each, seed=6)
    parts = [prompts[start : start + each] for start in range(0, len(prompts), each)]
    seconds, others = bench.in_turn(
        {
            "three batches": bench.batches(parts),
            "one batch": bench.batch(prompts),
        }
    )
    yield Figure(
        "P6",
        f"{_BATCHES} batches of {each} at once: time against one of {len(prompts)}",
        Target("≤", 1.10),
        median_ratio(seconds["three batches"], seconds["one batch"]),
        runs=seconds,
        others=others,
    )
