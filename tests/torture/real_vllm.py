"""Faults with the real vLLM and the small model: workers and engines killed in the middle of their answers."""

import random
import signal
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from tests.lines import chat_lines, jsonl
from tests.processes.invariants import Findings, examine_batch, examine_folder
from tests.processes.system import System
from tests.torture.tally import Tally
from tests.torture.world import RECOVERY_SECONDS
from tests.waiting import wait_until

_LINES, _TOKENS, _WINDOW = 150, 16, 16
_LAST_STRIKE = _LINES - 4 * _WINDOW  # answers that there may be; what is in flight may still come after it
_LOAD_SECONDS = 400
_ENGINE_ENDS_SECONDS = 10  # R7


class RealVllm:
    """One system with a batch in the middle of its work, whenever a fault comes."""

    def __init__(self, system: System, chance: random.Random) -> None:
        self.system, self.chance = system, chance
        self.sent: dict[str, list[str]] = {}
        self.found = Findings()
        system.settings = {"ENGINE": "vllm", "WINDOW": str(_WINDOW)}
        system.start_api()
        self.worker = system.start_worker()
        self.batch_id = self._submit()
        began = time.monotonic()
        self.wait_for_answers()
        self.load_seconds = time.monotonic() - began

    def _submit(self) -> str:
        lines = chat_lines(_LINES, "Say something about the number {}.")
        sent = [{**line, "body": {**line["body"], "max_tokens": _TOKENS, "temperature": 0}} for line in lines]
        batch_id = self.system.submit(jsonl(sent))
        self.sent[batch_id] = [line["custom_id"] for line in lines]
        return batch_id

    def be_in_the_middle(self) -> None:
        """Somewhere between the first answers and the last ones, with more to come than is in flight."""
        if self.answered() > _LAST_STRIKE:
            self.batch_id = self._submit()
        moment = self.chance.randint(1, _LAST_STRIKE)
        wait_until(lambda: self.answered() >= moment, what="answers", timeout=_LOAD_SECONDS, every=0.1)

    def answered(self) -> int:
        return self.system.answered(self.batch_id)

    def wait_for_answers(self) -> None:
        """The next ones."""
        before = self.answered()
        wait_until(lambda: self.answered() > before, what="answers", timeout=_LOAD_SECONDS, every=0.2)

    def examine(self) -> Findings:
        for batch_id, custom_ids in self.sent.items():
            self.system.wait_for_end(batch_id, timeout=_LOAD_SECONDS)
            self.found.add(examine_batch(self.system.data_dir, batch_id, custom_ids))
        self.found.add(examine_folder(self.system.data_dir))
        found, self.found, self.sent = self.found, Findings(), {}
        return found


def kill_worker(real: RealVllm) -> None:
    engines = real.system.engines()
    real.system.kill(real.worker)
    left = psutil.wait_procs(engines, timeout=_ENGINE_ENDS_SECONDS)[1]
    real.found.damage += [f"engine process {process.pid} outlived its worker by 10 s" for process in left]
    real.worker = real.system.start_worker()


def terminate_worker(real: RealVllm) -> None:
    real.system.stop(real.worker)
    real.found.damage += [
        f"engine process {process.pid} was left behind" for process in real.system.engines()
    ]
    real.worker = real.system.start_worker()


def kill_engine(real: RealVllm) -> None:
    """Until its death is noticed, answers that it had given are still recorded."""
    for process in real.system.engines():
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)
    wait_until(lambda: real.system.health()["worker"]["status"] == "loading", what="its death to be noticed")


FAULTS: dict[str, Callable[[RealVllm], None]] = {
    "vLLM: worker SIGKILL": kill_worker,
    "vLLM: engine SIGKILL": kill_engine,
    "vLLM: worker SIGTERM": terminate_worker,
}


def torment(tally: Tally, *, faults: int, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        system = System(Path(folder) / "data")
        try:
            real = RealVllm(system, random.Random(seed))
            print(f"the model was loaded and answered within {real.load_seconds:.0f} s", flush=True)
            for number in range(faults):
                _inflict(tally, real, list(FAULTS)[number % len(FAULTS)])
        finally:
            system.stop_all()


def _inflict(tally: Tally, real: RealVllm, kind: str) -> None:
    while not (left := _strike(real, kind)):
        print(f"{kind}: came too late, once more", flush=True)
    began = time.monotonic()
    real.wait_for_answers()
    seconds = time.monotonic() - began
    row = tally[kind]
    row.times += 1
    row.late += seconds > RECOVERY_SECONDS + real.load_seconds
    row.found.add(real.examine())
    print(f"{kind}: {left} lines unanswered, answers again after {seconds:.0f} s", flush=True)


def _strike(real: RealVllm, kind: str) -> int:
    """How many lines were left without an answer."""
    real.be_in_the_middle()
    FAULTS[kind](real)
    return _LINES - real.answered()
