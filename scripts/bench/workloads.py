"""The requests that are sent: the same ones for the system and for what it is compared with.

Words of a small vocabulary stand for tokens; the answers' usage tells how many they really were.
"""

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_WORDS = (
    "time year people way day man thing woman life child world school state family student group country",
    "problem hand part place case week company system program question work number night point home water",
    "room mother area money story fact month lot right study book eye job word business issue side kind head",
    "house service friend father power hour game line end member law car city name team minute idea body",
)
_TEMPLATE_TOKENS = 32  # what a chat template adds to a short conversation, roughly


@dataclass(frozen=True, slots=True)
class Prompt:
    """One request: what it says and how many tokens it wants back, exactly."""

    text: str
    output_tokens: int


def words(rng: random.Random, count: int) -> str:
    return " ".join(rng.choices(" ".join(_WORDS).split(), k=max(count, 1)))


def uniform(count: int, *, input_tokens: int = 128, output_tokens: int = 64, seed: int = 1) -> list[Prompt]:
    """Prompts that share nothing and want equally much."""
    rng = random.Random(seed)
    return [Prompt(words(rng, input_tokens - _TEMPLATE_TOKENS), output_tokens) for _ in range(count)]


def shared_prefixes(
    groups: int, per_group: int, *, prefix_tokens: int, output_tokens: int = 8, seed: int = 2
) -> list[Prompt]:
    """Each group's prompts begin alike; they come in no order."""
    rng = random.Random(seed)
    prefixes = [words(rng, prefix_tokens) for _ in range(groups)]
    prompts = [
        Prompt(f"{prefix} {words(rng, 8)}", output_tokens) for prefix in prefixes for _ in range(per_group)
    ]
    rng.shuffle(prompts)
    return prompts


def heavy_tail(count: int, *, short_tokens: int = 24, long_tokens: int = 384, seed: int = 3) -> list[Prompt]:
    """8 % want a long answer, and say so."""
    rng = random.Random(seed)
    lengths = [long_tokens] * max(round(count * 0.08), 1)
    lengths += [short_tokens] * (count - len(lengths))
    rng.shuffle(lengths)
    return [Prompt(words(rng, 48), length) for length in lengths]


def half_identical(count: int, *, output_tokens: int = 64, seed: int = 4) -> list[Prompt]:
    """Every second line asks the same as the line that stands for its group: half the lines are copies."""
    different = uniform(count - count // 2, output_tokens=output_tokens, seed=seed)
    same = [different[0]] * (count // 2)
    mixed = [*different, *same]
    random.Random(seed).shuffle(mixed)
    return mixed


def lines(prompts: Iterable[Prompt], model: str) -> Iterator[bytes]:
    """The input file of a batch, a line each: deterministic, and as long as was asked for."""
    for number, prompt in enumerate(prompts):
        body: dict[str, Any] = {
            "model": model,
            "messages": [{"role": "user", "content": prompt.text}],
            "max_tokens": prompt.output_tokens,
            "temperature": 0,
            "ignore_eos": True,
        }
        row = {"custom_id": f"line-{number}", "method": "POST", "url": "/v1/chat/completions", "body": body}
        yield json.dumps(row).encode() + b"\n"


def write_lines(path: Path, prompts: Sequence[Prompt], model: str) -> Path:
    path.write_bytes(b"".join(lines(prompts, model)))
    return path


def write_bulk(path: Path, *, count: int, line_bytes: int, model: str) -> Path:
    """Many lines of one length, for the echo engine."""
    rng = random.Random(5)
    text = words(rng, line_bytes)
    with path.open("wb") as file:
        for number in range(count):
            short = next(lines([Prompt(f"{number} ", 16)], model)).replace(b"line-0", b"line-%d" % number)
            filler = text[: max(line_bytes - len(short), 0)].encode()
            file.write(short.replace(b'%d "' % number, b'%d %s"' % (number, filler), 1))
    return path
