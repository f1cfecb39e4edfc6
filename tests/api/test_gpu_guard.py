"""A GPU that is unfit for work refuses batches with its reading; one that our own worker fills is fit."""

from collections.abc import Callable
from typing import Any

import pytest

from batch_app.host.gpu import GpuSnapshot
from tests.api.errors import error_of
from tests.api.forms import HEADERS
from tests.api.served import MODEL, Api
from tests.api.states import batch_in
from tests.api.test_submission_limits import Upload, is_told_to_wait

GIB = 1024**3


def card(used_gib: float, **readings: Any) -> GpuSnapshot:
    """A reading of the owner's card."""
    return GpuSnapshot("NVIDIA GeForce RTX 4080", int(used_gib * GIB), 16 * GIB, **readings)


UNFIT = [
    (card(8, own_memory_bytes=0, temperature_c=86), "86 °C"),
    (card(15.7, own_memory_bytes=0, temperature_c=50), "98 %"),
    (card(15.9, own_memory_bytes=int(0.1 * GIB)), "99 %"),
    (card(15.9), "99 %"),
]


@pytest.mark.parametrize(("reading", "words"), UNFIT)
def test_an_unfit_gpu_refuses_with_its_reading(api: Api, reading: GpuSnapshot, words: str) -> None:
    api.gpu.reading = reading

    answer = api.submit()

    assert words in error_of(answer, 503, "gpu_unfit")["message"]
    assert is_told_to_wait(answer)
    assert api.has_stored_nothing()


FIT = [
    None,
    card(8, own_memory_bytes=0, temperature_c=85),
    card(15.2, own_memory_bytes=0, temperature_c=50),
    card(15.9, own_memory_bytes=15 * GIB, temperature_c=80),
]


@pytest.mark.parametrize("reading", FIT)
def test_a_fit_gpu_or_none_at_all_accepts(api: Api, reading: GpuSnapshot | None) -> None:
    api.gpu.reading = reading
    assert api.submit().status_code == 200


def test_memory_of_our_own_worker_is_looked_up_by_its_process(api: Api) -> None:
    api.register_worker(state="processing", model=MODEL)
    api.submit()
    assert api.gpu.own_pids[-1] == 4711


def test_memory_is_taken_to_be_our_loaded_workers_where_the_driver_does_not_tell(api: Api) -> None:
    api.gpu.reading = card(15.9)
    api.register_worker(state="idle")
    assert api.submit().status_code == 503

    api.register_worker(state="processing", model=MODEL)
    assert api.submit().status_code == 200


def test_a_required_gpu_that_is_not_there_refuses(serve: Callable[..., Api]) -> None:
    answer = serve(require_gpu=True).submit()
    assert "BATCH_REQUIRE_GPU" in error_of(answer, 503, "gpu_unfit")["message"]


def test_the_limits_are_the_operators(serve: Callable[..., Api]) -> None:
    api = serve(gpu_max_temperature_c=60, gpu_max_memory_percent=40)
    api.gpu.reading = card(4, own_memory_bytes=0, temperature_c=61)
    assert api.submit().status_code == 503
    api.gpu.reading = card(7, own_memory_bytes=0, temperature_c=50)
    assert api.submit().status_code == 503
    api.gpu.reading = card(4, own_memory_bytes=0, temperature_c=50)
    assert api.submit().status_code == 200


def test_a_refusal_costs_no_upload(api: Api) -> None:
    api.gpu.reading, upload = UNFIT[0][0], Upload(pieces=10)
    assert api.post("/v1/batches", content=upload, headers=HEADERS).status_code == 503
    assert upload.taken == 0


def test_a_retry_is_refused_like_a_new_batch(api: Api) -> None:
    batch_id = batch_in(api, "cancelled")
    before = api.stored()
    api.gpu.reading = UNFIT[0][0]

    error_of(api.post(f"/v1/batches/{batch_id}/retry"), 503, "gpu_unfit")
    assert api.stored() == before


@pytest.mark.parametrize(
    ("reading", "status"),
    [(None, "not present"), (FIT[1], "healthy"), (UNFIT[0][0], "too hot"), (UNFIT[1][0], "memory full")],
)
def test_health_has_a_word_and_the_figures_for_the_gpu(api: Api, reading: Any, status: str) -> None:
    api.gpu.reading = reading

    health = api.get("/health").json()

    gpu = health["gpu"]
    assert gpu.keys() == {
        "available", "status", "name", "memory_used_bytes", "memory_total_bytes", "memory_percent",
        "own_memory_bytes", "temperature_c", "utilization_percent", "power_w", "processes",
        "max_memory_percent", "max_temperature_c",
    }  # fmt: skip
    assert (gpu["available"], gpu["status"]) == (reading is not None, status)
    assert (gpu["max_memory_percent"], gpu["max_temperature_c"]) == (95, 85)
    assert health["queue"]["accepting"] is (status in {"not present", "healthy"})
    if reading is not None:
        assert gpu["memory_percent"] == pytest.approx(reading.memory_percent, abs=0.1)
    if not health["queue"]["accepting"]:
        assert any(health["queue"]["reason"] in problem for problem in health["problems"])
