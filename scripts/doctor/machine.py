"""The machine: Python, packages, limits, memory, folders, disk, clock. Standard library only."""

import os
import re
import resource
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from scripts.doctor.findings import Finding, bad, listed, ok, size, warn

ROOT = Path(__file__).resolve().parent.parent.parent
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)", re.MULTILINE)
_NETWORK = {
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "9p",
    "afs",
    "ceph",
    "glusterfs",
    "lustre",
    "fuse.sshfs",
    "vboxsf",
}
_MIB, _GIB = 1024**2, 1024**3
_FOLDERS = ("", "files", "work", "tmp", "index")


def python() -> Iterator[Finding]:
    text = f"{sys.version.split()[0]} in {sys.prefix}"
    if not (3, 11) <= sys.version_info[:2] <= (3, 14):
        yield bad("python", text, "vLLM runs on 3.11 to 3.14: PYTHON=python3.12 make setup")
    elif sys.prefix == sys.base_prefix:
        yield warn("python", f"{text}, which is no virtual environment", "`make setup`, then `make doctor`")
    else:
        yield ok("python", text)


def pins() -> dict[str, str]:
    """Package and version, of everything that running needs."""
    stamp = ROOT / "venv" / ".packages"
    variant = stamp.read_text().partition(" ")[0] if stamp.is_file() else ""
    names = [
        "requirements-base.txt",
        {"gpu": "requirements.txt", "cpu": "requirements-cpu.txt"}.get(variant, ""),
    ]
    return dict(pin for name in names if name for pin in _PIN.findall((ROOT / name).read_text()))


def missing_packages() -> list[str]:
    return [name for name in pins() if _installed(name) is None]


def packages() -> Iterator[Finding]:
    wanted = pins()
    if missing := missing_packages():
        yield bad("packages", f"not installed: {listed(missing)}", "`make setup`")
    others = [
        f"{name} {_installed(name)} instead of {pinned}"
        for name, pinned in wanted.items()
        if name not in missing and (_installed(name) or "").partition("+")[0] != pinned
    ]
    if others:
        yield warn("packages", listed(others), "`make setup` installs what was tested")
    if not missing and not others:
        yield ok("packages", f"{len(wanted)} as pinned")


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def limits() -> Iterator[Finding]:
    files, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    text = "no limit" if files == resource.RLIM_INFINITY else f"{files} open files"
    if files != resource.RLIM_INFINITY and files < 1024:
        yield warn("limits", text, "`ulimit -n 4096` before the start, or LimitNOFILE= in the service")
    else:
        yield ok("limits", text)


def memory() -> Iterator[Finding]:
    rows = re.findall(r"^(\w+):\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    kib = {name: int(count) * 1024 for name, count in rows}
    available, total = kib["MemAvailable"], kib["MemTotal"]
    swapped = kib["SwapTotal"] - kib["SwapFree"]
    text = f"{size(available)} of {size(total)} available, {size(swapped)} swapped out"
    if available < _GIB:
        yield warn("memory", text, "see who holds it: `ps aux --sort=-rss | head`")
    elif swapped > total / 4:
        yield warn("memory", text, "a model that is swapped out crawls: a smaller model, or more memory")
    else:
        yield ok("memory", text)


def clock() -> Iterator[Finding]:
    """A clock before the code's own time cannot be right."""
    written = Path(__file__).stat().st_mtime
    text = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    if time.time() < written - 24 * 3600:
        yield bad("clock", f"{text}, which is before this program was written", "`timedatectl set-ntp true`")
    else:
        yield ok("clock", text)


def folders(data: Path) -> Iterator[Finding]:
    if not data.exists():
        yield ok("folders", f"{data.absolute()} is not there yet: the API makes it")
        return
    closed = [data / name for name in _FOLDERS if (data / name).exists() and not _is_writable(data / name)]
    if closed:
        advice = f"`chown -R` or `chmod u+rwx`: the services run as {_user()}"
        yield bad("folders", f"cannot write into {listed(closed)}", advice)
    else:
        yield ok("folders", f"{data.absolute()} can be written")
    if data.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield warn("folders", f"{data.absolute()} is open to other users", f"`chmod 700 {data.absolute()}`")


def _is_writable(folder: Path) -> bool:
    """A full disk is not the folder's fault."""
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return False
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except PermissionError:
        return False
    except OSError as error:
        return "read-only" not in str(error).lower()


def _user() -> str:
    return os.environ.get("USER", f"user {os.getuid()}")


def disk(data: Path) -> Iterator[Finding]:
    place = _existing(data)
    free = shutil.disk_usage(place).free
    text = f"{size(free)} free under {place.absolute()}"
    advice = "make room, or let old batches go: BATCH_KEEP_ENDED_BATCHES_DAYS"
    if free < 200 * _MIB:
        yield bad("disk", text, advice)
    elif free < 2 * _GIB:
        yield warn("disk", text, advice)
    else:
        yield ok("disk", text)
    inodes = os.statvfs(place)
    if inodes.f_files and inodes.f_favail < inodes.f_files / 100:
        yield warn("disk", f"only {inodes.f_favail} inodes are left", "remove small files: `df -i`")


def file_system(data: Path) -> Iterator[Finding]:
    kind = file_system_of(_existing(data).resolve(), Path("/proc/self/mountinfo").read_text())
    if kind in _NETWORK:
        advice = "SQLite's shared memory and locks need a local disk: set BATCH_DATA_DIR to one"
        yield warn("filesystem", f"{data.absolute()} lies on {kind}, over a network", advice)
    elif kind in ("tmpfs", "ramfs"):
        advice = "set BATCH_DATA_DIR to a disk"
        yield warn("filesystem", f"{data.absolute()} is in memory ({kind}): gone with a restart", advice)
    else:
        yield ok("filesystem", kind or "unknown")


def file_system_of(path: Path, mounts: str) -> str:
    """The type of the file system a path lies on, from what /proc/self/mountinfo says; the last mount wins."""
    found = (Path("/"), "")
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        point = Path(re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), before.split()[4]))
        if path.is_relative_to(point) and len(point.parts) >= len(found[0].parts):
            found = (point, after.split()[0])
    return found[1]


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.absolute().parent
    return path
