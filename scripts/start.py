"""The processes of the Procfile in one terminal, until Ctrl-C or until one of them ends. `make start`.

honcho, with the patience that the worker needs: honcho alone kills what is left five seconds after the first
process has ended, while the worker still waits for the answers in flight. And without its own way to read `.env`,
which would win over the environment: each process reads that file itself.
"""

import os
import sys
from pathlib import Path

from honcho import command, manager

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from batch_app.errors import ConfigurationError
from batch_app.settings import PROJECT_DIR, load_settings

ENGINE_STOP_SECONDS = 15  # what unloading the model takes, after the worker's grace period


def main() -> None:
    os.chdir(PROJECT_DIR)
    try:
        manager.KILL_WAIT = load_settings().grace_seconds + ENGINE_STOP_SECONDS
    except ConfigurationError as error:
        sys.exit(f"error: {error}")
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    os.environ["PYTHONUNBUFFERED"] = "1"
    command.main(["start", "--env", os.devnull])


if __name__ == "__main__":
    main()
