"""P3: prompts that begin alike in groups, shuffled, with a KV cache that holds less than half of the beginnings.

The same batch twice in turn, `order=submission` and `order=auto`; 512 tokens of prefix, 5 requests each. The engine
is loaded for this with a KV cache of its own size (`num_gpu_blocks_override`; blocks are 16 tokens on a GPU, 128 on a
CPU). The note says which share of the prompts came from the cache.
"""

from collections.abc import Iterator
from typing import Any

from scripts.bench.context import Bench
from scripts.bench.figures import Figure, Target, median_ratio
from scripts.bench.workloads import shared_prefixes

ROWS = ("P3",)
_PREFIX_TOKENS = 512
_PER_GROUP = 5
_CACHE_SHARE = 0.4
_LEAST_TOKENS = 2048 + 128  # the longest prompt must fit


def measure(bench: Bench) -> Iterator[Figure]:
    groups = bench.options.sizes.prefix_groups
    prompts = shared_prefixes(groups, _PER_GROUP, prefix_tokens=_PREFIX_TOKENS)
    tokens = max(int(groups * _PREFIX_TOKENS * _CACHE_SHARE), _LEAST_TOKENS)
    engine = {
        "enable_prefix_caching": True,
        "num_gpu_blocks_override": -(-tokens // (16 if bench.options.on_gpu else 128)),
        "max_num_seqs": 16,
    }
    seconds, others = bench.in_turn(
        {
            "submission order": bench.batch(prompts, {"order": "submission"}, **engine),
            "auto order": bench.batch(prompts, {"order": "auto"}, **engine),
        }
    )
    batches = bench.served(**engine).get("/v1/batches?limit=100")["data"]
    shares = [_cached_share(batches, order) for order in ("submission", "auto")]
    yield Figure(
        "P3",
        f"{groups} prefixes of {_PER_GROUP} requests shuffled, cache smaller: speed against submission order",
        Target("≥", 2.0),
        median_ratio(seconds["submission order"], seconds["auto order"]),
        note=f"cached share of the prompts {shares[0]:.0%} → {shares[1]:.0%}",
        runs=seconds,
        others=others,
    )


def _cached_share(batches: list[dict[str, Any]], order: str) -> float:
    """Of the prompts of the last batch in that order."""
    usage = next(batch["usage"] for batch in batches if batch["order"] == order)
    return float(usage["input_tokens_details"]["cached_tokens"] / usage["input_tokens"])
