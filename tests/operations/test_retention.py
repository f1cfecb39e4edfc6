"""What housekeeping forgets, and what it never touches."""

import dataclasses
import time
from pathlib import Path
from typing import Any

import pytest

from batch_app.api import housekeeping
from batch_app.api.context import Context
from batch_app.store import batch_insert, batches, files, retention, webhooks, workers
from tests import factories
from tests.api.served import Api
from tests.lines import chat_line, chat_lines

DAY = 24 * 3600


def context_of(api: Api, **changes: Any) -> Context:
    context: Context = api.app.state.context
    return dataclasses.replace(context, settings=context.settings.model_copy(update=changes))


def address_ends(api: Api) -> None:
    """As the sender does each second. There are no receivers."""
    webhooks.create_deliveries(api.database, urls=[], now=time.time())


def sweep(api: Api, *, days: float, after_days: float) -> None:
    """The housekeeper, with ended batches kept for `days`, comes by `after_days` from now."""
    address_ends(api)
    now = time.time() + after_days * DAY
    housekeeping.sweep(context_of(api, keep_ended_batches_days=days), now=now)


def paths(api: Api) -> list[str]:
    return [path for path in api.stored()["paths"] if path.endswith(".jsonl")]


def test_without_a_setting_every_batch_stays_for_ever(api: Api) -> None:
    batch_id = api.finished([*chat_lines(3), chat_line("bad", "[[fail 400]]")])
    before = api.stored()
    sweep(api, days=0, after_days=10_000)
    assert {**api.stored(), "workers": None} == {**before, "workers": None}
    assert len(api.results(batch_id)) == 3


def test_a_batch_past_its_time_goes_with_all_that_is_told_of_it(api: Api) -> None:
    batch_id = api.finished([*chat_lines(3), chat_line("bad", "[[fail 400]]")])
    assert api.get(f"/v1/batches/{batch_id}/answers").json()["total"] == 4
    [index] = (api.settings.data_dir / "index").glob("*.db")
    sweep(api, days=30, after_days=29)
    assert api.batch(batch_id)["status"] == "completed"

    sweep(api, days=30, after_days=31)

    assert api.get(f"/v1/batches/{batch_id}").status_code == 404
    left = api.stored()
    tables = ("batches", "requests", "dead_letters", "events", "webhook_deliveries", "files")
    assert [left[table] for table in tables] == [0] * 6
    assert paths(api) == []
    assert not index.exists()


def test_what_an_unfinished_batch_needs_is_never_touched(api: Api) -> None:
    batch_id = api.accepted(5)
    api.work(answers=2)
    before = api.stored()
    sweep(api, days=1, after_days=10_000)
    assert {**api.stored(), "workers": None} == {**before, "workers": None}
    api.work()
    assert len(api.results(batch_id)) == 5


def test_a_batch_that_stays_can_still_be_retried(api: Api) -> None:
    gone = api.finished([chat_line("bad", "[[fail 400]]")])
    with api.database.write() as connection:
        connection.exec_driver_sql(f"UPDATE batches SET completed_at = completed_at - {40 * DAY}")
    stays = api.finished([chat_line("bad", "[[fail 400]]")])
    sweep(api, days=30, after_days=0)
    assert api.get(f"/v1/batches/{gone}").status_code == 404
    assert api.post(f"/v1/batches/{stays}/retry").status_code == 200


def test_a_retry_outlives_the_batch_it_came_from(api: Api) -> None:
    parent = api.finished([*chat_lines(2), chat_line("bad", "[[fail 400]]")])
    child = api.post(f"/v1/batches/{parent}/retry").json()["batch_id"]
    sweep(api, days=1, after_days=2)
    assert api.get(f"/v1/batches/{parent}").status_code == 404
    assert api.batch(child)["parent_batch_id"] is None
    api.work()
    assert api.batch(child)["request_counts"]["failed"] == 1


def test_a_file_that_two_batches_were_made_of_goes_with_the_second(api: Api) -> None:
    file = factories.new_file()
    first = factories.new_batch(input_file_id=file.id)
    accepted = {"lines": factories.input_lines(1), "limits": factories.ROOM, "now": factories.NOW}
    old = batch_insert.accept_batch(api.database, batch=first, file=file, **accepted)
    factories.complete(api.database, old)
    second = factories.new_batch(input_file_id=file.id)
    batch_insert.accept_batch(api.database, batch=second, file=None, **accepted)
    address_ends(api)

    forgotten = retention.delete_ended_batch(api.database, ended_before=factories.NOW + 1)

    assert forgotten == retention.DeletedBatch(first.id, [])
    factories.complete(api.database, batches.get_batch(api.database, batch_id=second.id))
    address_ends(api)
    forgotten = retention.delete_ended_batch(api.database, ended_before=factories.NOW + 1)
    assert forgotten == retention.DeletedBatch(second.id, [file.path])


def test_a_batch_whose_webhook_is_still_on_its_way_stays(api: Api) -> None:
    batch_id = api.finished(1)
    with api.database.write() as connection:
        connection.exec_driver_sql(
            "INSERT INTO webhook_deliveries (event_id, url, status, attempts, next_attempt_at)"
            " SELECT id, 'http://receiver', 'pending', 3, 0 FROM events"
        )
    sweep(api, days=1, after_days=2)
    assert api.batch(batch_id)["status"] == "completed"
    with api.database.write() as connection:
        connection.exec_driver_sql(
            "UPDATE webhook_deliveries SET status = 'delivered', next_attempt_at = NULL"
        )
    sweep(api, days=1, after_days=2)
    assert api.get(f"/v1/batches/{batch_id}").status_code == 404


def test_a_batch_whose_end_nobody_was_told_of_stays_until_somebody_is(api: Api) -> None:
    """An API that was away for longer than batches are kept: at its start the housekeeper may be the faster one."""
    batch_id = api.finished(1)
    before = api.stored()
    housekeeping.sweep(context_of(api, keep_ended_batches_days=1), now=time.time() + 2 * DAY)
    assert api.stored() == before
    sweep(api, days=1, after_days=2)
    assert api.get(f"/v1/batches/{batch_id}").status_code == 404


def test_an_upload_that_nobody_used_goes_after_the_same_time(api: Api) -> None:
    upload = {"files": {"file": ("a.jsonl", b'{"custom_id": "a"}\n')}, "data": {"purpose": "batch"}}
    assert api.post("/v1/files", **upload).status_code == 200
    sweep(api, days=30, after_days=29)
    assert len(paths(api)) == 1
    sweep(api, days=30, after_days=31)
    assert (paths(api), api.stored()["files"]) == ([], 0)


def test_a_crash_between_rows_and_bytes_leaves_what_the_next_round_removes(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_id = api.finished(3)
    assert api.get(f"/v1/batches/{batch_id}/answers").status_code == 200
    monkeypatch.setattr(housekeeping, "_remove_paths", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        sweep(api, days=1, after_days=2)
    monkeypatch.undo()
    assert len(paths(api)) == 2

    housekeeping.remove_leftovers(context_of(api), now=time.time() + DAY)

    assert paths(api) == []
    assert list((api.settings.data_dir / "index").iterdir()) == []


def test_a_crash_between_a_files_deletion_and_its_bytes_leaves_what_the_next_round_removes(api: Api) -> None:
    file_id = api.batch(api.finished(3))["output_file_id"]
    files.delete_file(api.database, file_id=file_id, now=time.time())
    assert any(file_id in path for path in paths(api))

    housekeeping.remove_leftovers(context_of(api), now=time.time() + DAY)

    assert len(paths(api)) == 1
    assert not any(file_id in path for path in paths(api))


def test_leftovers_go_and_nothing_else_does(api: Api) -> None:
    finished, unfinished = api.finished(3), api.accepted(3)
    api.work(answers=1)
    assert api.get(f"/v1/batches/{finished}/answers").status_code == 200
    before = api.stored()["paths"]
    data = api.settings.data_dir
    strays = [
        data / "files" / f"file-{'0' * 24}.jsonl",
        data / "tmp" / "file-1.part",
        data / "work" / finished / "output-000009-0.jsonl",
        data / "index" / f"batch_{'0' * 24}.v1.db",
        data / "index" / f"{finished}.v0.db",
    ]
    for stray in strays:
        stray.parent.mkdir(exist_ok=True)
        stray.write_bytes(b"{}")

    housekeeping.remove_leftovers(context_of(api), now=time.time())
    assert [path.exists() for path in strays] == [True, True, False, False, False], "too young to tell"
    housekeeping.remove_leftovers(context_of(api), now=time.time() + 7200)

    assert not any(path.exists() for path in strays)
    assert api.stored()["paths"] == before
    assert len(list((data / "index").glob("*.db"))) == 1
    assert api.batch(unfinished)["request_counts"]["completed"] == 1


def test_workers_of_long_ago_are_forgotten_and_those_with_a_claim_are_not(api: Api) -> None:
    stopped = factories.start_worker(api.database, now=time.time())
    workers.stop_worker(api.database, worker_id=stopped, now=time.time())
    batch = factories.accept(api.database)
    factories.claim(api.database, batch, now=time.time())
    sweep(api, days=0, after_days=29)
    assert api.stored()["workers"] == 2
    sweep(api, days=0, after_days=31)
    assert api.stored()["workers"] == 1


def test_a_young_file_without_a_row_may_be_on_its_way_to_one(api: Api, tmp_path: Path) -> None:
    young = api.settings.files_dir / f"file-{'a' * 24}.jsonl"
    young.write_bytes(b"{}")
    housekeeping.remove_leftovers(context_of(api), now=time.time() + 3000)
    assert young.exists()
