"""Torments the system until so many faults were inflicted, and prints what was lost. Exit status 1 unless nothing.

Real processes with the echo engine are killed, stopped and cut off at random moments; a recorded run loses its power at
every other call; with --vllm, workers and engines of the real vLLM are killed.
"""

import argparse
import sys
import time

from tests.torture import echo, power, real_vllm
from tests.torture.tally import Tally


def main() -> int:
    parser = argparse.ArgumentParser(prog="make torture", description=__doc__)
    parser.add_argument("--kills", type=int, default=150, help="faults of all kinds, echo engine")
    parser.add_argument("--worlds", type=int, default=4, help="systems at once")
    parser.add_argument("--cuts", type=int, default=25, help="power cuts of each kind")
    parser.add_argument(
        "--vllm", type=int, default=0, help="faults with real vLLM; each costs a load of the model"
    )
    parser.add_argument("--seed", type=int, default=int(time.time()), help="for the faults and their moments")
    options = parser.parse_args()
    print(f"seed {options.seed}")
    tally = Tally()
    try:
        if options.kills:
            echo.torment(tally, kills=options.kills, worlds=options.worlds, seed=options.seed)
        if options.cuts:
            power.torment(tally, cuts=options.cuts, seed=options.seed)
        if options.vllm:
            real_vllm.torment(tally, faults=options.vllm, seed=options.seed)
    finally:
        print(tally.text())
    return 0 if tally.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
