"""Makes the status that a worker's heartbeat reports: its state, and what keeps it from its work."""

from batch_app.processing.claimed_batches import ClaimedBatches
from batch_app.processing.engine_supervisor import EngineState, EngineSupervisor
from batch_app.processing.heartbeat import WorkerStatus
from batch_app.processing.resource_guard import ResourceGuard
from batch_app.store.workers import WorkerReport


def status_of(
    room: EngineSupervisor,
    runs: ClaimedBatches,
    machine: ResourceGuard,
    *,
    stopping: bool,
    turn_trouble: str | None,
    answers_total: int,
    now: float,
    steady: float,
) -> WorkerStatus:
    """Returns the worker's status. `now` is the wall clock, `steady` the monotonic one of the supervisor's times."""
    counters, next_start = room.counters(), room.next_start_at
    queries = counters.prefix_cache_queries
    trouble = _saving_trouble(runs.trouble, turn_trouble)
    report = WorkerReport(
        state=_state(room, runs, stopping=stopping),
        model=room.model,
        batch_ids=[run.id for run in runs],
        requests_in_flight=runs.in_flight,
        cached_prompt_share=counters.prefix_cache_hits / queries if queries else None,
        engine_restarts=room.restarts,
        trouble=trouble or room.trouble or machine.trouble or runs.put_off.trouble,
        next_try_at=None if trouble or next_start is None else now + next_start - steady,
    )
    return WorkerStatus(report, tokens_total=room.tokens_total, answers_total=answers_total)


def _state(room: EngineSupervisor, runs: ClaimedBatches, *, stopping: bool) -> str:
    if stopping:
        return "draining"
    if room.state in (EngineState.LOADING, EngineState.DEAD):
        return "loading"
    return "processing" if len(runs) else "idle"


def _saving_trouble(saving: str | None, turn: str | None) -> str | None:
    if turn is not None:
        return f"The worker cannot go on and tries again every 2 s: {turn}."
    if saving is not None:
        return f"Answers cannot be saved: {saving}. They wait in memory; once they can be, all goes on by itself."
    return None
