"""In which order the lines of a batch go to the engine, decided once, when the batch is accepted. Pure.

The engine keeps its work on the beginning of a prompt as long as its cache has room, so lines that begin alike should
follow one another; and a long answer that begins last keeps a whole batch waiting for it. Both at once: the lines are
the leaves of a tree of prefixes, walked depth first. At every fork the branch with the longest answer goes first, and
of equal ones the one that was submitted first. So groups stay together, those with long answers come early, and a
batch that shares nothing and limits all answers alike keeps its order. Of a body only a sketch is kept: 1/32 of its
prompt in checksums. One that lies only changes the order.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, Literal, get_args
from zlib import crc32

import orjson

LineOrder = Literal["auto", "submission"]
LINE_ORDERS: Final[tuple[str, ...]] = get_args(LineOrder)

# 128 bytes are some 32 tokens. Engines share whole blocks of their cache: 16 tokens on a GPU, 128 on a CPU.
_BLOCK_BYTES: Final = 128
_SUM_BYTES: Final = array("I").itemsize
# As chat templates put them: tools and instructions stand before the messages.
_PROMPT_FIELDS: Final = (
    "tools", "instructions", "messages", "prompt", "input", "query", "text_1", "queries", "documents",
)  # fmt: skip
_LIMIT_FIELDS: Final = ("max_completion_tokens", "max_tokens", "max_output_tokens")
_NO_LIMIT: Final = 2**53


@dataclass(frozen=True, slots=True)
class RequestSketch:
    """What the plan knows of a line: how its prompt begins, a checksum for each block, and the longest answer."""

    line: int
    prefix: bytes
    max_tokens: int


def sketch(line: int, body: dict[str, Any]) -> RequestSketch:
    """Any accepted body has one, whatever else is wrong with it."""
    prompt = orjson.dumps([body[name] for name in _PROMPT_FIELDS if body.get(name) is not None])
    blocks = range(0, len(prompt), _BLOCK_BYTES)
    sums = array("I", [crc32(prompt[at : at + _BLOCK_BYTES]) for at in blocks])
    limits = (body[name] for name in _LIMIT_FIELDS if isinstance(body.get(name), int))
    return RequestSketch(line, sums.tobytes(), next(limits, _NO_LIMIT))


def assign_ranks(sketches: Iterable[RequestSketch]) -> list[int]:
    """The lines in the order in which they go to the engine."""
    order: list[int] = []
    walk = [(sorted(sketches, key=lambda sketch: sketch.prefix), 0)]
    while walk:
        branch, depth = walk.pop()
        if len(branch) == 1:
            order.append(branch[0].line)
        elif branch:
            depth = _fork(branch, depth)
            walk.extend((child, depth) for child in sorted(_children(branch, depth), key=_last_first))
    return order


def _fork(branch: Sequence[RequestSketch], depth: int) -> int:
    """Where the lines of a branch, sorted and alike up to `depth`, part."""
    first, last = branch[0].prefix, branch[-1].prefix
    while depth < len(first) and first[depth : depth + _SUM_BYTES] == last[depth : depth + _SUM_BYTES]:
        depth += _SUM_BYTES
    return depth


def _children(branch: Sequence[RequestSketch], depth: int) -> Iterator[list[RequestSketch]]:
    """Lines that end here have nothing further to share, so each is a branch of its own."""
    for block, lines in groupby(branch, key=lambda sketch: sketch.prefix[depth : depth + _SUM_BYTES]):
        if block:
            yield list(lines)
        else:
            yield from ([line] for line in lines)


def _last_first(branch: Sequence[RequestSketch]) -> tuple[int, int]:
    """The walk takes from the end of its list."""
    return max(sketch.max_tokens for sketch in branch), -min(sketch.line for sketch in branch)
