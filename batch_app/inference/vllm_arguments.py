"""What vLLM is started with: its environment and its arguments, from one entry of the models file.

Pure: imports no vllm, so that a wrong entry can be refused, and tested, without it.
"""

import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from batch_app.inference.engine import ModelLoadError
from batch_app.input.body_rules import MAX_SEQUENCES
from batch_app.models import ModelSpec

_CONFIG_FILES = ("config.json", "params.json")
_MADE_BY = {"SmolLM2-135M-Instruct": "make setup", "all-MiniLM-L6-v2": "make embeddings"}
# A quarter of the memory now available; weights, activations and everybody else need the rest.
_KV_CACHE_DIVISOR = 4
_PLAIN_DEFAULTS = {
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",  # its warnings are about its own choices, nothing to act on
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",  # forking a process with threads can deadlock the child
    "VLLM_MEDIA_URL_ALLOW_REDIRECTS": "0",  # nothing is fetched (_NO_MEDIA_HOST); if it ever is, not from elsewhere
    "VLLM_MAX_N_SEQUENCES": str(MAX_SEQUENCES),
    "VLLM_ENFORCE_STRICT_TOOL_CALLING": "0",  # by tags that the guidance backend cannot read; it gets the schema
    "TQDM_DISABLE": "1",  # capturing CUDA graphs would draw bars into the log
}
# Media comes in data: URLs, which need no host. vLLM allows every host when it is told of none; this one is reserved
# never to exist (RFC 2606).
_NO_MEDIA_HOST = "nowhere.invalid"
_TRUST = "it would trust what clients send"
_REFUSED = {
    "model": "it is the entry's name or path",
    "served_model_name": "it is the entry's name",
    "trust_remote_code": "a model repository's own code is never run",
    "tool_parser_plugin": "code outside this project is never loaded",
    "logging_config": "set VLLM_LOGGING_LEVEL or VLLM_LOGGING_CONFIG_PATH",
    "log_config_file": "set VLLM_LOGGING_CONFIG_PATH",
    "enable_log_requests": "prompts do not belong in logs",
    "enable_log_outputs": "answers do not belong in logs",
    "allowed_local_media_path": "clients may not read files here; media is sent in data: URLs",
    "allowed_media_domains": "nothing is fetched for clients; media is sent in data: URLs",
    "enable_mm_embeds": _TRUST,
    "enable_prompt_embeds": _TRUST,
    "trust_request_chat_template": _TRUST,
    "trust_request_mm_kwargs": _TRUST,
    "disable_log_stats": "the worker watches the engine through its statistics",
}


def is_local(spec: ModelSpec) -> bool:
    return Path(spec.source).is_absolute()


def missing(folder: Path) -> str:
    """That a model's folder is not there, and what to do."""
    command = _MADE_BY.get(folder.name)
    return f"folder {folder} does not exist; {f'`{command}` makes it' if command else 'put the model there'}"


def require_folder(spec: ModelSpec) -> None:
    """Refuse at once a folder that cannot hold a model. Raises ModelLoadError."""
    folder = Path(spec.source)
    if not folder.is_dir():
        raise ModelLoadError(missing(folder))
    if not any((folder / name).is_file() for name in _CONFIG_FILES):
        raise ModelLoadError(f"folder {folder} holds no config.json, so no model")


def environment(current: Mapping[str, str]) -> dict[str, str]:
    """Variables to set before vllm is imported; what the operator has set stays."""
    wanted = dict(_PLAIN_DEFAULTS)
    if "VLLM_CPU_OMP_THREADS_BIND" not in current:
        # On CPU vLLM keeps one core free for its front end: on two cores that costs almost half the speed.
        # Zero keeps the rest of its binding: one thread on each physical core of one memory node.
        wanted["VLLM_CPU_NUM_OF_RESERVED_CPU"] = "0"
    return {name: value for name, value in wanted.items() if name not in current}


def command_line(spec: ModelSpec, *, known: Collection[str], cpu_memory_bytes: int | None) -> list[str]:
    """The options of `vllm serve` for this entry: our defaults, then its own.

    `known` holds the argument names vLLM has. `cpu_memory_bytes` is the memory now available where the model
    runs on the CPU, None where it runs on a GPU. Raises ModelLoadError naming a wrong argument.
    """
    for name, value in spec.engine.items():
        if name in _REFUSED and value is not False:
            raise ModelLoadError(f"engine argument {name} is refused: {_REFUSED[name]}")
        if name not in known:
            raise ModelLoadError(f"vLLM has no engine argument named {name}")
    options = {
        **_defaults(cpu_memory_bytes),
        **spec.engine,
        "model": spec.source,
        "served_model_name": spec.name,
    }
    return [word for name, value in options.items() for word in _option(name, value)]


def _defaults(cpu_memory_bytes: int | None) -> dict[str, Any]:
    defaults: dict[str, Any] = {
        "allowed_media_domains": [_NO_MEDIA_HOST],
        "enable_prompt_tokens_details": True,
        # The others compile a schema or regex as a whole, for as long as it takes, in threads nobody can stop.
        # This one works it out as the answer grows, and gives up at limits of its own.
        "structured_outputs_config": {"backend": "guidance"},
        "use_tqdm_on_load": False,
    }
    if cpu_memory_bytes is None:
        return defaults
    # Compiling takes several times as long as loading, and small models gain little from it.
    defaults["enforce_eager"] = True
    if not os.environ.get("VLLM_CPU_KVCACHE_SPACE"):
        defaults["kv_cache_memory_bytes"] = cpu_memory_bytes // _KV_CACHE_DIVISOR
    return defaults


def _option(name: str, value: Any) -> list[str]:
    dashed = name.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{dashed}" if value else f"--no-{dashed}"]
    if isinstance(value, list):
        return [f"--{dashed}", *(_text(item) for item in value)]
    return [f"--{dashed}={_text(value)}"]


def _text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, dict) else str(value)
