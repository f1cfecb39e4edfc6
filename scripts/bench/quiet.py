"""The noise rule: a run during which other processes took more than 5 % of the CPU is done again.

CPU time is summed over processes with that of their dead and waited-for children, so one that comes and goes within
a run counts too. Threads of the kernel are nobody's; time stolen by the machine's host counts as others'.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import psutil

LOUD = 0.05
_KTHREADD = 2

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Run(Generic[T]):
    """What a run gave, and the share of all CPUs that others took meanwhile."""

    value: T
    others: float


@dataclass(frozen=True, slots=True)
class Reading:
    """CPU seconds so far, and when that was."""

    at: float
    own: float
    others: float


class NoiseRule:
    """Repeats runs that were disturbed, `tries` times at most; then the least disturbed one counts."""

    def __init__(self, *, tries: int, say: Callable[[str], None]) -> None:
        self._tries, self._say = tries, say

    def run(self, what: str, measure: Callable[[], T]) -> Run[T]:
        done: list[Run[T]] = []
        while len(done) < self._tries:
            before = read()
            value = measure()
            done.append(Run(value, others_share(before, read())))
            self._say(f"{what}: {_in_words(value)}, other processes took {done[-1].others:.0%} of the CPU")
            if done[-1].others <= LOUD:
                break
        return min(done, key=lambda run: run.others)


def others_share(before: Reading, after: Reading) -> float:
    available = (after.at - before.at) * (psutil.cpu_count() or 1)
    return max(after.others - before.others, 0.0) / available


def read() -> Reading:
    spent, parents = {}, {}
    for process in psutil.process_iter(["ppid", "cpu_times"]):
        times, parent = process.info["cpu_times"], process.info["ppid"]
        if times is not None and _KTHREADD not in (process.pid, parent):
            spent[process.pid] = times.user + times.system + times.children_user + times.children_system
            parents[process.pid] = parent
    ours = _descendants(parents, os.getpid())
    own = sum(seconds for pid, seconds in spent.items() if pid in ours)
    stolen = getattr(psutil.cpu_times(), "steal", 0.0)
    return Reading(time.monotonic(), own, sum(spent.values()) - own + stolen)


def _descendants(parents: dict[int, int], root: int) -> set[int]:
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def _in_words(value: object) -> str:
    return f"{value:.3g} s" if isinstance(value, float) else "done"
