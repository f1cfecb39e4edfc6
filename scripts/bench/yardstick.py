"""What the system is compared with, each in a process of its own: one model, loaded once, answering file after file.

`python -m scripts.bench.yardstick KIND ARGUMENTS` takes a JSON command a line, `{"file": …, "chunk": N}`, and prints
`{"seconds": …}` for each. "chat" is `LLM.chat` of all lines at once, or of N at a time with a barrier between them
and an appended results file, as the owner's first system did; "run_batch" is vLLM's batch runner with its file
format; "echo" tries this without a model.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from batch_app.inference.echo_engine import EchoEngine
from batch_app.inference.engine import EngineRequest

Row = dict[str, Any]
Answer = Callable[[Sequence[Row]], Sequence[str]]


def main() -> int:
    kind, arguments = sys.argv[1], json.loads(sys.argv[2])
    # What engines print goes to the log; the way to whoever started this stays clear.
    replies, sys.stdout = os.fdopen(os.dup(1), "w"), sys.stderr
    os.dup2(2, 1)
    if kind == "run_batch":
        asyncio.run(serve_run_batch(arguments, replies))
        return 0
    answer = chat(arguments) if kind == "chat" else echo
    for command in _commands():
        print(json.dumps({"seconds": timed(answer, command)}), file=replies, flush=True)
    return 0


def _commands() -> Iterator[dict[str, Any]]:
    for line in sys.stdin:
        yield json.loads(line)


def timed(answer: Answer, command: dict[str, Any]) -> float:
    source = Path(command["file"])
    began = time.monotonic()
    rows = [json.loads(line) for line in source.read_bytes().splitlines()]
    chunk = command.get("chunk") or len(rows)
    with source.with_suffix(".answers").open("w") as results:
        for start in range(0, len(rows), chunk):
            for text in answer(rows[start : start + chunk]):
                results.write(json.dumps(text) + "\n")
            results.flush()
    return time.monotonic() - began


def chat(arguments: dict[str, Any]) -> Answer:
    """`LLM.chat` with each line's own sampling parameters."""
    from vllm import LLM, SamplingParams  # noqa: PLC0415  # takes seconds, and only this kind needs it

    llm = LLM(**arguments)

    def answer(rows: Sequence[Row]) -> Sequence[str]:
        conversations = [row["body"]["messages"] for row in rows]
        params = [
            SamplingParams(max_tokens=row["body"]["max_tokens"], temperature=0, ignore_eos=True)
            for row in rows
        ]
        return [output.outputs[0].text for output in llm.chat(conversations, params, use_tqdm=False)]

    return answer


def echo(rows: Sequence[Row]) -> Sequence[str]:
    async def answer_all() -> list[str]:
        engine = EchoEngine()
        requests = [
            EngineRequest(row["custom_id"], row["url"], json.dumps(row["body"]).encode()) for row in rows
        ]
        return [(await engine.answer(request)).body.decode() for request in requests]

    return asyncio.run(answer_all())


async def serve_run_batch(arguments: dict[str, Any], replies: Any) -> None:
    """What `python -m vllm.entrypoints.openai.run_batch` does once, done for each file with one engine: its start
    and the first use of its kernels are nobody's loss."""
    from vllm.entrypoints.launchers import run_batch  # noqa: PLC0415
    from vllm.entrypoints.launchers.api_server.entry import build_async_engine_client  # noqa: PLC0415
    from vllm.usage.usage_lib import UsageContext  # noqa: PLC0415

    sys.argv = ["run_batch", "-i", "in", "-o", "out", *_options(arguments)]
    options = run_batch.parse_args()
    async with build_async_engine_client(options, usage_context=UsageContext.OPENAI_BATCH_RUNNER) as client:
        while line := await asyncio.to_thread(sys.stdin.readline):
            options.input_file = json.loads(line)["file"]
            options.output_file = str(Path(options.input_file).with_suffix(".answers"))
            began = time.monotonic()
            await run_batch.run_batch(client, options)
            print(json.dumps({"seconds": time.monotonic() - began}), file=replies, flush=True)


def _options(arguments: dict[str, Any]) -> list[str]:
    words = []
    for name, value in arguments.items():
        dashed = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{dashed}" if value else f"--no-{dashed}")
        else:
            words.append(f"--{dashed}={json.dumps(value) if isinstance(value, dict) else value}")
    return words


if __name__ == "__main__":
    sys.exit(main())
