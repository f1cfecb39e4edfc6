"""`make bench`: runs the stages, prints one table with every row and writes it to bench/ as Markdown, JSON and SVG.

Some ten minutes by default on two cores, on reduced sizes; `--full` takes the targets' own sizes and three pairs of
each run. A row that cannot be measured here says why. Exits with 0 whatever the verdicts are; Ctrl-C ends it with the
figures it has by then, and 130.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
import tomllib
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import replace
from http.client import HTTPException
from pathlib import Path
from subprocess import SubprocessError
from types import FrameType, ModuleType
from typing import Any

from batch_app.inference.vllm_build import is_for_cuda
from batch_app.models import load_models
from batch_app.settings import PROJECT_DIR
from scripts.bench import plot, report
from scripts.bench.children import end_all
from scripts.bench.context import FULL, SHORT, TINY, Bench, Options
from scripts.bench.figures import Figure
from scripts.bench.stages import (
    bulk,
    cores,
    duplicates,
    echo,
    heavy_tail,
    merged,
    next_batch,
    prefixes,
    uniform,
    whole_batch,
)
from scripts.bench.system import BenchError
from scripts.sample_candidates import DEFAULT_MODEL

# In this order the model is loaded least often.
STAGES: Sequence[ModuleType] = (
    bulk, echo, whole_batch, next_batch, uniform, merged, duplicates, cores, heavy_tail, prefixes,
)  # fmt: skip
_ON_CPU = {"dtype": "bfloat16", "enforce_eager": True, "kv_cache_memory_bytes": 2 * 1024**3}
_SIZES = {"full": FULL, "short": SHORT, "tiny": TINY}
_ENDING = (signal.SIGINT, signal.SIGTERM)
_EXIT_INTERRUPTED = 130


def main() -> int:
    options, only, folder = _read_command_line()
    folder.mkdir(exist_ok=True)
    began = time.monotonic()
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        is_whole = _collect(figures, options, only, Path(scratch))
    if figures or is_whole:
        _write(figures, options, folder, began=began, is_whole=is_whole)
    else:
        print("\nended by a signal before anything was measured", file=sys.stderr)
    return 0 if is_whole else _EXIT_INTERRUPTED


def _collect(figures: list[Figure], options: Options, only: Sequence[str], folder: Path) -> bool:
    """Adds them as they come; false when a signal ended it. Nothing that was started lives on then, and a further
    signal changes nothing."""
    for number in _ENDING:
        signal.signal(number, _end)
    try:
        with closing(run(options, only, folder)) as measured:
            for figure in measured:
                figures.append(figure)
                print(f"  {figure.row} {figure.work}: {figure.measured}", file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        end_all()
        return False
    return True


def _end(_number: int, _frame: FrameType | None) -> None:
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)
    os.write(sys.stderr.fileno(), b"\n  ending what was started, then come the figures\n")
    raise KeyboardInterrupt


def _write(
    figures: Sequence[Figure], options: Options, folder: Path, *, began: float, is_whole: bool
) -> None:
    about: dict[str, object] = {
        "machine": report.machine(),
        "model": options.model,
        "engine": options.engine,
        "engine_arguments": options.engine_arguments,
        "sizes": options.sizes.name,
        "pairs": options.sizes.pairs,
        "minutes": round((time.monotonic() - began) / 60, 1),
        "at": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(began)),
    }
    parts = [" · ".join(f"{name} {value}" for name, value in about.items()), report.table(figures)]
    if not is_whole:
        about["ended"] = "by a signal before all was measured"
        parts.insert(1, f"Ended {about['ended']}: what there was until then.")
    text = "\n\n".join(parts)
    print(f"\n{text}")
    (folder / "table.md").write_text(f"{text}\n")
    (folder / "plot.svg").write_text(plot.svg(figures, title=f"{options.model} on {about['machine']}"))
    report.write_json(folder / "figures.json", figures, about=about)
    print(f"\nwritten: table.md, figures.json and plot.svg in {folder}")


def run(options: Options, only: Sequence[str], folder: Path) -> Generator[Figure, None, None]:
    """The figures of all rows, or of those in `only`. A stage that breaks costs its own rows only."""
    bench = Bench(options, folder, lambda line: print(f"  {line}", file=sys.stderr, flush=True))
    try:
        for stage in STAGES:
            wanted = [row for row in stage.ROWS if not only or row in only]
            if not wanted:
                continue
            try:
                yield from (figure for figure in stage.measure(bench) if figure.row in wanted)
            except (BenchError, OSError, HTTPException, SubprocessError) as error:
                reason = (str(error) or type(error).__name__).splitlines()[0]
                print(reason, error, sep="\n", file=sys.stderr)
                for row in wanted:
                    yield Figure(row, stage.__name__.rpartition(".")[2], None, None, note=reason)
    finally:
        bench.close()


def _read_command_line() -> tuple[Options, list[str], Path]:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "--full", action="store_true", help="full sizes, three pairs: an hour and more on a CPU"
    )
    parser.add_argument("--tiny", action="store_true", help="hardly any work: do the stages run?")
    parser.add_argument(
        "--pairs", type=int, metavar="N", help="runs of each contestant, instead of the size's"
    )
    parser.add_argument(
        "--prompts", type=int, metavar="N", help="prompts for the model, likewise; a GPU wants many"
    )
    parser.add_argument("--only", default="", metavar="ROWS", help="for example P9,P10")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="a name of models.toml, a hub id or a folder")
    parser.add_argument(
        "--engine-arg",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="as in models.toml, for all sides",
    )
    parser.add_argument(
        "--engine", choices=["vllm", "echo"], default="vllm", help="echo: no model on either side"
    )
    parser.add_argument("--tries", type=int, default=3, help="how often a disturbed run is done at most")
    parser.add_argument("--into", type=Path, default=PROJECT_DIR / "bench", help="folder of what is written")
    given = parser.parse_args()
    sizes = _SIZES["full" if given.full else "tiny" if given.tiny else "short"]
    asked = {name: getattr(given, name) for name in ("pairs", "prompts") if getattr(given, name) is not None}
    spec = load_models(PROJECT_DIR / "models.toml", allow_unlisted=True).resolve(given.model)
    assert spec is not None  # any name is allowed
    folder = Path(spec.source)
    source = str(folder.resolve()) if folder.is_dir() else spec.source
    on_gpu = is_for_cuda()
    arguments = {
        **({} if on_gpu else _ON_CPU),
        **spec.engine,
        **dict(map(_engine_argument, given.engine_arg)),
    }
    options = Options(
        replace(sizes, **asked), spec.name, source, arguments, given.engine, on_gpu, given.tries
    )
    return options, [row.strip().upper() for row in given.only.split(",") if row.strip()], given.into


def _engine_argument(text: str) -> tuple[str, Any]:
    """NAME=VALUE, the value as TOML has it; a bare word is a string."""
    name, _, value = text.partition("=")
    try:
        return name.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return name.strip(), value


if __name__ == "__main__":
    sys.exit(main())
