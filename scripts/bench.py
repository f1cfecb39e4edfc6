"""Measures this machine: what the system costs around an engine, and how it compares to vLLM alone.

`scripts/bench.py system` sends a full-size file through API and worker with the echo engine, so everything but the
model is measured. `scripts/bench.py engine` answers the same prompts with real vLLM twice: end to end through this
system, and with `LLM.chat` of all at once in a process of its own, in turn. Ratios, not absolutes: machines are noisy.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import requests

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.sample_candidates import DEFAULT_MODEL
from scripts.sample_candidates import requests as sample_requests

PROJECT = Path(__file__).resolve().parent.parent
PORT = 4089
URL = f"http://127.0.0.1:{PORT}"
POLL_SECONDS = 0.05
LINE_BYTES = 4000


@contextmanager
def running(folder: Path, engine: str) -> Iterator[dict[str, psutil.Process]]:
    """API and worker on a data folder of their own."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("BATCH_")}
    own = {"BATCH_DATA_DIR": str(folder / "data"), "BATCH_API_PORT": str(PORT), "BATCH_ENGINE": engine}
    with (folder / "log").open("wb") as log:
        started = {
            name: subprocess.Popen(
                [sys.executable, "-m", f"batch_app.{name}"],
                cwd=PROJECT,
                env={**clean, **own},
                stdout=log,
                stderr=log,
            )
            for name in ("api_server", "worker")
        }
        try:
            wait_for_worker(started)
            yield {name: psutil.Process(process.pid) for name, process in started.items()}
        finally:
            for process in started.values():
                process.terminate()
            for process in started.values():
                process.wait(timeout=60)


def wait_for_worker(started: dict[str, subprocess.Popen[bytes]]) -> None:
    while all(process.poll() is None for process in started.values()):
        try:
            if requests.get(f"{URL}/readyz", timeout=5).ok:
                return
        except requests.ConnectionError:
            pass
        time.sleep(POLL_SECONDS)
    raise SystemExit(f"error: API or worker ended at once; is port {PORT} taken, or the model missing?")


def submit(content: bytes) -> str:
    answer = requests.post(
        f"{URL}/v1/batches", files={"file": content}, data={"model": DEFAULT_MODEL}, timeout=120
    )
    answer.raise_for_status()
    return str(answer.json()["batch_id"])


def wait_for_end(batch_id: str) -> dict[str, Any]:
    while True:
        batch: dict[str, Any] = requests.get(f"{URL}/v1/batches/{batch_id}", timeout=60).json()
        if batch["status"] in {"completed", "failed"}:
            return batch
        time.sleep(POLL_SECONDS)


def through_the_system(content: bytes) -> float:
    """Seconds from "batch accepted" to "last line durable". Raises SystemExit unless every line is answered."""
    batch_id = submit(content)
    began = time.monotonic()
    batch = wait_for_end(batch_id)
    seconds = time.monotonic() - began
    if batch["request_counts"]["completed"] != batch["total_requests"]:
        raise SystemExit(f"error: not every line was answered: {batch['request_counts']} {batch['errors']}")
    return seconds


def measure_system(lines: int) -> dict[str, float]:
    filler = "x" * LINE_BYTES
    rows = ({"messages": [{"role": "user", "content": f"{number} {filler}"}]} for number in range(lines))
    content = "".join(
        json.dumps({"custom_id": f"line-{i}", "method": "POST", "url": "/v1/chat/completions", "body": body})
        + "\n"
        for i, body in enumerate(rows)
    ).encode()
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), "echo") as processes:
        through_the_system(content[: content.index(b"\n") + 1])
        before = {name: process.memory_info().rss for name, process in processes.items()}
        began = time.monotonic()
        batch_id = submit(content)
        accepted = time.monotonic() - began
        wait_for_end(batch_id)
        took = time.monotonic() - began - accepted
        grown = {name: process.memory_info().rss - before[name] for name, process in processes.items()}
    return {
        "lines": lines,
        "megabytes": len(content) / 1e6,
        "accepted_seconds": accepted,
        "lines_per_second": lines / took,
        "api_grown_megabytes": grown["api_server"] / 1e6,
        "worker_grown_megabytes": grown["worker"] / 1e6,
    }


def prompts(count: int, tokens: int) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in sample_requests(count, DEFAULT_MODEL, tokens)]
    for row in rows:
        row["body"]["ignore_eos"] = True
    return rows


def measure_engine(count: int, tokens: int, pairs: int) -> dict[str, Any]:
    rows = prompts(count, tokens)
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    warm_up = "".join(json.dumps(row) + "\n" for row in prompts(8, 8)).encode()
    ours, alone = [], []
    for _ in range(pairs):
        with tempfile.TemporaryDirectory() as folder, running(Path(folder), "vllm"):
            through_the_system(warm_up)
            ours.append(through_the_system(content))
        alone.append(llm_chat_in_a_process(count, tokens))
    ratios = [theirs / own for own, theirs in zip(ours, alone, strict=True)]
    return {
        "prompts": count,
        "output_tokens_each": tokens,
        "system_seconds": ours,
        "llm_chat_seconds": alone,
        "speed_ratio_median": statistics.median(ratios),
    }


def llm_chat_in_a_process(count: int, tokens: int) -> float:
    command = [sys.executable, str(PROJECT / "scripts" / "bench_llm_chat.py"), str(count), str(tokens)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"error: LLM.chat failed:\n{done.stderr[-2000:]}")
    return float(done.stdout.splitlines()[-1])


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="?", choices=["system", "engine", "all"], default="all")
    parser.add_argument("--lines", type=int, default=50_000, help="lines through the echo engine")
    parser.add_argument("--prompts", type=int, default=128, help="prompts for the real engine")
    parser.add_argument("--tokens", type=int, default=64, help="output tokens of each")
    parser.add_argument("--pairs", type=int, default=1, help="interleaved pairs of runs of the real engine")
    options = parser.parse_args()
    measured: dict[str, Any] = {}
    if options.what in {"system", "all"}:
        measured["system"] = measure_system(options.lines)
    if options.what in {"engine", "all"}:
        measured["engine"] = measure_engine(options.prompts, options.tokens, options.pairs)
    print(json.dumps(measured, indent=2, default=lambda value: round(value, 3)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
