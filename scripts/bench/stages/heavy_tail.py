"""P4: 8 % of the requests want 384 tokens, the rest 24, and their `max_tokens` says so.

Three contestants in turn with 16 sequences at a time: `order=auto`, `order=submission` (the order of arrival), and
`LLM.chat` of 32 requests at a time with a barrier between them.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

from scripts.bench.context import Bench
from scripts.bench.figures import Figure, Target, median_ratio
from scripts.bench.workloads import heavy_tail

ROWS = ("P4",)
_SEQUENCES = 16
_CHUNK = 32


def measure(bench: Bench) -> Iterator[Figure]:
    count = bench.options.sizes.tail_prompts
    file = bench.file(heavy_tail(count))
    engine: dict[str, Any] = {"max_num_seqs": _SEQUENCES}
    seconds, others = bench.in_turn(
        {
            "auto order": bench.batch(file, {"order": "auto"}, **engine),
            "arrival order": bench.batch(file, {"order": "submission"}, **engine),
            "chunks with a barrier": lambda: partial(
                bench.yardstick("chat", **engine).seconds, file, chunk=_CHUNK
            ),
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
