"""Plans the order of a file's lines in a process of its own: `python -m scripts.bench.planning FILE` prints the
seconds that sketching and arranging took, without parsing, and the bytes by which memory grew at its highest.
"""

import json
import sys
import time
from pathlib import Path

import orjson

from batch_app.input.line_order import assign_ranks, sketch


def main() -> int:
    before = _highest()
    spent, sketches = 0.0, []
    with Path(sys.argv[1]).open("rb") as lines:
        for number, raw in enumerate(lines, 1):
            body = orjson.loads(raw)["body"]
            began = time.monotonic()
            sketches.append(sketch(number, body))
            spent += time.monotonic() - began
    began = time.monotonic()
    assign_ranks(sketches)
    spent += time.monotonic() - began
    print(json.dumps([spent, _highest() - before]))
    return 0


def _highest() -> int:
    """The most memory this process has held. (`ru_maxrss` would begin with what its parent had held.)"""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


if __name__ == "__main__":
    sys.exit(main())
