"""A batch that cannot be taken up costs the others nothing, and is taken up as soon as it can be."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from batch_app.processing.worker_loop import Worker
from batch_app.states import BatchStatus
from batch_app.store import batches
from tests.worker.conftest import Bench, HeldEngine, run


def trouble_of(worker: Worker) -> str:
    return worker._status(0, 0).report.trouble or ""


async def begin(bench: Bench, batch_id: str) -> Path:
    """A worker begins the batch and dies. Returns the log that it left."""
    worker = bench.worker()
    await bench.turns(worker, until=lambda: any(run_.logs["output"].size for run_ in worker.runs))
    bench.crash(worker)
    [log] = (bench.settings.work_dir / batch_id).iterdir()
    return log


@contextmanager
def unreadable(log: Path) -> Iterator[None]:
    """Also for root, whom no file mode keeps from reading."""
    kept = log.rename(log.parent.parent / log.name)
    log.mkdir()
    yield
    log.rmdir()
    kept.rename(log)


def test_a_batch_that_cannot_be_taken_up_is_tried_again_and_the_others_are_fed_every_turn(
    bench: Bench,
) -> None:
    async def scenario() -> None:
        bench.with_settings(window=2)
        engine, stuck = HeldEngine(), bench.submit(20)
        engine.let_go()
        with unreadable(await begin(bench, stuck)):
            good, worker = bench.submit(60), bench.worker(lambda _spec: engine)
            await bench.turns(worker, until=lambda: len(engine.asked) > 0)
            epoch = bench.batch(stuck).claim_epoch
            for _ in range(20):
                fed = len(engine.asked)
                await bench.turn(worker)
                assert len(engine.asked) > fed
            assert 1 <= bench.batch(stuck).claim_epoch - epoch <= 2
            assert bench.batch(stuck).worker_id is None
            assert trouble_of(worker).startswith(f"Batch {stuck} cannot be taken up: Is a directory: /")
        await bench.finish(worker, good, stuck)
        assert trouble_of(worker) == ""
        assert [len(bench.output(batch_id)) for batch_id in (good, stuck)] == [60, 20]

    run(scenario())


def test_a_batch_that_cannot_be_taken_up_does_not_keep_other_models_waiting_for_a_turn_of_its_own(
    bench: Bench,
) -> None:
    async def scenario() -> None:
        bench.with_settings(window=2)
        stuck = bench.submit(20, model="a")
        with unreadable(await begin(bench, stuck)):
            good, worker = bench.submit(60, model="b"), bench.worker()
            began = bench.now
            await bench.finish(worker, good)
            assert bench.now - began < bench.settings.model_turn_seconds / 2
            batches.request_cancel(bench.database, batch_id=stuck, now=bench.now)
            await bench.turns(worker, until=lambda: trouble_of(worker) != "")
        await bench.finish(worker, stuck)
        assert bench.status(stuck) is BatchStatus.CANCELLED

    run(scenario())
