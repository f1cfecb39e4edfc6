"""Faults at random moments, with the echo engine: several systems at once, each batch under one kind of fault.

A batch meets its fault again and again while it is worked on. Once it has ended, each line must have one answer: the
echo of its own text.
"""

import random
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Lock

from tests.processes.forked import ForkedSystem, Nursery
from tests.torture.faults import FAULTS
from tests.torture.tally import Tally
from tests.torture.world import RECOVERY_SECONDS, WINDOW, World

_LINES = 80
_FAULTS_A_BATCH = 6


class Torture:
    """The work that the threads share: which fault comes next, and what came of those before."""

    def __init__(self, tally: Tally, kills: int, seed: int) -> None:
        self.tally = tally
        self._chance, self._lock = random.Random(seed), Lock()
        self._left, self._began = kills, time.monotonic()

    def torment(self, system: ForkedSystem, seed: int) -> None:
        """One system, until all faults are inflicted."""
        try:
            world = World(system, random.Random(seed))
            while kind := self._next_kind():
                self._one_batch(world, kind)
        finally:
            system.stop_all()

    def _next_kind(self) -> str | None:
        with self._lock:
            if self._left <= 0:
                return None
            self._left -= _FAULTS_A_BATCH
            weights = [weight for _fault, weight in FAULTS.values()]
            return self._chance.choices(list(FAULTS), weights)[0]

    def _one_batch(self, world: World, kind: str) -> None:
        fault, times, late = FAULTS[kind][0], 0, 0
        world.submit(_LINES)
        while times < _FAULTS_A_BATCH:
            if world.has_ended():
                world.submit(_LINES)
            fault(world)
            world.heal()
            times += 1
            if (
                world.chance.random() < 0.5
            ):  # else the next fault comes while the last one is being recovered from
                late += world.seconds_to_resume() > RECOVERY_SECONDS
        found, twice = world.examine(), world.asked_twice()
        with self._lock:
            row = self.tally[kind]
            row.times += times
            row.late += late
            row.asked_too_often += max(twice - times * WINDOW * 2, 0)
            row.found.add(found)
            done = sum(row.times for row in self.tally.values())
            print(f"{time.monotonic() - self._began:6.0f} s {done:6} faults  {kind}", flush=True)


def torment(tally: Tally, *, kills: int, worlds: int, seed: int) -> None:
    torture = Torture(tally, kills, seed)
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Nursery()) as nursery,
        ThreadPoolExecutor(worlds) as pool,
    ):
        systems = [
            ForkedSystem(Path(folder) / str(number) / "data", nursery=nursery) for number in range(worlds)
        ]
        running = [pool.submit(torture.torment, system, seed + i) for i, system in enumerate(systems)]
        for world in running:
            world.result()
