"""Ever new histories until they have so many steps together, and what came of them: `python -m tests.stateful`.

After each step every promise is looked at. A history that breaks one is shrunk to the steps that matter and shown.
Exit status 1 when there is one.
"""

import argparse
import sys
import time
import traceback

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.stateful.test_any_history import ANY, AnyHistory
from tests.stateful.world import quick_and_quiet

_AT_ONCE = settings(ANY, max_examples=20, stateful_step_count=50)


class Counted(AnyHistory):
    steps = histories = 0

    def __init__(self) -> None:
        super().__init__()
        Counted.histories += 1

    def check_invariants(self, *look: object, **at: object) -> None:
        super().check_invariants(*look, **at)
        Counted.steps += 1


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.stateful", description=__doc__)
    parser.add_argument("--steps", type=int, default=10_000)
    wanted = parser.parse_args().steps
    began, violations = time.monotonic(), 0
    with quick_and_quiet():
        while Counted.steps < wanted and not violations:
            try:
                run_state_machine_as_test(Counted, settings=_AT_ONCE)
            except Exception:  # noqa: BLE001  # whatever ends a history is what is looked for
                violations = 1
                traceback.print_exc()
    seconds = time.monotonic() - began
    print(f"{Counted.steps} steps in {Counted.histories} histories, {violations} violations, {seconds:.0f} s")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
