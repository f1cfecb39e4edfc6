"""Batches that ask for it get answers that batches of the past were given, each line marked."""

from contextlib import closing
from typing import Any

import pytest
from pysqlite3 import dbapi2

from tests.lines import chat_line
from tests.worker.conftest import Bench, HeldEngine, custom_ids, run

LINES = [chat_line(f"line-{i}", f"text {i}", temperature=0) for i in range(10)]


class Engines:
    """Each counts what it was asked."""

    def __init__(self, identity: str | None = "one") -> None:
        self.asked: list[str] = []
        self.identity = identity

    def __call__(self, _spec: object) -> HeldEngine:
        identity = self.identity

        class Engine(HeldEngine):
            @property
            def identity(self) -> str | None:
                return identity

        engine = Engine()
        engine.asked = self.asked
        engine.let_go()
        return engine


async def finished(bench: Bench, engines: Engines, lines: Any = None, **order: Any) -> str:
    batch_id = bench.submit(lines or LINES, **{"use_cache": True, **order})
    await bench.finish(bench.worker(engines), batch_id)
    return batch_id


def test_a_second_batch_gets_the_answers_of_the_first(bench: Bench) -> None:
    async def scenario() -> None:
        engines = Engines()
        first = await finished(bench, engines)
        more = [*LINES, chat_line("new", "new", temperature=0)]
        second = await finished(bench, engines, more)
        assert engines.asked.count("text 3") == 1
        assert len(engines.asked) == 11
        marks = {line["custom_id"]: line.get("cached") for line in bench.output(second)}
        assert marks == {**{f"line-{i}": True for i in range(10)}, "new": None}
        texts = [sorted(map(_text, bench.output(batch_id)))[-10:] for batch_id in (first, second)]
        assert texts[0] == texts[1]
        batch = bench.batch(second)
        assert (batch.completed_requests, batch.from_cache_requests, batch.output_tokens) == (11, 10, 1)
        assert bench.batch(first).from_cache_requests == 0

    run(scenario())


def _text(line: Any) -> str:
    return str(line["response"]["body"]["choices"][0]["message"]["content"])


def test_an_answer_got_at_a_second_attempt_is_given_again(bench: Bench) -> None:
    async def scenario() -> None:
        engines = Engines()
        lines = [chat_line("shaky", "[[flaky 1]]", temperature=0)]
        first, second = [await finished(bench, engines, lines) for _ in range(2)]
        assert len(engines.asked) == 2
        assert bench.ledger(first, "attempts", "from_cache") == [(2, 0)]
        [line] = bench.output(second)
        assert line["cached"]

    run(scenario())


def test_a_kept_answer_that_is_none_is_computed_anew_and_replaced(bench: Bench) -> None:
    async def scenario() -> None:
        engines, lines = Engines(), LINES[:1]
        await finished(bench, engines, lines)
        with closing(dbapi2.connect(bench.settings.cache_path)) as cache, cache:
            cache.execute("UPDATE answers SET body = CAST('no JSON' AS BLOB)")
        second, third = [await finished(bench, engines, lines) for _ in range(2)]
        assert len(engines.asked) == 2
        assert bench.ledger(second, "status", "attempts", "from_cache") == [("completed", 2, 0)]
        [line] = bench.output(third)
        assert line["cached"]

    run(scenario())


@pytest.mark.parametrize("asks", [(False, True), (True, False)])
def test_only_batches_that_ask_give_and_take(bench: Bench, asks: tuple[bool, bool]) -> None:
    async def scenario() -> None:
        engines = Engines()
        for use_cache in asks:
            await finished(bench, engines, use_cache=use_cache)
        assert len(engines.asked) == 20

    run(scenario())


@pytest.mark.parametrize(("before", "after"), [("one", "other"), (None, None)])
def test_another_model_or_one_that_cannot_be_told_starts_anew(
    bench: Bench, before: str | None, after: str | None
) -> None:
    async def scenario() -> None:
        for identity in (before, after):
            engines = Engines(identity)
            await finished(bench, engines)
            assert len(engines.asked) == 10

    run(scenario())


def test_refusals_and_what_is_left_to_chance_are_not_kept(bench: Bench) -> None:
    async def scenario() -> None:
        engines = Engines()
        lines = [chat_line("bad", "[[fail 400]]", temperature=0), chat_line("free", "text")]
        for _ in range(2):
            await finished(bench, engines, lines)
        assert len(engines.asked) == 4

    run(scenario())


def test_copies_of_a_cached_answer_are_copies(bench: Bench) -> None:
    async def scenario() -> None:
        engines = Engines()
        lines = [chat_line(name, "same", temperature=0) for name in "abc"]
        for _ in range(2):
            batch_id = await finished(bench, engines, lines, deduplicate=True)
        assert engines.asked == ["same"]
        batch = bench.batch(batch_id)
        assert (batch.from_cache_requests, batch.deduplicated_requests) == (1, 2)

    run(scenario())


def test_deleting_the_cache_costs_time_and_nothing_else(bench: Bench) -> None:
    async def scenario() -> None:
        engines = Engines()
        await finished(bench, engines)
        for file in bench.settings.cache_path.parent.iterdir():
            file.unlink()
        batch_id = await finished(bench, engines)
        assert len(bench.output(batch_id)) == 10
        assert len(engines.asked) == 20

    run(scenario())


@pytest.mark.parametrize("turns_before_crash", range(1, 5))
def test_a_crash_loses_and_doubles_no_cached_answer(bench: Bench, turns_before_crash: int) -> None:
    async def scenario() -> None:
        bench.with_settings(window=3)
        engines = Engines()
        await finished(bench, engines)
        batch_id = bench.submit(LINES, use_cache=True)
        worker = bench.worker(engines)
        for _ in range(turns_before_crash):
            await bench.turn(worker)
        bench.crash(worker)
        await bench.finish(bench.worker(engines), batch_id)
        assert sorted(custom_ids(bench.output(batch_id))) == sorted(f"line-{i}" for i in range(10))

    run(scenario())
