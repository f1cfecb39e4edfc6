"""Batches in each of their states, brought there by the calls and the work that lead there."""

from batch_app.inference.echo_engine import EchoEngine
from batch_app.inference.engine import ModelLoadError
from batch_app.models import ModelSpec
from tests.api.served import Api

A_DAY_AND_AN_HOUR = 25 * 3600.0


class UnloadableEngine(EchoEngine):
    """Every model is too large for it."""

    async def start(self) -> None:
        raise ModelLoadError("the model needs 80 GB and the card has 16")


def unloadable(_model: ModelSpec) -> EchoEngine:
    return UnloadableEngine()


def batch_in(api: Api, status: str, *, requests: int = 3) -> str:
    """The id of a batch that reads `status`. An unfinished or cut short one has its first request answered,
    save a cancelling one, which nobody has begun. The work finishes what else is cancelling."""
    window = {"completion_window": "24h"} if status == "expired" else {}
    batch_id = api.accepted(requests, **window)
    if status in {"in_progress", "cancelled", "expired"}:
        api.work(answers=1)
    if status in {"cancelling", "cancelled"}:
        assert api.delete(f"/v1/batches/{batch_id}").status_code == 200
    if status in {"cancelled", "completed"}:
        api.work()
    if status == "expired":
        api.work(after_seconds=A_DAY_AND_AN_HOUR)
    if status == "failed":
        api.work(make_engine=unloadable, turn_seconds=60)  # a model that has answered others has half an hour
    if status == "finalizing":
        set_status(api, batch_id, status)
    assert api.batch(batch_id)["status"] == status
    return batch_id


def set_status(api: Api, batch_id: str, status: str) -> None:
    """For a state that a batch is in too briefly to be met."""
    with api.database.write() as connection:
        connection.exec_driver_sql("UPDATE batches SET status = ? WHERE id = ?", (status, batch_id))
