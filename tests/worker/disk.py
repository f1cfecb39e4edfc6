"""What a disk may hold after a power cut: everything that was synced, and of the rest whatever it likes.

The strict reading of POSIX: a file's bytes are safe once the file was synced, a name once its folder was. Until then
writes may be there, missing, torn at any byte, or kept in some sectors and not in others; names may be there or not.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from tests.worker.recording import Op

_SECTOR = 512
_TAIL_BYTES = 4096


@dataclass
class _File:
    safe: bytes = b""
    unsynced: list[Op] = field(default_factory=list)


# Of the writes since the last sync, which survive?
Fate = Callable[[list[Op], random.Random], list[Op]]


def dropped(_writes: list[Op], _chance: random.Random) -> list[Op]:
    return []


def kept(writes: list[Op], _chance: random.Random) -> list[Op]:
    return writes


def torn(writes: list[Op], chance: random.Random) -> list[Op]:
    """In order up to some byte of some write."""
    if not writes:
        return []
    last = chance.randrange(len(writes))
    op = writes[last]
    return [*writes[:last], Op(op.kind, op.path, op.offset, op.data[: chance.randrange(len(op.data) + 1)])]


def scattered(writes: list[Op], chance: random.Random) -> list[Op]:
    """Some sectors of some writes, and holes between them."""
    pieces = [
        Op("write", op.path, op.offset + at, op.data[at : at + _SECTOR])
        for op in writes
        if op.kind == "write"
        for at in range(0, len(op.data), _SECTOR)
    ]
    return [piece for piece in pieces if chance.random() < 0.5]


FATES: dict[str, Fate] = {"dropped": dropped, "kept": kept, "torn": torn, "scattered": scattered}


class Disk:
    """Starts with what lies below `root`, safe; `do` follows a recording."""

    def __init__(self, root: Path) -> None:
        self._files: dict[str, _File] = {}
        folders = {"."}
        for path in root.rglob("*"):
            name = str(path.relative_to(root))
            if path.is_dir():
                folders.add(name)
            else:
                self._files[name] = _File(path.read_bytes())
        self._safe_names, self._safe_folders = dict(self._files), folders
        self._unsynced_names: list[tuple[Op, _File | None]] = []

    def do(self, op: Op) -> None:
        match op.kind:
            case "create":
                self._files[op.path] = _File()
                self._unsynced_names.append((op, self._files[op.path]))
            case "write" | "truncate":
                self._files[op.path].unsynced.append(op)
            case "sync":
                file = self._files[op.path]
                file.safe, file.unsynced = _written(file.safe, file.unsynced), []
            case "rename":
                file = self._files[op.target] = self._files.pop(op.path)
                self._unsynced_names.append((op, file))
            case "remove" | "mkdir":
                self._files.pop(op.path, None)
                self._unsynced_names.append((op, None))
            case "sync_folder":
                self._sync_names(op.path)

    def _sync_names(self, folder: str) -> None:
        rest = []
        for op, file in self._unsynced_names:
            if _folder_of(op) == folder:
                _rename(self._safe_names, self._safe_folders, op, file)
            else:
                rest.append((op, file))
        self._unsynced_names = rest

    def survivors(self, fate: Fate, chance: random.Random) -> dict[str, bytes]:
        """Paths and bytes after a power cut now."""
        names, folders = dict(self._safe_names), set(self._safe_folders)
        happened = chance.randrange(len(self._unsynced_names) + 1) if fate in (torn, scattered) else 0
        for change in self._unsynced_names if fate is kept else self._unsynced_names[:happened]:
            _rename(names, folders, *change)
        return {
            name: _written(file.safe, fate(file.unsynced, chance))
            for name, file in names.items()
            if str(PurePath(name).parent) in folders
        }


def _folder_of(change: Op) -> str:
    return str(PurePath(change.target or change.path).parent)


def _rename(names: dict[str, _File], folders: set[str], op: Op, file: _File | None) -> None:
    if op.kind == "mkdir":
        folders.add(op.path)
    elif op.kind == "remove":
        names.pop(op.path, None)
    else:
        assert file is not None
        names[op.target or op.path] = file
        if op.kind == "rename":
            names.pop(op.path, None)


def _written(safe: bytes, writes: Sequence[Op]) -> bytes:
    content = bytearray(safe)
    for op in writes:
        if op.kind == "truncate":
            del content[op.offset :]
            continue
        content.extend(bytes(max(op.offset - len(content), 0)))
        content[op.offset : op.offset + len(op.data)] = op.data
    return bytes(content)


def cut(content: bytes) -> bytes:
    return content[:-_TAIL_BYTES]


def zeroed(content: bytes) -> bytes:
    return content[:-_TAIL_BYTES] + bytes(min(_TAIL_BYTES, len(content)))


def lay_out(survivors: dict[str, bytes], root: Path) -> None:
    for name, content in survivors.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
