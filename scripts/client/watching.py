"""Watches batches that are already on the server."""

from scripts.client.api import Api
from scripts.client.progress import Standing, describe_phases
from scripts.client.wire import Batch


class Watch:
    """Finished once every batch is final. `batches` holds what was last seen of each."""

    def __init__(self, api: Api, batch_ids: list[str]) -> None:
        self._api, self._batch_ids = api, batch_ids
        self.batches: dict[str, Batch] = {}

    @property
    def finished(self) -> bool:
        return all(
            batch_id in self.batches and self.batches[batch_id].is_final for batch_id in self._batch_ids
        )

    def run_once(self, _now: float, /) -> bool:
        for batch_id in self._batch_ids:
            if batch_id not in self.batches or not self.batches[batch_id].is_final:
                self.batches[batch_id] = self._api.batch(batch_id)
        return False

    def standing(self) -> Standing:
        batches = list(self.batches.values())
        return Standing(
            total=sum(batch.total for batch in batches),
            done=sum(batch.answered for batch in batches),
            failed=sum(batch.unanswered if batch.is_final else batch.failed for batch in batches),
            doing=describe_phases(batches),
        )
