"""P8: half of the lines ask the same, deterministically: `deduplicate=true` against the same batch without, in turn.

What deduplication gains is shown here only; no other row uses it. The engine has no prefix cache, which would know the
beginning of the copies.
"""

from collections.abc import Iterator
from typing import Any

from scripts.bench.context import Bench
from scripts.bench.figures import Figure, Target, median_ratio
from scripts.bench.workloads import half_identical

ROWS = ("P8",)


def measure(bench: Bench) -> Iterator[Figure]:
    count = bench.options.sizes.prompts
    prompts = half_identical(count)
    engine: dict[str, Any] = {"enable_prefix_caching": False}
    seconds, others = bench.in_turn(
        {
            "deduplicated": bench.batch(prompts, {"deduplicate": "true"}, **engine),
            "all computed": bench.batch(prompts, **engine),
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
