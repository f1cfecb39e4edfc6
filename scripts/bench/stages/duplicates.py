"""P8: half of the lines ask the same, deterministically: `deduplicate=true` against the same batch without, in turn.

What deduplication gains is shown here only; no other row uses it.
"""

from collections.abc import Iterator

from scripts.bench.context import Bench
from scripts.bench.figures import Figure, Target, median_ratio
from scripts.bench.workloads import half_identical

ROWS = ("P8",)


def measure(bench: Bench) -> Iterator[Figure]:
    count = bench.options.sizes.prompts
    prompts = half_identical(count)
    seconds, others = bench.in_turn(
        {
            "deduplicated": bench.batch(prompts, {"deduplicate": "true"}),
            "all computed": bench.batch(prompts),
        }
    )
    yield Figure(
        "P8",
        f"{count} lines, half identical, deduplication on: time against off",
        Target("≤", 0.55),
        median_ratio(seconds["deduplicated"], seconds["all computed"]),
        runs=seconds,
        others=others,
    )
