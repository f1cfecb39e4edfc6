"""The table, as Markdown that docs/performance.md holds, and the same figures as JSON."""

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import psutil

from batch_app.host.gpu import read_gpu
from scripts.bench.figures import Figure
from scripts.bench.quiet import LOUD


def machine() -> str:
    """The machine in a line, without its name."""
    gpu = read_gpu()
    memory = psutil.virtual_memory().total / 2**30
    parts = [f"{psutil.cpu_count()} CPU cores ({platform.machine()})", f"{memory:.0f} GiB"]
    return ", ".join([*parts, gpu.name if gpu else "no GPU"])


def table(figures: Sequence[Figure]) -> str:
    lines = ["| row | work | target | measured | verdict |", "| --- | --- | --- | --- | --- |"]
    for figure in sorted(figures, key=lambda figure: int(figure.row.removeprefix("P"))):
        note = f"; {figure.note}" if figure.note else ""
        loud, verdict = "", figure.verdict
        if figure.others > LOUD:
            loud, verdict = f"; others took {figure.others:.0%} of the CPU", f"{verdict} (disturbed)".strip()
        work = f"{figure.work}{note}{loud}"
        cells = (figure.row, work, str(figure.target or ""), figure.measured, verdict)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def write_json(path: Path, figures: Sequence[Figure], *, about: dict[str, object]) -> None:
    rows = [{**asdict(figure), "verdict": figure.verdict} for figure in figures]
    path.write_text(json.dumps({"about": about, "figures": rows}, indent=2, ensure_ascii=False) + "\n")
