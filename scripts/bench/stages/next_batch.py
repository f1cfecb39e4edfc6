"""P7: how soon the next batch of the loaded model begins, and what a system with nothing to do takes.

A batch of one request for one token, five times: "accepted" to "completed" is more than the time to the first token.
Then nothing is asked for a while; the CPU time of API, worker and engine is counted once vLLM has come to rest: on a
CPU its processes look for the next step in a loop for a second after the last.
"""

import time
from collections.abc import Iterator

from scripts.bench.context import Bench
from scripts.bench.figures import Figure, Target
from scripts.bench.system import System
from scripts.bench.workloads import Prompt

ROWS = ("P7",)
_TIMES = 5
_REST_SECONDS = 3.0


def measure(bench: Bench) -> Iterator[Figure]:
    system, model = bench.served(), bench.options.model
    file = bench.file([Prompt("Say one word.", 1)])
    runs = [bench.noise.run("one token", lambda: system.answer(file, model=model)) for _ in range(_TIMES)]
    yield Figure(
        "P7",
        "next batch of the loaded model: accepted to its first token durable, slowest of five",
        Target("≤", 2, "s"),
        max(run.value for run in runs),
        "s",
        runs={"s": [run.value for run in runs]},
        others=max(run.others for run in runs),
    )
    seconds = bench.options.sizes.idle_seconds
    idle = bench.noise.run("idle", lambda: _idle_share(system, seconds))
    work = f"idle system, model loaded, {seconds:g} s: share of one core"
    yield Figure("P7", work, Target("≤", 5, "%"), 100 * idle.value, "%", others=idle.others)


def _idle_share(system: System, seconds: float) -> float:
    time.sleep(_REST_SECONDS)
    before = system.cpu_seconds()
    time.sleep(seconds)
    return (system.cpu_seconds() - before) / seconds
