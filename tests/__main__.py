"""All tests in less time than one pytest takes: `python -m tests`, with pytest's options. With a path it is pytest.

What runs beside what, and what alone, says tests/layers.py.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.layers import ALONE, ASIDE, IN_FRONT


def main() -> int:
    options = sys.argv[1:]
    if any(Path(option.partition("::")[0]).exists() for option in options):
        return subprocess.call(_pytest([], options))
    with tempfile.TemporaryFile("w+") as told:
        aside = subprocess.Popen(_pytest(ASIDE, options), stdout=told, stderr=subprocess.STDOUT)
        print(f"Beside the tests shown now run those of {', '.join(ASIDE)}, shown afterwards.", flush=True)
        statuses = [subprocess.call(_pytest(IN_FRONT, options)), aside.wait()]
        told.seek(0)
        sys.stdout.writelines(told)
        sys.stdout.flush()
    statuses.append(subprocess.call(_pytest(ALONE, options)))
    return verdict(statuses)


def _pytest(layers: list[str], options: list[str]) -> list[str]:
    return [sys.executable, "-m", "pytest", *(f"tests/{layer}" for layer in layers), *options]


def verdict(statuses: list[int]) -> int:
    """The exit status of all: the first that is bad, one that was killed included; no tests is bad only everywhere."""
    nothing = int(pytest.ExitCode.NO_TESTS_COLLECTED)
    bad = [abs(status) for status in statuses if status not in (0, nothing)]
    return bad[0] if bad else min(statuses)


if __name__ == "__main__":
    sys.exit(main())
