"""What decides a model's answers besides the request: its files, its arguments, its template, the engine's version."""

import hashlib
import json
from pathlib import Path

from batch_app.inference.vllm_arguments import is_local
from batch_app.models import ModelSpec


def engine_digest(spec: ModelSpec, *, revision: str | None, version: str) -> str | None:
    """The same only where answers may be the same. `revision` is the commit of a model from a hub; without it nobody
    can tell, and this is None. Files are told by name, size and time of change: reading them would take minutes."""
    files = _files(Path(spec.source)) if is_local(spec) else revision
    if files is None:
        return None
    template = Path(str(spec.engine.get("chat_template") or ""))
    said = [
        version,
        spec.name,
        spec.source,
        files,
        spec.engine,
        _facts(template) if template.is_file() else None,
    ]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _files(folder: Path) -> list[list[object]]:
    return [
        [str(path.relative_to(folder)), *_facts(path)] for path in sorted(folder.rglob("*")) if path.is_file()
    ]


def _facts(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]
