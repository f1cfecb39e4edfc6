"""The order in which lines reach the engine: planned when the batch is accepted, kept through chunks and crashes."""

import random
from typing import Any

from tests.lines import chat_line
from tests.worker.conftest import Bench, HeldEngine, custom_ids, run

PREFIXES = [f"Document {i}: " + f"{i} facts, " * 100 for i in range(10)]


def mixed_lines() -> list[dict[str, Any]]:
    """Ten documents with five questions each, in no order."""
    lines = [chat_line(f"{d}-{q}", f"{PREFIXES[d]} Question {q}") for d in range(10) for q in range(5)]
    random.Random(7).shuffle(lines)
    return lines


def groups(engines: list[HeldEngine]) -> list[str]:
    """The documents in the order in which the engines were asked about them, each run of questions once."""
    asked = [text.split(":")[0] for engine in engines for text in engine.asked]
    return [one for at, one in enumerate(asked) if at == 0 or asked[at - 1] != one]


def open_engine(engines: list[HeldEngine]) -> HeldEngine:
    engines.append(HeldEngine())
    engines[-1].let_go()
    return engines[-1]


def test_lines_that_share_a_beginning_reach_the_engine_together_across_chunks(bench: Bench) -> None:
    async def scenario() -> None:
        bench.with_settings(chunk_size=7, window=4)
        engines: list[HeldEngine] = []
        batch_id = bench.submit(mixed_lines())
        await bench.finish(bench.worker(lambda _spec: open_engine(engines)), batch_id)
        assert len(groups(engines)) == 10
        assert len(bench.output(batch_id)) == 50

    run(scenario())


def test_a_crash_changes_nothing_about_the_order(bench: Bench) -> None:
    async def scenario() -> None:
        bench.with_settings(chunk_size=6, window=5)
        engines: list[HeldEngine] = []
        batch_id = bench.submit(mixed_lines())
        planned = bench.ledger(batch_id, "rank")
        for _ in range(4):
            worker = bench.worker(lambda _spec: open_engine(engines))
            for _ in range(4):
                await bench.turn(worker)
            bench.crash(worker)
        await bench.finish(bench.worker(lambda _spec: open_engine(engines)), batch_id)
        assert bench.ledger(batch_id, "rank") == planned
        assert len(set(groups(engines))) == 10
        assert len(groups(engines)) <= 10 + 4  # what was in flight at a crash is asked again
        assert len(set(custom_ids(bench.output(batch_id)))) == 50

    run(scenario())


def test_a_batch_may_be_worked_on_in_the_order_of_its_file(bench: Bench) -> None:
    async def scenario() -> None:
        engines: list[HeldEngine] = []
        lines = mixed_lines()
        batch_id = bench.submit(lines, line_order="submission")
        await bench.finish(bench.worker(lambda _spec: open_engine(engines)), batch_id)
        assert engines[0].asked == [line["body"]["messages"][0]["content"] for line in lines]

    run(scenario())


def test_long_answers_begin_first(bench: Bench) -> None:
    async def scenario() -> None:
        engines: list[HeldEngine] = []
        lines = [chat_line(str(i), f"text {i}", max_tokens=400 if i % 12 == 11 else 20) for i in range(48)]
        batch_id = bench.submit(lines)
        await bench.finish(bench.worker(lambda _spec: open_engine(engines)), batch_id)
        assert engines[0].asked[:4] == ["text 11", "text 23", "text 35", "text 47"]
        assert engines[0].asked[4:7] == ["text 0", "text 1", "text 2"]

    run(scenario())
