"""Which requests must get the same answer: those that are the same and leave nothing to chance. Pure.

Strict on purpose, for a wrong answer costs more than one computed twice. Sampling counts as left out only where the
body says `temperature: 0`: a model may bring another default along. `/v1/responses` may keep state on the server.
Nested fields must come in the same order: a schema's order is that of the answer.
"""

import hashlib
from typing import Any, Final

import orjson

_SAMPLING: Final = frozenset({"/v1/chat/completions", "/v1/completions"})
_NOT_SAMPLING: Final = frozenset({"/v1/embeddings", "/score", "/v1/score", "/rerank", "/v1/rerank"})
_SET_BY_THE_WORKER: Final = frozenset({"model", "stream", "stream_options"})
_DIGEST_BYTES: Final = 16


def request_digest(url: str, body: dict[str, Any]) -> bytes | None:
    """The same for the same request to the same model; None when its answer is left to chance."""
    if not _leaves_nothing_to_chance(url, body):
        return None
    asked = {name: body[name] for name in sorted(body) if name not in _SET_BY_THE_WORKER}
    return hashlib.blake2b(orjson.dumps([url, asked]), digest_size=_DIGEST_BYTES).digest()


def _leaves_nothing_to_chance(url: str, body: dict[str, Any]) -> bool:
    if url in _NOT_SAMPLING:
        return True
    temperature = body.get("temperature")
    return (
        url in _SAMPLING
        and type(temperature) in (int, float)
        and temperature == 0
        and all(body.get(name) in (None, 1) for name in ("n", "best_of"))
    )
