"""Which model to have loaded, and whose line goes to the engine next. Pure."""

from collections.abc import Iterable, Sequence

from batch_app.processing.run import Run
from batch_app.store.batches import Batch


def choose_model(
    waiting: Sequence[Batch], *, loaded: str | None, loaded_since: float, turn_seconds: float, now: float
) -> str | None:
    """The model to have loaded, from the batches that want work, in the order they deserve it.

    The loaded one stays while it has work and its turn lasts, or nobody else waits; so a swap is rare. Then it is
    the next one's turn, round and round, so no model waits longer than one turn of each of the others.
    """
    models = list(dict.fromkeys(batch.served_model for batch in waiting))
    if loaded not in models:
        return models[0] if models else loaded
    if now - loaded_since < turn_seconds:
        return loaded
    return models[(models.index(loaded) + 1) % len(models)]


def next_run(runs: Iterable[Run]) -> Run | None:
    """The run to take a line from: highest priority first, then the one whose turn is longest ago."""
    ready = [run for run in runs if run.ready]
    return min(ready, key=lambda run: (-run.batch.priority, run.last_fed), default=None)
