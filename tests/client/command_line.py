"""The client's command line against real processes with small limits, so that splitting and waiting really
happen.
"""

import os
import subprocess
import sys
from pathlib import Path

from batch_app.settings import PREFIX, PROJECT_DIR
from scripts.client.api import Api
from tests.processes.forked import ForkedSystem, Nursery

SMALL = {"MAX_REQUESTS_PER_BATCH": "50", "MAX_ACTIVE_BATCHES": "2", "RETRY_BACKOFF_SECONDS": "0"}


class Client:
    """Runs `scripts/batch.py`; `system` is what it talks to."""

    def __init__(self, folder: Path, nursery: Nursery) -> None:
        self.system = ForkedSystem(folder / "data", settings=dict(SMALL), nursery=nursery)
        self.api = Api(self.system.url)
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def run(self, *arguments: str | Path, **environment: str) -> "subprocess.CompletedProcess[str]":
        with self.start(*arguments, **environment) as process:
            out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def start(self, *arguments: str | Path, **environment: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, str(PROJECT_DIR / "scripts" / "batch.py"), *map(str, arguments)],
            cwd=self._folder,
            env=clean_environment(BATCHES_URL=self.system.url, **environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def clean_environment(**settings: str) -> dict[str, str]:
    """The tests' own environment without the operator's settings, the server's and the client's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith((PREFIX, "BATCHES_"))}
    return {**kept, "PYTHONUNBUFFERED": "1", "BATCH_ENV_FILE": os.devnull, **settings}
