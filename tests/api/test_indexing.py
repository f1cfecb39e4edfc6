"""A batch that has ended is indexed before anybody asks, whatever becomes of another one's index."""

import asyncio
import time
from typing import Any

import pytest
from pysqlite3 import dbapi2

from batch_app.answer_index.index import Indexes
from batch_app.api import housekeeping
from batch_app.api.housekeeping import Indexer
from tests.api.served import Api


def indexed(api: Api) -> set[str]:
    return {path.name.partition(".")[0] for path in (api.settings.data_dir / "index").glob("*.db")}


def test_a_batch_that_has_ended_is_indexed_before_anybody_asks(api: Api) -> None:
    indexer = Indexer(api.app.state.context, since=time.time())
    batch_id = api.finished()
    indexer.run_once(now=time.time())
    assert indexed(api) == {batch_id}


def test_so_is_one_whose_files_were_published_long_after_its_end_had_begun(api: Api) -> None:
    began = time.time()
    indexer = Indexer(api.app.state.context, since=began + 600)
    batch_id = api.accepted()
    indexer.run_once(now=began + 601)
    assert indexed(api) == set()
    api.work()  # its end bears a moment of ten minutes ago
    indexer.run_once(now=began + 603)
    assert indexed(api) == {batch_id}


def test_each_is_indexed_once(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(Indexes, "complete", lambda _self, batch_id: asked.append(batch_id))
    indexer = Indexer(api.app.state.context, since=time.time())
    batch_ids = []
    for _ in range(3):
        batch_ids.append(api.finished(1))
        indexer.run_once(now=time.time())
    indexer.run_once(now=time.time() - 600)  # the clock was set back
    assert asked == batch_ids


@pytest.mark.parametrize("broken", ["zeros", "cut off"])
def test_broken_answers_are_logged_and_keep_no_other_batch_from_its_index(
    api: Api, caplog: pytest.LogCaptureFixture, broken: str
) -> None:
    indexer = Indexer(api.app.state.context, since=time.time())
    bad, good = api.finished(), api.finished()
    path = api.settings.files_dir / f"{api.batch(bad)['output_file_id']}.jsonl"
    if broken == "zeros":
        path.write_bytes(bytes(path.stat().st_size))
    else:
        path.write_bytes(path.read_bytes()[:-10])
    indexer.run_once(now=time.time())
    indexer.run_once(now=time.time())
    [told] = [vars(record) for record in caplog.records if record.message == "batch_not_indexed"]
    assert told["batch_id"] == bad
    assert good in indexed(api)


def test_what_a_full_disk_refused_is_indexed_in_a_later_round(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    indexer = Indexer(api.app.state.context, since=time.time())
    batch_id = api.finished()
    with monkeypatch.context() as full:
        full.setattr(Indexes, "refresh", _refused)
        with pytest.raises(dbapi2.OperationalError):
            indexer.run_once(now=time.time())
    indexer.run_once(now=time.time())
    assert indexed(api) == {batch_id}


def _refused(*_: Any, **__: Any) -> None:
    raise dbapi2.OperationalError("database or disk is full")


class Enough(BaseException):
    pass


def test_no_bug_of_ours_ends_the_housekeeping(caplog: pytest.LogCaptureFixture) -> None:
    rounds = []

    def work(*, now: float) -> None:
        rounds.append(now)
        if len(rounds) == 3:
            raise Enough
        raise TypeError("a bug")

    with pytest.raises(Enough):
        asyncio.run(housekeeping._every(0, work))
    assert caplog.text.count("TypeError: a bug") == 2
