"""Loads a system of its own for as long as asked and prints what came of it. Exit status 1 when anything was wrong.

`python -m tests.load clients --seconds 600`: eight clients at once, beside two that stop reading their downloads;
before that for half a minute also beside a program from outside that holds on to the database.
`python -m tests.load memory --requests 100000`: MiB that API and worker take on per 1,000 requests.
"""

import argparse
import signal
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack, closing
from pathlib import Path

from tests.lines import chat_lines, jsonl
from tests.load.clients import Clients, Report, StuckReader, stuck_download, wal_bytes
from tests.load.memory import growth
from tests.processes.system import System
from tests.waiting import wait_until

WAL_LIMIT_BYTES = 64 * 2**20
MIB_PER_1000 = 1.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.load", description=__doc__)
    parser.add_argument("what", choices=["clients", "memory"])
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--reader-seconds", type=float, default=30, help="beside a program from outside")
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=4080)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the processes must not outlive it
    with tempfile.TemporaryDirectory() as folder:
        system = System(Path(folder) / "data", settings={"MAX_ACTIVE_BATCHES": "20"})
        try:
            system.start_api()
            system.start_worker()
            system.wait_for_worker()
            return _clients(system, arguments) if arguments.what == "clients" else _memory(system, arguments)
        finally:
            system.stop_all()


def _clients(system: System, arguments: argparse.Namespace) -> int:
    batch_id = system.submit(jsonl(chat_lines(3000, text="{} " + "words " * 600)))
    system.wait_for_end(batch_id, timeout=120)
    with ExitStack() as stuck:
        for path in ("results", "export?format=jsonl"):
            stuck.enter_context(stuck_download(system, f"/v1/batches/{batch_id}/{path}"))
        with closing(StuckReader(system)):
            before = Clients(system, how_many=arguments.clients, seed=arguments.seed + 1000)
            _tell(before.run(arguments.reader_seconds), "and a program from outside that reads the database")
        wait_until(
            lambda: wal_bytes(system) <= WAL_LIMIT_BYTES, what="the log to be cut", timeout=120, every=0.5
        )
        report = Clients(system, how_many=arguments.clients, seed=arguments.seed).run(arguments.seconds)
        _tell(report, "and two that stopped reading their downloads")
    return 1 if before.report.wrong or report.wrong or report.wal_bytes > WAL_LIMIT_BYTES else 0


def _tell(report: Report, beside: str) -> None:
    statuses = dict(sorted(report.statuses.items()))
    print(f"clients          {report.clients} for {report.seconds:.0f} s, {beside}")
    print(f"calls            {sum(statuses.values())}, by status {statuses}")
    print(f"lines submitted  {report.lines}")
    print(f"slowest call     {report.slowest_seconds:.2f} s")
    print(f"largest WAL      {report.wal_bytes / 2**20:.1f} MiB")
    print(f"wrong            {len(report.wrong)}")
    for line in report.wrong[:20]:
        print(f"  {line}")
    sys.stdout.flush()


def _memory(system: System, arguments: argparse.Namespace) -> int:
    grown: Counter[str] = Counter()
    for number, more in enumerate(growth(system, warm_up=10_000, lines=arguments.requests), 1):
        grown.update(more)
        if number % 10 == 0:
            told = ", ".join(f"{name} {mib:+.1f} MiB" for name, mib in grown.items())
            print(f"{number * 1000:>7} requests since the warm-up: {told}", flush=True)
    worst = max(grown.values()) / arguments.requests * 1000
    print(f"{worst:.3f} MiB per 1,000 requests, of {MIB_PER_1000} allowed")
    return 1 if worst > MIB_PER_1000 else 0


if __name__ == "__main__":
    sys.exit(main())
