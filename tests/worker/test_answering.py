"""From claim to published answers."""

from batch_app.states import BatchStatus
from tests.lines import chat_line
from tests.worker.conftest import Bench, HeldEngine, custom_ids, run


def test_every_line_is_answered_once_and_the_counts_say_so(bench: Bench) -> None:
    async def scenario() -> None:
        batch_id = bench.submit(25)
        await bench.finish(bench.worker(), batch_id)
        batch = bench.batch(batch_id)
        assert batch.status is BatchStatus.COMPLETED
        assert sorted(custom_ids(bench.output(batch_id))) == sorted(f"candidate-{i}" for i in range(25))
        assert (batch.completed_requests, batch.failed_requests) == (25, 0)
        assert batch.output_tokens == 3 * 25
        assert batch.error_file_id is None

    run(scenario())


def test_a_refused_line_is_final_at_once_and_costs_the_others_nothing(bench: Bench) -> None:
    async def scenario() -> None:
        batch_id = bench.submit([chat_line("good"), chat_line("bad", "[[fail 400]]"), chat_line("fine")])
        await bench.finish(bench.worker(), batch_id)
        assert sorted(custom_ids(bench.output(batch_id))) == ["fine", "good"]
        [error] = bench.errors(batch_id)
        assert error["custom_id"] == "bad"
        assert error["response"]["status_code"] == 400
        assert "asked for a 400" in error["response"]["body"]["error"]["message"]
        assert bench.ledger(batch_id, "status", "attempts") == [
            ("completed", 1),
            ("failed", 1),
            ("completed", 1),
        ]

    run(scenario())


def test_a_server_error_is_tried_again_and_then_answered(bench: Bench) -> None:
    async def scenario() -> None:
        batch_id = bench.submit([chat_line("shaky", "[[flaky 2]]")])
        await bench.finish(bench.worker(), batch_id)
        assert bench.ledger(batch_id, "status", "attempts") == [("completed", 3)]

    run(scenario())


def test_a_line_that_fails_on_every_attempt_becomes_a_dead_letter(bench: Bench) -> None:
    async def scenario() -> None:
        batch_id = bench.submit([chat_line("hopeless", "[[fail 503]]"), chat_line("good")])
        await bench.finish(bench.worker(), batch_id)
        assert bench.status(batch_id) is BatchStatus.COMPLETED
        with bench.database.read() as connection:
            letters = connection.exec_driver_sql("SELECT custom_id, attempts FROM dead_letters").all()
        assert [tuple(letter) for letter in letters] == [("hopeless", 3)]

    run(scenario())


def test_a_batch_whose_lines_all_fail_is_completed_without_an_output_file(bench: Bench) -> None:
    async def scenario() -> None:
        batch_id = bench.submit([chat_line("a", "[[fail 400]]"), chat_line("b", "[[fail 404]]")])
        await bench.finish(bench.worker(), batch_id)
        batch = bench.batch(batch_id)
        assert batch.status is BatchStatus.COMPLETED
        assert batch.output_file_id is None
        assert len(bench.errors(batch_id)) == 2

    run(scenario())


def test_the_next_chunk_is_fed_while_a_slow_line_of_the_last_one_is_still_out(bench: Bench) -> None:
    async def scenario() -> None:
        bench.with_settings(chunk_size=5, window=4)
        engine = HeldEngine()
        engine.let_go("quick")
        lines = [chat_line("slow", "slow"), *(chat_line(f"q{i}", f"quick {i}") for i in range(20))]
        batch_id = bench.submit(lines)
        worker = bench.worker(lambda _spec: engine)
        await bench.turns(worker, until=lambda: len(engine.asked) == 21)
        assert bench.ledger(batch_id, "status")[0] == ("running",)
        engine.let_go()
        await bench.finish(worker, batch_id)

    run(scenario())


def test_memory_is_bounded_by_the_window_however_long_the_batch(bench: Bench) -> None:
    async def scenario() -> None:
        bench.with_settings(chunk_size=50, window=8)
        batch_id = bench.submit(200)
        worker = bench.worker()
        most = 0

        def done() -> bool:
            nonlocal most
            most = max(most, worker.runs.held)
            return bench.status(batch_id) is BatchStatus.COMPLETED

        await bench.turns(worker, until=done)
        assert most == 8

    run(scenario())


def test_a_small_batch_does_not_wait_behind_a_large_one(bench: Bench) -> None:
    async def scenario() -> None:
        bench.with_settings(window=10)
        large, small = bench.submit(500), bench.submit(20)
        worker = bench.worker()
        await bench.finish(worker, small)
        assert sum(status == "completed" for (status,) in bench.ledger(large, "status")) <= 40

    run(scenario())


def test_a_higher_priority_goes_first(bench: Bench) -> None:
    async def scenario() -> None:
        bench.with_settings(window=10)
        ordinary, urgent = bench.submit(100), bench.submit(30, priority=5)
        await bench.finish(bench.worker(), urgent)
        assert sum(status == "completed" for (status,) in bench.ledger(ordinary, "status")) <= 10

    run(scenario())


def test_the_engine_sees_the_batch_s_model_and_no_stream_flag(bench: Bench) -> None:
    async def scenario() -> None:
        batch_id = bench.submit([chat_line("a", model="gpt-4", stream=False)], model="tiny")
        await bench.finish(bench.worker(), batch_id)
        assert bench.output(batch_id)[0]["response"]["body"]["model"] == "tiny"

    run(scenario())
