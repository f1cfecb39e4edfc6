"""P5: what ordering costs where there is nothing to gain.

The batch of P1 with `order=auto` against `order=submission`, in turn. Planning is measured apart, in a process of its
own: the sketches and the order of 50,000 parsed lines, seconds and highest resident size less that before.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from scripts.bench.context import Bench
from scripts.bench.figures import Figure, Target, median_ratio
from scripts.bench.workloads import uniform, write_bulk

ROWS = ("P5",)


def measure(bench: Bench) -> Iterator[Figure]:
    sizes = bench.options.sizes
    file = write_bulk(
        bench.new_folder() / "plan.jsonl",
        count=sizes.bulk_lines,
        line_bytes=sizes.bulk_bytes // sizes.bulk_lines,
        model="m",
    )
    run = bench.noise.run("planning", lambda: _plan(file))
    seconds, grown = run.value
    work = f"planning {sizes.bulk_lines:,} lines"
    yield Figure("P5", work, Target("≤", 10, "s"), seconds, "s", others=run.others)
    yield Figure("P5", f"{work}, memory", Target("≤", 300, "MB"), grown / 1e6, "MB", others=run.others)
    prompts = uniform(sizes.prompts)
    timed, others = bench.in_turn(
        {
            "auto order": bench.batch(prompts, {"order": "auto"}),
            "submission order": bench.batch(prompts, {"order": "submission"}),
        }
    )
    yield Figure(
        "P5",
        f"ordering a uniform batch of {sizes.prompts}: time against submission order",
        Target("≤", 1.01),
        median_ratio(timed["auto order"], timed["submission order"]),
        runs=timed,
        others=others,
    )


def _plan(file: Path) -> tuple[float, int]:
    command = [sys.executable, "-m", "scripts.bench.planning", str(file)]
    output = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    seconds, grown = json.loads(output)
    return seconds, grown
