"""Records what a process really asks of the disk: its own file layer's calls, and SQLite's writes and syncs.

SQLite is recorded below its pager, where pages and frames become writes: the `xOpen` of its virtual file system is
replaced, and the files that it opens get our `xWrite`, `xTruncate` and `xSync`, which note the call and pass it on.
"""

import ctypes
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import pytest
from pysqlite3 import _sqlite3

Kind = Literal["create", "write", "truncate", "sync", "rename", "remove", "mkdir", "sync_folder", "fact"]


@dataclass(frozen=True, slots=True)
class Op:
    """One call. `fact` is no call: it says what others could see by then, and so must be true ever after."""

    kind: Kind
    path: str = ""
    offset: int = 0
    data: bytes = b""
    target: str = ""
    fact: Any = None


class Recording:
    """The calls on files below `root`, in their order, with paths relative to it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ops: list[Op] = []
        self._known = {str(path.relative_to(root)) for path in root.rglob("*")}
        self._lock = Lock()

    def note(self, kind: Kind, path: str | Path, **rest: Any) -> None:
        if (name := self._name(path)) is None:
            return
        if "target" in rest:
            rest["target"] = self._name(rest["target"])
        with self._lock:
            if kind in ("create", "write") and name not in self._known:
                self._known.add(name)
                self.ops.append(Op("create", name))
            if kind != "create":
                self.ops.append(Op(kind, name, **rest))

    def note_fact(self, fact: Any) -> None:
        with self._lock:
            self.ops.append(Op("fact", fact=fact))

    def _name(self, path: str | Path) -> str | None:
        absolute = Path(path).absolute()
        return str(absolute.relative_to(self.root)) if absolute.is_relative_to(self.root) else None


@contextmanager
def recording(root: Path) -> Iterator[Recording]:
    """Everything that this process does to files below `root` while inside."""
    noted = Recording(root)
    with pytest.MonkeyPatch.context() as patch, _below_sqlite(noted):
        _record_our_files(noted, patch)
        yield noted


def _opened(descriptor: int) -> Path:
    return Path(f"/proc/self/fd/{descriptor}").readlink()


def _record_our_files(noted: Recording, patch: pytest.MonkeyPatch) -> None:
    calls = _Calls(noted)
    for owner, name, note in (
        (os, "open", calls.open),
        (os, "pwrite", calls.pwrite),
        (os, "fsync", calls.sync),
        (os, "fdatasync", calls.sync),
        (Path, "mkdir", calls.mkdir),
        (Path, "rename", lambda path, target: noted.note("rename", path, target=target)),
        (Path, "unlink", lambda path, **_: noted.note("remove", path)),
        (shutil, "rmtree", calls.rmtree),
    ):
        patch.setattr(owner, name, _noted_first(getattr(owner, name), note))


def _noted_first(call: Callable[..., Any], note: Callable[..., None]) -> Callable[..., Any]:
    def noted(*arguments: Any, **options: Any) -> Any:
        note(*arguments, **options)
        return call(*arguments, **options)

    return noted


class _Calls:
    """What each call of our file layer means for the disk."""

    def __init__(self, noted: Recording) -> None:
        self._noted = noted

    def open(self, path: Any, flags: int, *_: Any, **__: Any) -> None:
        if flags & os.O_CREAT:
            self._noted.note("create", path)

    def pwrite(self, descriptor: int, data: Any, offset: int) -> None:
        self._noted.note("write", _opened(descriptor), offset=offset, data=bytes(data))

    def sync(self, descriptor: int) -> None:
        path = _opened(descriptor)
        if path.is_dir():
            self._noted.note("sync_folder", path)
            return
        if not path.name.startswith(("output-", "error-")):
            # Written through a buffer, in pieces that nobody sees: until this moment all of it is in the air.
            self._noted.note("write", path, data=path.read_bytes())
        self._noted.note("sync", path)

    def mkdir(self, path: Path, *_: Any, **__: Any) -> None:
        if not path.exists():
            self._noted.note("mkdir", path)

    def rmtree(self, folder: Path, **_: Any) -> None:
        for path in sorted(Path(folder).rglob("*")):
            self._noted.note("remove", path)


_POINTER, _INT, _LONG = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64
# The name is taken as an address: SQLite keeps more behind its end.
_OPEN = ctypes.CFUNCTYPE(_INT, _POINTER, _POINTER, _POINTER, _INT, _POINTER)
_WRITE = ctypes.CFUNCTYPE(_INT, _POINTER, _POINTER, _INT, _LONG)
_TRUNCATE = ctypes.CFUNCTYPE(_INT, _POINTER, _LONG)
_SYNC = ctypes.CFUNCTYPE(_INT, _POINTER, _INT)
_CREATE, _MAIN_DB, _WAL = 0x4, 0x100, 0x80000


class _Vfs(ctypes.Structure):
    """The head of `sqlite3_vfs`."""

    _fields_ = [
        ("version", _INT),
        ("file_bytes", _INT),
        ("longest_path", _INT),
        ("next", _POINTER),
        ("name", ctypes.c_char_p),
        ("data", _POINTER),
        ("open", _POINTER),
    ]


class _Methods(ctypes.Structure):
    """`sqlite3_io_methods`, version 3."""

    _fields_ = [
        ("version", _INT),
        ("close", _POINTER),
        ("read", _POINTER),
        ("write", _WRITE),
        ("truncate", _TRUNCATE),
        ("sync", _SYNC),
        *((f"other_{number}", _POINTER) for number in range(13)),
    ]


_KEPT: list[Any] = []  # SQLite has pointers to these, and a connection may outlive its recording


@contextmanager
def _below_sqlite(noted: Recording) -> Iterator[None]:
    library = ctypes.CDLL(_sqlite3.__file__)
    library.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
    vfs = library.sqlite3_vfs_find(None).contents
    real_address = vfs.open
    really_open = _OPEN(real_address)

    def opened(its_vfs: int, name: int, file: int, flags: int, flags_out: int) -> int:
        status = really_open(its_vfs, name, file, flags, flags_out)
        if status == 0 and flags & (_MAIN_DB | _WAL):
            methods_of_file = ctypes.cast(file, ctypes.POINTER(ctypes.POINTER(_Methods)))
            is_new_log = flags & _WAL and flags & _CREATE
            path = Path(os.fsdecode(ctypes.string_at(name)))
            noting = _noting(noted, path, methods_of_file.contents.contents, syncs_folder=bool(is_new_log))
            methods_of_file[0] = ctypes.pointer(noting)
        return int(status)

    replacement = _OPEN(opened)
    _KEPT.append(replacement)
    vfs.open = ctypes.cast(replacement, _POINTER).value
    try:
        yield
    finally:
        vfs.open = real_address


def _noting(noted: Recording, path: Path, real: _Methods, *, syncs_folder: bool) -> _Methods:
    """The file's methods, with those that change it noted. SQLite syncs the folder with a new log's first sync."""
    real, methods = _Methods.from_buffer_copy(real), _Methods.from_buffer_copy(real)

    def write(file: int, data: int, size: int, offset: int) -> int:
        noted.note("write", path, offset=offset, data=ctypes.string_at(data, size))
        return int(real.write(file, data, size, offset))

    def truncate(file: int, size: int) -> int:
        noted.note("truncate", path, offset=size)
        return int(real.truncate(file, size))

    def sync(file: int, flags: int) -> int:
        nonlocal syncs_folder
        noted.note("sync", path)
        if syncs_folder:
            syncs_folder = False
            noted.note("sync_folder", path.parent)
        return int(real.sync(file, flags))

    callbacks = _WRITE(write), _TRUNCATE(truncate), _SYNC(sync)
    methods.write, methods.truncate, methods.sync = callbacks
    _KEPT.append((methods, callbacks, real))
    return methods
