"""Health with what to do, probes, models, chart samples and metrics."""

import re
import shutil
import time
from collections import namedtuple
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from batch_app.store import workers
from batch_app.store.workers import Sample
from tests.api.errors import error_of
from tests.api.served import MODEL, Api
from tests.api.states import batch_in
from tests.lines import chat_line, chat_lines
from tests.stuck_reader import stuck_reader

PARTS = {
    "database": {"status", "schema", "size_bytes", "wal_bytes"},
    "worker": {
        "status", "heartbeat", "heartbeat_age_seconds", "id", "pid", "host", "model", "batch_id", "batch_ids",
        "tokens_per_second", "requests_in_flight", "cached_prompt_share", "engine", "engine_restarts", "started_at",
        "memory_bytes", "trouble",
    },
    "queue": {
        "accepting", "reason", "active_batches", "max_active_batches", "queued_requests", "max_queued_requests",
        "oldest_waiting_seconds", "max_requests_per_batch", "max_file_bytes", "max_line_bytes",
        "allow_grammars",
    },
    "last_24_hours": {"answers", "failed", "dead_letters"},
    "disk": {"path", "free_bytes", "total_bytes", "free_percent"},
}  # fmt: skip


def health(api: Api) -> Any:
    answer = api.get("/health")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_health_has_every_part_with_and_without_a_worker(api: Api) -> None:
    for _ in range(2):
        seen = health(api)
        assert seen.keys() == {"status", "problems", "version", "time", "gpu", *PARTS}
        for part, names in PARTS.items():
            assert names <= seen[part].keys()
        batch_in(api, "in_progress")


@pytest.mark.parametrize("path", ["/health", "/livez", "/readyz", "/v1/batches"])
def test_monitors_that_ask_with_head_are_told_what_get_tells_without_the_body(api: Api, path: str) -> None:
    for _ in range(2):
        head, get = api.call("HEAD", path), api.get(path)
        assert (head.status_code, head.content) == (get.status_code, b"")
        assert head.headers["content-type"] == get.headers["content-type"] == "application/json"
        api.register_worker()  # from now on it is ready


def test_all_is_well_with_a_worker(api: Api) -> None:
    api.register_worker()
    seen = health(api)
    assert (seen["status"], seen["problems"]) == ("ok", [])
    assert abs(seen["time"] - time.time()) < 60
    assert seen["database"]["status"] == "ok"


def test_a_missing_worker_is_told_how_to_start_one(api: Api) -> None:
    seen = health(api)

    assert seen["status"] == "degraded"
    [problem] = seen["problems"]
    assert "make worker" in problem
    assert (seen["worker"]["status"], seen["worker"]["heartbeat"], seen["worker"]["id"]) == (
        "none",
        "none",
        None,
    )
    assert seen["queue"]["accepting"] is True


def test_a_heartbeat_is_late_at_30_seconds_and_lost_at_60(api: Api) -> None:
    api.register_worker()
    worker = workers.latest_worker(api.database)
    assert worker is not None

    ages = {0: "fresh", 29.9: "fresh", 30: "late", 59.9: "late", 60: "lost"}

    assert {
        age: workers.heartbeat_status(worker, api.settings, now=worker.heartbeat_at + age) for age in ages
    } == ages


_BUSY: dict[str, Any] = {
    "state": "processing",
    "model": MODEL,
    "batch_ids": ["batch_1"],
    "requests_in_flight": 256,
    "tokens_per_second": 1790.0,
}


@pytest.mark.parametrize(("age", "word"), [(5, "fresh"), (40, "late"), (100, "lost")])
def test_a_silent_worker_is_a_problem(api: Api, age: float, word: str) -> None:
    api.register_worker(age_seconds=age, **_BUSY)

    seen = health(api)

    worker = seen["worker"]
    assert worker["heartbeat"] == word
    assert worker["heartbeat_age_seconds"] == pytest.approx(age, abs=10)
    assert worker["status"] == ("processing" if word == "fresh" else word)
    assert (seen["status"], len(seen["problems"])) == (("ok", 0) if word == "fresh" else ("degraded", 1))
    assert all("silent" in problem for problem in seen["problems"])


@pytest.mark.parametrize(("age", "is_heard"), [(5, True), (40, True), (100, False)])
def test_what_a_lost_worker_said_last_is_not_told_as_what_it_does(
    api: Api, age: float, *, is_heard: bool
) -> None:
    api.register_worker(age_seconds=age, **_BUSY, trouble="It is too hot.", memory_bytes=2**30)

    worker = health(api)["worker"]

    told = [worker[name] for name in (*_BUSY, "batch_id", "trouble", "memory_bytes") if name != "state"]
    assert told == (
        [MODEL, ["batch_1"], 256, 1790.0, "batch_1", "It is too hot.", 2**30]
        if is_heard
        else [None, [], 0, 0.0, None, None, None]
    )
    assert _gauges(api) == ((256, 1790.0) if is_heard else (0, 0))
    models = api.get("/v1/models").json()["data"]
    assert [one["id"] for one in models if one["loaded"]] == ([MODEL] if is_heard else [])


def _gauges(api: Api) -> tuple[float, float]:
    """Requests in flight and tokens per second, as /metrics has them."""
    lines = api.get("/metrics").text.splitlines()
    found = dict(line.split(" ") for line in lines if line.startswith("batch_worker_"))
    return float(found["batch_worker_requests_in_flight"]), float(found["batch_worker_tokens_per_second"])


def test_a_worker_that_stopped_in_order_is_no_worker(api: Api) -> None:
    worker_id = api.register_worker(state="processing", model=MODEL)
    workers.stop_worker(api.database, worker_id=worker_id, now=time.time())

    seen = health(api)

    assert (seen["worker"]["status"], seen["worker"]["model"]) == ("none", None)
    assert "make worker" in seen["problems"][0]


def test_the_worker_says_what_it_works_on(api: Api) -> None:
    batch_id = api.accepted(5)
    api.work(answers=2)

    worker = health(api)["worker"]

    assert (worker["status"], worker["model"], worker["engine"]) == ("processing", MODEL, "echo")
    assert (worker["batch_id"], worker["batch_ids"]) == (batch_id, [batch_id])
    assert worker["requests_in_flight"] == 3


def test_what_keeps_the_worker_from_its_work_is_a_problem_in_words(api: Api) -> None:
    died = (
        "The engine of tiny died 3 times without an answer: its process has died. It was restarted 3 times."
    )
    api.register_worker(state="loading", trouble=died, next_try_at=time.time() + 12.4, memory_bytes=2**30)

    seen = health(api)

    assert seen["status"] == "degraded"
    [problem] = seen["problems"]
    assert re.fullmatch(re.escape(died) + r" Next try in 1[0-2] s\.", problem)
    assert (seen["worker"]["trouble"], seen["worker"]["memory_bytes"]) == (problem, 2**30)


def test_the_trouble_of_a_worker_that_stopped_is_over(api: Api) -> None:
    worker_id = api.register_worker(state="processing", trouble="It is too hot.")
    workers.stop_worker(api.database, worker_id=worker_id, now=time.time())

    assert health(api)["worker"]["trouble"] is None


def test_little_disk_space_is_a_problem(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    api.register_worker()
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(500 * 1024**3, 499 * 1024**3, 1024**3))

    seen = health(api)

    assert (seen["status"], seen["disk"]["free_percent"]) == ("degraded", 0.2)
    assert "1.0 GiB" in seen["problems"][0]


def test_a_program_that_keeps_the_log_from_being_cut_is_a_problem(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.register_worker()
    with stuck_reader(api.settings.database_path) as pid:
        assert health(api)["problems"] == []
        monkeypatch.setattr("batch_app.api.health.WAL_LIMIT_BYTES", 0)
        [problem] = health(api)["problems"]
        assert problem.startswith(f"Process {pid} (python")
        assert f"`kill {pid}`" in problem
    assert health(api)["problems"] == []


def test_the_last_day_is_counted(api: Api) -> None:
    api.finished([*chat_lines(3), chat_line("bad", "[[fail 400]]")])
    assert health(api)["last_24_hours"] == {"answers": 3, "failed": 1, "dead_letters": 1}


def test_the_oldest_waiting_batch_is_timed(api: Api) -> None:
    assert health(api)["queue"]["oldest_waiting_seconds"] is None
    api.accepted()
    with api.database.write() as connection:
        connection.exec_driver_sql("UPDATE batches SET created_at = created_at - 120")
    assert health(api)["queue"]["oldest_waiting_seconds"] == pytest.approx(120, abs=10)


def test_a_live_process_says_so(api: Api) -> None:
    assert api.get("/livez").json() == {"status": "ok"}


def test_readiness_says_what_is_missing(api: Api) -> None:
    missing = api.get("/readyz")
    assert missing.status_code == 503
    assert missing.json()["checks"] == {"schema": True, "worker": False}

    api.register_worker()
    assert api.get("/readyz").status_code == 200


def test_models_are_those_of_the_models_file(api: Api) -> None:
    api.register_worker(state="idle", model=MODEL)

    answer = api.get("/v1/models").json()

    assert answer["object"] == "list"
    by_id = {model["id"]: model for model in answer["data"]}
    assert by_id.keys() == {"google/gemma-3-4b-it", MODEL}
    assert by_id[MODEL].keys() == {"id", "object", "created", "owned_by", "aliases", "loaded"}
    assert (by_id[MODEL]["object"], by_id[MODEL]["aliases"]) == ("model", ["smollm2"])
    assert [by_id[name]["loaded"] for name in (MODEL, "google/gemma-3-4b-it")] == [True, False]


def test_samples_have_a_reading_for_every_chart(api: Api) -> None:
    api.finished()

    samples = api.get("/v1/samples").json()

    assert samples["object"] == "list"
    [sample] = samples["data"]
    assert sample.keys() == {
        "at", "queued_requests", "requests_in_flight", "tokens_per_second", "requests_per_second",
        "gpu_memory_used_bytes", "gpu_utilization_percent", "gpu_temperature_c", "gpu_power_w",
    }  # fmt: skip


def test_samples_go_as_far_back_as_asked(api: Api) -> None:
    now = time.time()
    for hours in (0.5, 2, 30):
        sample = Sample(now - hours * 3600, 1, 2, 3.0, 4.0)
        workers.add_sample(api.database, sample=sample)

    assert [len(api.get(f"/v1/samples?hours={hours}").json()["data"]) for hours in (1, 24, 168)] == [1, 2, 3]
    first, last = api.get("/v1/samples?hours=24").json()["data"]
    assert first["at"] < last["at"]


def test_a_day_of_samples_comes_in_as_many_steps_as_asked(api: Api) -> None:
    now = time.time()
    for seconds in range(0, 3000, 10):
        workers.add_sample(api.database, sample=Sample(now - seconds, 1, 2, 3.0, 4.0))
    found = api.get("/v1/samples?hours=24&step=600").json()["data"]
    assert len(found) in (5, 6)
    assert {sample["tokens_per_second"] for sample in found} == {3.0}
    assert error_of(api.get("/v1/samples?step=5"), 400)["param"] == "step"


@pytest.mark.parametrize("hours", ["0", "-1", "169", "nan", "inf", "x"])
def test_samples_go_back_a_week_at_most(api: Api, hours: str) -> None:
    assert error_of(api.get(f"/v1/samples?hours={hours}"), 400)["param"] == "hours"


def test_metrics_are_prometheus_and_carry_no_ids(api: Api) -> None:
    batch_id = api.finished([*chat_lines(3), chat_line("bad", "[[fail 400]]")])
    api.accepted(2)

    answer = api.get("/metrics")

    assert answer.headers["content-type"].startswith("text/plain")
    values = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert values["batch_requests_total", "completed"] == 3
    assert values["batch_requests_total", "failed"] == 1
    assert values["batch_tokens_total", "output"] == 9
    assert values["batch_batches", "completed"] == 1
    assert (values["batch_active_batches",], values["batch_queued_requests",]) == (1, 2)
    assert 0 <= values["batch_worker_heartbeat_age_seconds",] < 60
    assert values["batch_request_duration_seconds_count",] == 4
    assert values["batch_request_duration_seconds_bucket", "+Inf"] == 4
    assert values["batch_request_duration_seconds_sum",] > 0
    assert batch_id not in answer.text
    assert "candidate" not in answer.text


def test_metrics_tell_how_long_calls_took_by_route_and_kind_of_status(serve: Callable[..., Api]) -> None:
    api = serve()
    batch_id = api.accepted(1)
    for path in (f"/v1/batches/{batch_id}", "/v1/batches/batch_unknown", "/nowhere", "/elsewhere"):
        api.get(path)
    counts = {
        tuple(sample.labels[name] for name in ("handler", "method", "status")): sample.value
        for family in text_string_to_metric_families(api.get("/metrics").text)
        for sample in family.samples
        if sample.name == "batch_http_request_duration_seconds_count"
    }
    assert counts == {
        ("/v1/batches", "POST", "2xx"): 1,
        ("/v1/batches/{batch_id}", "GET", "2xx"): 1,
        ("/v1/batches/{batch_id}", "GET", "4xx"): 1,
        ("none", "GET", "4xx"): 2,
    }
