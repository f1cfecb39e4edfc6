"""How much memory there is for this process, and how much it and what it has started hold.

There may be less than the machine has: a container, or a systemd unit with MemoryMax=, is a control group with a limit.
Knows nothing about engines or batches.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

_GROUPS_OF_THIS_PROCESS = Path("/proc/self/cgroup")
_GROUPS = Path("/sys/fs/cgroup")


def memory_limit(percent: float) -> int | None:
    """Bytes that a share of the memory here is; None for no limit."""
    return int(available_bytes() * percent / 100) if percent else None


def available_bytes(own_groups: Path = _GROUPS_OF_THIS_PROCESS, groups: Path = _GROUPS) -> int:
    """What the machine has, or the lowest limit of the groups that this process is in."""
    return min([psutil.virtual_memory().total, *_limits(own_groups, groups)])


def _limits(own_groups: Path, groups: Path) -> Iterator[int]:
    """Inside a container the path may be that of the outside, where nothing is; the container's own limit is then at
    the top."""
    for top, name, path in _own(own_groups, groups):
        folder = top / path.lstrip("/")
        for group in (folder, *folder.parents):
            with suppress(OSError, ValueError):  # not there, or "max"
                yield int((group / name).read_text())
            if group == top:
                break


def _own(own_groups: Path, groups: Path) -> Iterator[tuple[Path, str, str]]:
    """Where a hierarchy with memory limits begins, what its limits are called, the path to this process's group."""
    with suppress(OSError):
        for line in own_groups.read_text().splitlines():
            _number, controllers, path = line.split(":", 2)
            if not controllers:  # version 2, beside version 1 in a folder of its own
                unified = groups / "unified"
                yield unified if unified.is_dir() else groups, "memory.max", path
            elif "memory" in controllers.split(","):
                yield groups / "memory", "memory.limit_in_bytes", path


def resident_bytes(pid: int) -> int:
    """The memory that a process and all it has started hold. What they share counts for each."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.Error:
        return 0
    return sum(_resident(member) for member in family)


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0
