"""A disk that is really full, for a while.

A small file system in memory, where this process may mount one. Elsewhere no file of the processes may grow past a
size, which is how a quota looks to them; it is lifted again from outside.
"""

import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

BYTES = 24 * 1024 * 1024
_LIMIT = 96 * 1024
_PIECE = 4096


@dataclass
class SmallDisk:
    """`processes` are those that a limit has to reach where nothing can be mounted."""

    folder: Path
    is_mounted: bool
    processes: Callable[[], list[int]] = lambda: [os.getpid()]

    def fill(self, *, leaving: int = 0) -> None:
        """From now on there is no room for more than `leaving` bytes."""
        if not self.is_mounted:
            self._limit(_LIMIT)
            return
        descriptor = os.open(self._ballast, os.O_WRONLY | os.O_CREAT)
        free = os.statvfs(self.folder).f_bavail * _PIECE - leaving
        with suppress(OSError):
            os.posix_fallocate(descriptor, 0, max(free, _PIECE))
        if not leaving:
            _write_until_full(descriptor)
        os.close(descriptor)

    def make_room(self) -> None:
        if self.is_mounted:
            self._ballast.unlink()
        else:
            self._limit(resource.RLIM_INFINITY)

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"

    def _limit(self, size: int) -> None:
        for pid in self.processes():
            with suppress(psutil.NoSuchProcess):
                process = psutil.Process(pid)
                _soft, hard = process.rlimit(psutil.RLIMIT_FSIZE)
                process.rlimit(psutil.RLIMIT_FSIZE, (size, hard))


def _write_until_full(descriptor: int) -> None:
    os.lseek(descriptor, 0, os.SEEK_END)
    with suppress(OSError):
        while True:
            os.write(descriptor, b"0" * _PIECE)


@contextmanager
def small_disk(folder: Path) -> Iterator[SmallDisk]:
    """An empty one of BYTES, mounted at `folder` if that is permitted."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={BYTES}", "small", str(folder)]
    is_mounted = not subprocess.run(mount, capture_output=True, check=False).returncode
    disk = SmallDisk(folder, is_mounted)
    try:
        yield disk
    finally:
        if is_mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
        else:
            disk._limit(resource.RLIM_INFINITY)
