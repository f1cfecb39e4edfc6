"""The benchmarks at least run: hardly any work, the echo engine on both sides."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from batch_app.settings import PROJECT_DIR
from scripts.bench.__main__ import run
from scripts.bench.context import TINY, Bench, Options
from scripts.bench.figures import Figure, Target, median_ratio
from scripts.bench.quiet import NoiseRule, Reading, others_share
from scripts.bench.workloads import write_bulk

ROWS = {f"P{number}" for number in range(1, 14)}


@pytest.mark.process
def test_every_row_of_the_table_is_measured(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "scripts.bench", "--tiny", "--engine", "echo", "--tries", "1"]
    done = subprocess.run(
        [*command, "--into", str(tmp_path)], cwd=PROJECT_DIR, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    rows = [line.split(" | ") for line in done.stdout.splitlines() if line.startswith("| P")]
    assert {row[0].removeprefix("| ") for row in rows} == ROWS
    assert [row for row in rows if row[-1].startswith("not measured")] == []
    assert {path.name for path in tmp_path.iterdir()} == {"table.md", "figures.json", "plot.svg"}


@pytest.mark.process
@pytest.mark.parametrize("is_terminal", [True, False], ids=["Ctrl-C in a terminal", "SIGTERM to it alone"])
def test_a_run_that_is_ended_early_keeps_its_figures_and_leaves_no_process(
    tmp_path: Path, *, is_terminal: bool
) -> None:
    command = [sys.executable, "-m", "scripts.bench", "--tiny", "--engine", "echo", "--into", str(tmp_path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=PROJECT_DIR, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    ) as bench:
        assert bench.stderr is not None
        assert any(line.startswith("  P9 ") for line in bench.stderr)
        started = psutil.Process(bench.pid).children(recursive=True)
        if is_terminal:
            os.killpg(bench.pid, signal.SIGINT)
        else:
            bench.terminate()
        out, _ = bench.communicate(timeout=120)
    assert bench.returncode == 130
    assert "Ended by a signal before all was measured" in out
    rows = {line.split(" | ")[0].removeprefix("| ") for line in out.splitlines() if line.startswith("| P")}
    assert "P9" in rows < ROWS
    assert {path.name for path in tmp_path.iterdir()} == {"table.md", "figures.json", "plot.svg"}
    assert json.loads((tmp_path / "figures.json").read_text())["about"]["ended"]
    assert started
    assert [process for process in started if process.is_running()] == []


@pytest.mark.process
def test_the_memory_of_planning_is_not_what_the_benchmark_itself_has_held(tmp_path: Path) -> None:
    file = write_bulk(tmp_path / "lines.jsonl", count=2000, line_bytes=4000, model="m")
    held = b"x" * 300_000_000  # by the parent; a child's `ru_maxrss` begins with it
    command = [sys.executable, "-m", "scripts.bench.planning", str(file)]
    output = subprocess.run(command, cwd=PROJECT_DIR, stdout=subprocess.PIPE, check=True).stdout
    assert len(held) > json.loads(output)[1] > 0


def test_a_stage_that_breaks_costs_its_own_rows_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def breaks(_bench: Bench) -> Iterator[Figure]:
        yield Figure("P1", "work", None, 1.0)
        raise ConnectionResetError

    def holds(_bench: Bench) -> Iterator[Figure]:
        yield Figure("P2", "work", None, 1.0)

    stages = [
        SimpleNamespace(__name__=row, ROWS=(row,), measure=work)
        for row, work in (("P1", breaks), ("P2", holds))
    ]
    monkeypatch.setattr("scripts.bench.__main__.STAGES", stages)
    figures = list(run(Options(TINY, "m", "m", {}, "echo"), [], tmp_path))
    assert [(figure.row, figure.value, figure.note) for figure in figures] == [
        ("P1", 1.0, ""),
        ("P1", None, "ConnectionResetError"),
        ("P2", 1.0, ""),
    ]


def test_a_disturbed_run_is_done_again_and_the_quietest_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu_seconds = iter([0, 4, 4, 5, 5, 7])  # before and after each of three runs
    clock = iter(range(0, 60, 10))
    monkeypatch.setattr("psutil.cpu_count", lambda: 1)
    monkeypatch.setattr(
        "scripts.bench.quiet.read", lambda: Reading(at=next(clock), own=0, others=next(cpu_seconds))
    )
    values = iter([1.0, 2.0, 3.0])
    run = NoiseRule(tries=3, say=lambda _line: None).run("work", lambda: next(values))
    assert (run.value, run.others) == (2.0, 0.1)


def test_a_quiet_run_is_not_done_again(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = iter([Reading(at=0, own=0, others=0), Reading(at=10, own=10, others=0.1)])
    monkeypatch.setattr("scripts.bench.quiet.read", lambda: next(readings))
    assert NoiseRule(tries=3, say=lambda _line: None).run("work", lambda: 1.0).value == 1.0


def test_the_share_of_others_is_of_all_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psutil.cpu_count", lambda: 2)
    assert others_share(Reading(0, 0, 1), Reading(10, 0, 2)) == 0.05


def test_a_verdict_says_only_what_was_measured() -> None:
    def verdict(value: float | None) -> str:
        return Figure("P1", "work", Target("≥", 0.9), value).verdict

    assert [verdict(0.9), verdict(0.89), verdict(None)] == ["pass", "FAIL", "not measured"]


def test_ratios_are_of_pairs() -> None:
    assert median_ratio([10, 30, 20], [5, 10, 20]) == 2
