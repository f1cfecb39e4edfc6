"""Plans the order of a file's lines in a process of its own: `python -m scripts.bench.planning FILE` prints the
seconds that sketching and arranging took, without parsing, and the bytes by which memory grew at its highest.
"""

import json
import resource
import sys
import time

import orjson

from batch_app.plan import arrange, sketch


def main() -> int:
    before = _highest()
    spent, sketches = 0.0, []
    with open(sys.argv[1], "rb") as lines:  # noqa: PTH123
        for number, raw in enumerate(lines, 1):
            body = orjson.loads(raw)["body"]
            began = time.monotonic()
            sketches.append(sketch(number, body))
            spent += time.monotonic() - began
    began = time.monotonic()
    arrange(sketches)
    spent += time.monotonic() - began
    print(json.dumps([spent, _highest() - before]))
    return 0


def _highest() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    sys.exit(main())
