"""P9 and P13: a file as large as is allowed goes in, and its answers come out, through the API alone.

P9: 50,000 lines of 4 KB are uploaded as a form while a second process asks for another batch's status every 20 ms.
Timed from the first byte sent to the receipt; memory is the API's highest resident size less that before. P13: the
echo engine answers them, and one plain socket reads the results, thrice; memory as before.
"""

import json
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from scripts.bench.context import Bench
from scripts.bench.figures import Figure, Target, percentile
from scripts.bench.quiet import Run
from scripts.bench.system import BenchError, System, highest
from scripts.bench.workloads import write_bulk

ROWS = ("P9", "P13")
_DOWNLOADS = 3
_ROOM = {"MAX_ACTIVE_BATCHES": "50", "MAX_QUEUED_REQUESTS": "1000000"}  # a disturbed upload is done again


def measure(bench: Bench) -> Iterator[Figure]:
    sizes = bench.options.sizes
    file = write_bulk(
        bench.new_folder() / "bulk.jsonl",
        count=sizes.bulk_lines,
        line_bytes=sizes.bulk_bytes // sizes.bulk_lines,
        model="m",
    )
    small = write_bulk(bench.new_folder() / "small.jsonl", count=1, line_bytes=300, model="m")
    work = f"{sizes.bulk_lines:,} lines / {file.stat().st_size / 1e6:.0f} MB uploaded"
    with bench.system("api_server", settings=_ROOM) as system:
        system.submit(small, "m")  # the API has done everything once
        batch_ids: list[str] = []
        run = bench.noise.run(work, lambda: _upload(system, file, batch_ids))
        accepted, grown, latencies = run.value
        yield Figure("P9", f"{work}: accepted", Target("≤", 10, "s"), accepted, "s", others=run.others)
        yield Figure("P9", "API's memory grown", Target("≤", 150, "MB"), grown / 1e6, "MB", others=run.others)
        yield Figure(
            "P9",
            "GET /v1/batches/{id} meanwhile, 99th percentile",
            Target("≤", 100, "ms"),
            1000 * percentile(latencies, 0.99),
            "ms",
            note=f"median {1000 * statistics.median(latencies):.1f} ms, "
            f"slowest {1000 * max(latencies):.0f} ms, {len(latencies)} asked",
            others=run.others,
        )
        for batch_id in batch_ids[:-1]:
            system.cancel(batch_id)
        system.start("worker")
        system.wait_for_end(batch_ids[-1:])
        yield from _download(bench, system, batch_ids[-1])


def _upload(system: System, file: Path, batch_ids: list[str]) -> tuple[float, int, list[float]]:
    watched = system.get("/v1/batches")["data"][-1]["id"]
    before = system.rss("api_server")
    command = [sys.executable, "-m", "scripts.bench.poller", str(system.port), f"/v1/batches/{watched}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as poller:
        assert poller.stdout is not None
        poller.stdout.readline()
        with highest(lambda: system.rss("api_server")) as peak:
            began = time.monotonic()
            batch_ids.append(system.submit(file, "m"))
            accepted = time.monotonic() - began
        output, _ = poller.communicate()
    if poller.returncode:
        raise BenchError("the status could not be asked for during the upload")
    return accepted, peak[0] - before, json.loads(output)


def _download(bench: Bench, system: System, batch_id: str) -> Iterator[Figure]:
    before = system.rss("api_server")
    speeds: list[float] = []
    size = 0
    runs: list[Run[float]] = []
    with highest(lambda: system.rss("api_server")) as peak:
        for _ in range(_DOWNLOADS):
            run = bench.noise.run("results downloaded", lambda: _read_results(system.port, batch_id))
            size, seconds = _size(system, batch_id), run.value
            speeds.append(size / 1e6 / seconds)
            runs.append(run)
    others = max(run.others for run in runs)
    work = f"results of {size / 1e6:.0f} MB downloaded"
    yield Figure(
        "P13",
        work,
        Target("≥", 300, "MB/s"),
        statistics.median(speeds),
        "MB/s",
        runs={"MB/s": speeds},
        others=others,
    )
    grown = (peak[0] - before) / 1e6
    yield Figure("P13", "API's memory grown", Target("≤", 20, "MB"), grown, "MB", others=others)


def _size(system: System, batch_id: str) -> int:
    return int(system.get(f"/v1/batches/{batch_id}")["output_bytes"])


def _read_results(port: int, batch_id: str) -> float:
    """Seconds to read the whole answer into one buffer, again and again: what is read is thrown away."""
    buffer = bytearray(1024 * 1024)
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        ask = f"GET /v1/batches/{batch_id}/results HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        connection.sendall(ask.encode())
        while connection.recv_into(buffer):
            pass
    return time.monotonic() - began
