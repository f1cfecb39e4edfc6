"""systemd services for the three processes: prints the units and what it would do, and does it only with --apply.

The templates lie in `scripts/systemd/`. In the user scope they run as long as this user may, without root; in the
system scope they start with the machine, as the owner of this folder, hardened. The processes read `.env` themselves,
at each start; a unit has only what the environment says of where settings and data are.
"""

import argparse
import os
import pwd
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from batch_app.errors import ConfigurationError
from batch_app.settings import PREFIX, PROJECT_DIR, Settings, load_settings
from scripts.start import ENGINE_STOP_SECONDS

TEMPLATES = PROJECT_DIR / "scripts" / "systemd"
SPARE_SECONDS = 15  # between what an orderly end takes at most and being killed
# What only the machine's own manager can do; a user's manager would refuse to start the service.
SYSTEM_ONLY = frozenset(
    {
        "User",
        "ExecStartPre",
        "ProtectSystem",
        "ReadWritePaths",
        "PrivateTmp",
        "PrivateDevices",
        "ProtectKernelTunables",
        "ProtectKernelModules",
        "ProtectKernelLogs",
        "ProtectControlGroups",
        "ProtectHostname",
        "CapabilityBoundingSet",
        "OOMScoreAdjust",
    }
)


@dataclass(frozen=True)
class Plan:
    """What is to be written, and the commands after it."""

    folders: list[Path]
    units: dict[Path, str]
    commands: list[list[str]]


def plan(settings: Settings, environment: Mapping[str, str], *, system: bool, user: str) -> Plan:
    """`user` runs the services; only the system scope can choose it. Raises KeyError when there is no such user."""
    home = Path(pwd.getpwnam(user).pw_dir)
    data, cache = settings.data_dir.absolute(), home / ".cache"
    target = Path("/etc/systemd/system") if system else home / ".config/systemd/user"
    values = {
        "ROOT": str(PROJECT_DIR),
        "PYTHON": sys.executable,
        "DATA": str(data),
        "FIXED": _fixed(settings, environment),
        "CACHE": str(cache),
        "USER": user,
        "TARGET": "multi-user.target" if system else "default.target",
        "WORKER_STOP": f"{settings.grace_seconds + ENGINE_STOP_SECONDS + SPARE_SECONDS:.0f}",
    }
    templates = sorted(TEMPLATES.glob("*.service"))
    units = {target / path.name: fill(path.read_text(), values, system=system) for path in templates}
    manager = ["systemctl"] if system else ["systemctl", "--user"]
    names = [path.name for path in templates]
    commands = [
        [*manager, "daemon-reload"],
        [*manager, "enable", *names],
        [*manager, "restart", *names],  # what runs already goes on by its new unit
    ]
    if not system:
        commands.append(["loginctl", "enable-linger", user])  # or they end with the last log-out
    return Plan([data, cache, target], units, commands)


def _fixed(settings: Settings, environment: Mapping[str, str]) -> str:
    """For `Environment=`: it would win over `.env` for ever, so nothing that stands there."""
    folders = {f"{PREFIX}ENV_FILE": settings.env_file, f"{PREFIX}DATA_DIR": settings.data_dir}
    return " ".join(f'"{name}={path.absolute()}"' for name, path in folders.items() if name in environment)


def fill(template: str, values: dict[str, str], *, system: bool) -> str:
    lines = [line for line in template.splitlines() if system or line.partition("=")[0] not in SYSTEM_ONLY]
    # A percent sign begins one of systemd's own placeholders.
    return re.sub(r"@([A-Z_]+)@", lambda name: values[name[1]].replace("%", "%%"), "\n".join(lines)) + "\n"


def show(planned: Plan) -> None:
    for path, text in planned.units.items():
        print(f"--- {path}\n{text}")
    print("--- then")
    for command in planned.commands:
        print(" ".join(command))


def apply(planned: Plan, *, owner: str) -> None:
    """Raises OSError, CalledProcessError."""
    account = pwd.getpwnam(owner)
    for folder in planned.folders:
        if not folder.is_dir():
            folder.mkdir(mode=0o700, parents=True)  # prompts and answers are nobody else's
            if os.getuid() == 0 and not folder.is_relative_to("/etc"):
                shutil.chown(folder, account.pw_uid, account.pw_gid)
    for path, text in planned.units.items():
        path.write_text(text)
        print(f"written: {path}")
    for command in planned.commands:
        print(" ".join(command), flush=True)
        subprocess.run(command, check=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make install-service", description=__doc__)
    parser.add_argument("--scope", choices=["user", "system"], default="user")
    parser.add_argument("--user", help="who runs the services (system scope); the owner of this folder")
    parser.add_argument("--apply", action="store_true", help="write the units, enable and start them")
    asked = parser.parse_args()
    system = asked.scope == "system"
    me, owner = pwd.getpwuid(os.getuid()).pw_name, PROJECT_DIR.owner()
    user = (asked.user or owner) if system else me
    try:
        planned = plan(load_settings(), os.environ, system=system, user=user)
        if not asked.apply:
            show(planned)
            print(f"\nNothing was changed. `make install-service SCOPE={asked.scope} APPLY=1` does it.")
            return 0
        if system and os.getuid() != 0:
            print("error: the system scope needs root: run it again with sudo", file=sys.stderr)
            return 1
        apply(planned, owner=user)
    except KeyError:
        print(f"error: there is no user {user!r} on this machine", file=sys.stderr)
    except (ConfigurationError, OSError, subprocess.CalledProcessError) as error:
        print(f"error: {error}", file=sys.stderr)
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
