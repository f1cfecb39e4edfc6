"""Puts what the commands have to say into lines for a person."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from scripts.client.errors import BadLinesError, ClientError
from scripts.client.progress import duration
from scripts.client.state import State, Summary
from scripts.client.wire import Batch, Json


def print_error(error: ClientError) -> None:
    print(f"error: {error}", file=sys.stderr)
    if isinstance(error, BadLinesError):
        for found in error.errors:
            where = f" ({found.param})" if found.param else ""
            print(f"  line {found.line}: {found.message}{where}", file=sys.stderr)
        if error.total > len(error.errors):
            print(f"  and {error.total - len(error.errors):,} more", file=sys.stderr)


def summary_text(summary: Summary, state: State, retry_command: str) -> str:
    lines = [
        f"{summary.requests:,} requests: {summary.answered:,} answered, {summary.failed:,} failed",
        f"tokens   {summary.input_tokens:,} in, {summary.output_tokens:,} out",
        f"time     {duration(summary.seconds)}",
        f"answers  {summary.results}",
    ]
    if not summary.failed:
        return "\n".join(lines)
    lines.append(f"failed   {summary.errors}")
    lines += [f"         {line}" for line in failure_lines(state)]
    return "\n".join([*lines, f"retry    {retry_command}"])


def failure_lines(state: State) -> list[str]:
    """Of each part that is not answered whole, which batch it was and why."""
    return [
        f"{part.batch_id} ({part.status}): "
        + (part.failure or f"{part.unanswered:,} of {part.requests:,} failed")
        for part in state.parts
        if part.unanswered
    ]


def batches_text(batches: Sequence[Batch]) -> str:
    rows = [("BATCH", "STATUS", "ANSWERED", "FAILED", "CREATED", "MODEL", "NAME")]
    for batch in batches:
        failed = batch.unanswered if batch.is_final else batch.failed
        created = datetime.fromtimestamp(batch.created_at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        counts = (f"{batch.completed:,}/{batch.total:,}", f"{failed:,}")
        rows.append((batch.id, batch.status, *counts, created, batch.model, batch.metadata.get("name", "")))
    return _table(rows)


def health_text(health: Json) -> str:
    queue, disk, day = health["queue"], health["disk"], health["last_24_hours"]
    active = f"{queue['active_batches']} of {queue['max_active_batches']} batches active"
    waiting = f"{queue['queued_requests']:,} of {queue['max_queued_requests']:,} requests waiting"
    rows = [("system", f"{health['status']}, version {health['version']}")]
    rows += [("problem", str(problem)) for problem in health["problems"]]
    rows += [
        ("database", f"{health['database']['status']}, {_size(health['database']['size_bytes'])}"),
        ("gpu", _gpu(health["gpu"])),
        ("worker", _worker(health["worker"])),
        ("queue", f"{active}, {waiting}"),
        ("accepting", "yes" if queue["accepting"] else f"no: {queue['reason']}"),
        ("24 hours", f"{day['answers']:,} answers, {day['failed']:,} failed"),
        ("disk", f"{_size(disk['free_bytes'])} free ({disk['free_percent']:.0f} %) at {disk['path']}"),
    ]
    return _table(rows)


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def _gpu(gpu: Json) -> str:
    if not gpu["available"]:
        return str(gpu["status"])
    readings = [
        f"{_size(gpu['memory_used_bytes'])} of {_size(gpu['memory_total_bytes'])}"
        if gpu["memory_total_bytes"]
        else "",
        f"{gpu['temperature_c']:.0f} °C" if gpu["temperature_c"] is not None else "",
        f"{gpu['utilization_percent']:.0f} % busy" if gpu["utilization_percent"] is not None else "",
    ]
    return ", ".join([str(gpu["name"]), str(gpu["status"]), *filter(None, readings)])


def _worker(worker: Json) -> str:
    if worker["heartbeat_age_seconds"] is None:
        return str(worker["status"])
    doing = f"{worker['status']}, heartbeat {worker['heartbeat_age_seconds']:.0f} s ago"
    model = f", {worker['model']}" if worker["model"] else ""
    return f"{doing}{model}, {worker['tokens_per_second'] or 0:,.0f} tokens/s"


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
