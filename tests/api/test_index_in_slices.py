"""The index of a batch is made in slices: nobody waits longer than they have for those who make it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from batch_app.answer_index import index
from batch_app.api import lookups
from tests.api.errors import error_of
from tests.api.served import Api
from tests.lines import chat_lines


@pytest.fixture(autouse=True)
def time_for_all() -> None:
    """Nobody gets more of it here than what the code gives them."""


@contextmanager
def stuck_indexing(api: Api, batch_id: str, monkeypatch: pytest.MonkeyPatch, *, at: str) -> Iterator[None]:
    """Somebody indexes the batch, and stands still at the function `at` of the module while the block lasts."""
    arrived, go_on, passes = threading.Event(), threading.Event(), getattr(index, at)

    def stand_still(*arguments: Any) -> Any:
        arrived.set()
        assert go_on.wait(20)
        return passes(*arguments)

    monkeypatch.setattr(index, at, stand_still)
    somebody = threading.Thread(target=api.app.state.context.indexes.complete, args=[batch_id])
    somebody.start()
    try:
        assert arrived.wait(60)
        yield
    finally:
        go_on.set()
        somebody.join()


def test_a_reader_gets_what_there_is_while_another_indexes_for_long(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookups, "REFRESH_SECONDS", 0.1)
    batch_id = api.finished(9)
    path = f"/v1/batches/{batch_id}"
    with stuck_indexing(api, batch_id, monkeypatch, at="open_answers"):
        assert api.app.state.context.indexes.refresh(batch_id, seconds=0.1) is False
        page = api.get(f"{path}/answers").json()
        assert (page["data"], page["indexed"], page["complete"]) == ([], 0, False)
        assert api.get(f"{path}/fields").json()["complete"] is False
    page = api.get(f"{path}/answers").json()
    assert (len(page["data"]), page["complete"]) == (9, True)


def test_a_reader_before_the_first_slice_is_told_to_come_again(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookups, "REFRESH_SECONDS", 0.1)
    batch_id = api.finished(2)
    path = f"/v1/batches/{batch_id}/answers"
    with stuck_indexing(api, batch_id, monkeypatch, at="_make_tables"):
        refusal = api.get(path)
        error_of(refusal, 503, "not_indexed_yet")
        assert refusal.headers["retry-after"] == "1"
    assert api.get(path).json()["total"] == 2


def test_an_export_has_every_row_however_many_slices_it_takes(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "_SLICE_SECONDS", 0)
    monkeypatch.setattr(index, "_ROWS_AT_ONCE", 2)
    ids = [api.finished(chat_lines(9)) for _ in range(2)]
    params = {"format": "jsonl"}
    alone = api.get(f"/v1/batches/{ids[0]}/export", params=params).content.splitlines()
    assert len(alone) == 9
    joined = api.get("/v1/compare/export", params={**params, "batch": ids}).content.splitlines()
    assert all(json.loads(line)["answers"][ids[1]] for line in joined)
