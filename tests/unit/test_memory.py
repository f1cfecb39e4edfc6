"""How much memory a process may hold: what the machine has, or what its control groups leave it."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from batch_app.host.memory import available_bytes, memory_limit, resident_bytes

MIB = 2**20
ALL = psutil.virtual_memory().total
UNLIMITED = 9223372036854771712  # as version 1 says it


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    (tmp_path / "groups").mkdir()
    return tmp_path


def available(machine: Path, own: str, limits: dict[str, str]) -> int:
    """With the lines of /proc/self/cgroup, and files below /sys/fs/cgroup."""
    (machine / "own").write_text(own)
    for path, limit in limits.items():
        file = machine / "groups" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{limit}\n")
    return available_bytes(machine / "own", machine / "groups")


def test_without_a_limit_it_is_what_the_machine_has(machine: Path) -> None:
    assert available_bytes(machine / "own", machine / "groups") == ALL
    assert available(machine, "0::/user.slice/a\n", {"user.slice/a/memory.max": "max"}) == ALL
    first = {"memory/a/memory.limit_in_bytes": UNLIMITED, "memory/memory.limit_in_bytes": UNLIMITED}
    assert available(machine, "4:memory:/a\n", {path: str(limit) for path, limit in first.items()}) == ALL


def test_a_limit_above_what_the_machine_has_changes_nothing(machine: Path) -> None:
    assert available(machine, "0::/a\n", {"a/memory.max": str(2 * ALL)}) == ALL


def test_the_lowest_limit_on_the_way_up_counts(machine: Path) -> None:
    limits = {
        "system.slice/worker/memory.max": str(300 * MIB),
        "system.slice/memory.max": str(200 * MIB),
        "elsewhere/memory.max": str(1 * MIB),
    }
    assert available(machine, "0::/system.slice/worker\n", limits) == 200 * MIB


def test_the_first_version_of_groups_is_read_too(machine: Path) -> None:
    own = "9:name=systemd:/\n8:cpu,cpuacct:/x\n4:memory:/docker/ab:c\n0::/\n"
    limits = {"memory/docker/ab:c/memory.limit_in_bytes": str(300 * MIB), "unified/cgroup.procs": "1"}
    assert available(machine, own, limits) == 300 * MIB


def test_a_container_that_sees_only_its_own_group_finds_its_limit_at_the_top(machine: Path) -> None:
    assert available(machine, "0::/../outside/path\n", {"memory.max": str(300 * MIB)}) == 300 * MIB
    assert available(machine, "0::/docker/abc\n", {"memory.max": str(200 * MIB)}) == 200 * MIB


def test_a_share_is_of_what_there_is_and_none_is_no_limit() -> None:
    assert memory_limit(0) is None
    assert 0 < (memory_limit(50) or 0) < (memory_limit(100) or 0) <= ALL


def test_what_a_process_started_holds_memory_too() -> None:
    hold = [sys.executable, "-c", "b = bytearray(100_000_000); print(flush=True); input()"]
    before = resident_bytes(os.getpid())
    with subprocess.Popen(hold, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        held = resident_bytes(os.getpid()) - before
        child.kill()
    assert held > 95_000_000
    assert resident_bytes(2**22 + 1) == 0
