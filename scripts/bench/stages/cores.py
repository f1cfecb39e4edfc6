"""P12: all cores against vLLM's own choice, which keeps one of them free: `LLM.chat` of a part of P1's prompts.

The system leaves no core out (`VLLM_CPU_NUM_OF_RESERVED_CPU=0`); the other process binds its threads by vLLM's
`auto`. Nothing else differs. A GPU does not have the question.
"""

from collections.abc import Iterator

from scripts.bench.context import AUTO_BINDING, Bench
from scripts.bench.figures import Figure, Target, median_ratio
from scripts.bench.workloads import uniform

ROWS = ("P12",)
_SHARE = 4


def measure(bench: Bench) -> Iterator[Figure]:
    target, work = Target("≥", 1.5), "all CPU cores: speed against vLLM's `auto` binding"
    if bench.options.on_gpu:
        yield Figure("P12", work, target, None, note="the engine runs on a GPU here")
        return
    prompts = uniform(max(bench.options.sizes.prompts // _SHARE, 1))
    seconds, others = bench.in_turn(
        {
            "all cores": bench.compared("chat", prompts),
            "auto": bench.compared("chat-auto", prompts, environment=AUTO_BINDING),
        }
    )
    ratio = median_ratio(seconds["auto"], seconds["all cores"])
    yield Figure("P12", work, target, ratio, runs=seconds, others=others)
