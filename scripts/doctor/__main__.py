"""`python -m scripts.doctor [--deep] [--json]`: a line per finding with what to do; status 1 if one is bad.

Nothing that is broken may break it: a look that fails is a finding, and where packages or settings are missing it
looks at the rest. Changes nothing.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.doctor import machine
from scripts.doctor.findings import Finding, bad, ok

if TYPE_CHECKING:
    from batch_app.settings import Settings


def diagnose(*, deep: bool = False) -> Iterator[Finding]:
    yield from look_at("python", machine.python)
    yield from look_at("packages", machine.packages)
    settings = None
    if not machine.missing_packages():
        settings = yield from _settings()
    data = settings.data_dir if settings else Path(os.environ.get("BATCH_DATA_DIR", "data"))
    yield from look_at("limits", machine.limits)
    yield from look_at("memory", machine.memory)
    yield from look_at("clock", machine.clock)
    yield from look_at("folders", lambda: machine.folders(data))
    yield from look_at("disk", lambda: machine.disk(data))
    yield from look_at("filesystem", lambda: machine.file_system(data))
    if settings is not None:
        from scripts.doctor import system

        for subject, look in system.looks(settings, deep=deep):
            yield from look_at(subject, look)


def _settings() -> Generator[Finding, None, "Settings | None"]:
    from batch_app.errors import ConfigurationError
    from batch_app.settings import load_settings

    try:
        settings = load_settings()
    except (ConfigurationError, OSError, ValueError) as error:
        yield bad("settings", str(error), "correct it: nothing starts before, and half is not looked at here")
        return None
    yield ok("settings", "understood")
    return settings


def look_at(subject: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from look()
    except Exception as error:  # noqa: BLE001  # what breaks a look is what it was looking for
        cause = getattr(error, "orig", error)  # SQLAlchemy's own text is a page long
        reason = " ".join(f"{type(cause).__name__}: {cause}".split())[:200]
        yield bad(subject, f"could not be looked at: {reason}", "mend the other findings first")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.doctor", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument(
        "--deep", action="store_true", help="read every file of the data folder, as long as that takes"
    )
    arguments = parser.parse_args()
    levels = []
    for finding in diagnose(deep=arguments.deep):
        levels.append(finding.level)
        if arguments.json:
            print(json.dumps(asdict(finding)), flush=True)
        else:
            advice = f": {finding.advice}" if finding.advice else ""
            print(f"{finding.level:<5} {finding.subject:<11} {finding.text}{advice}", flush=True)
    if not arguments.json:
        print(f"{levels.count('bad')} bad, {levels.count('warn')} to look at, {levels.count('ok')} ok")
    return 1 if "bad" in levels else 0


if __name__ == "__main__":
    sys.exit(main())
