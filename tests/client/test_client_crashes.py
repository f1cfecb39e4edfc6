"""Promise: a client that dies at any moment goes on when it is started again, and sends nothing twice."""

import random
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.client.api import Api
from scripts.client.state import load, save, state_path
from scripts.client.submission import Submission
from scripts.client.submitting import Order, ask_for_retries, finish, prepare
from scripts.client.upload import Form
from tests.client.command_line import Client
from tests.client.inputs import assert_every_answer_is_home, results_folder, state_of, write_input
from tests.client.test_client_submit import MODEL, batches_of, submit
from tests.waiting import wait_until

pytestmark = pytest.mark.process

COUNT, PARTS = 70, 2


class Crash(BaseException):
    """The end of the process, as far as the objects in it can tell."""


class CrashingApi(Api):
    """Dies at the nth call, either before it reaches the server or before its answer reaches the client."""

    def __init__(self, url: str, calls: int, *, after: bool) -> None:
        super().__init__(url)
        self._left, self._after = calls, after

    def _call(self, method: str, path: str, **rest: Any) -> Any:
        self._left -= 1
        if self._left == 0 and not self._after:
            raise Crash
        response = super()._call(method, path, **rest)
        if self._left == 0:
            raise Crash
        return response


class ForgetfulApi(CrashingApi):
    """Its server forgot the keys, as every server does a day later."""

    def submit(self, form: Form, *, idempotency_key: str) -> str:
        return super().submit(form, idempotency_key=secrets.token_hex(16))


class UnhurriedApi(CrashingApi):
    """Its server has not come to the last request when it is asked what became of it."""

    def batch_bodies(self, *, status: str | None = None) -> Iterator[dict[str, Any]]:
        return iter([])


def run(submission: Submission, seconds: float = 100) -> None:
    until = time.monotonic() + seconds
    while not submission.finished:
        if not submission.run_once(time.monotonic()):
            time.sleep(0.02)
        assert time.monotonic() < until


def runs_to_its_end(client: Client, path: Path, calls: int, *, after: bool) -> bool:
    """One life of the client; whether it outlived its nth call."""
    try:
        run(Submission(CrashingApi(client.system.url, calls, after=after), load(path), path))
    except Crash:
        return False
    return True


@pytest.mark.parametrize("after", [False, True], ids=["request lost", "answer lost"])
@pytest.mark.parametrize("calls", range(1, 17))
def test_a_crash_at_any_call_costs_nothing(
    client: Client, tmp_path: Path, calls: int, *, after: bool
) -> None:
    source = write_input(tmp_path / "in.jsonl", COUNT)
    path = state_path(source, results_folder(source))
    save(prepare(Order(source, MODEL), client.api, quiet=True), path)
    runs_to_its_end(client, path, calls, after=after)
    submission = Submission(client.api, load(path), path)
    run(submission)
    finish(submission, path)
    assert len(batches_of(client, source)) == PARTS
    assert_every_answer_is_home(source, COUNT)


def test_a_part_whose_key_the_server_forgot_is_found_by_its_metadata(client: Client, tmp_path: Path) -> None:
    source = write_input(tmp_path / "in.jsonl", COUNT)
    path = state_path(source, results_folder(source))
    save(prepare(Order(source, MODEL), client.api, quiet=True), path)
    first, second = (ForgetfulApi(client.system.url, calls, after=True) for calls in (2, 1000))
    with pytest.raises(Crash):
        run(Submission(first, load(path), path))
    run(Submission(second, load(path), path))
    assert len(batches_of(client, source)) == PARTS


def test_a_retry_whose_answer_is_lost_makes_one_batch(client: Client, tmp_path: Path) -> None:
    source = write_input(tmp_path / "in.jsonl", 10, texts={3: "[[fail 400]]"})
    assert submit(client, source).returncode == 3
    path = state_path(source, results_folder(source))
    state = load(path)
    [part] = state.parts
    assert ask_for_retries(state, path) == 1
    with pytest.raises(Crash):
        run(Submission(UnhurriedApi(client.system.url, 1, after=True), load(path), path))
    run(Submission(UnhurriedApi(client.system.url, 1000, after=True), load(path), path))
    assert client.api.batch_body(str(part.batch_id))["retried_by"] == load(path).parts[0].batch_ids[1:]
    assert len(load(path).parts[0].batch_ids) == 2


def test_a_client_that_crashes_again_and_again_still_ends_with_everything(
    client: Client, tmp_path: Path
) -> None:
    chance = random.Random(4080)
    source = write_input(tmp_path / "in.jsonl", COUNT)
    path = state_path(source, results_folder(source))
    save(prepare(Order(source, MODEL), client.api, quiet=True), path)
    for _ in range(40):
        runs_to_its_end(client, path, chance.randint(2, 9), after=chance.random() < 0.5)
    submission = Submission(client.api, load(path), path)
    run(submission)
    finish(submission, path)
    assert len(batches_of(client, source)) == PARTS
    assert_every_answer_is_home(source, COUNT)


def has_state(source: Path) -> bool:
    return state_path(source, results_folder(source)).exists()


def parts_of(source: Path) -> Iterator[dict[str, Any]]:
    return iter(state_of(source)["parts"] if has_state(source) else [])


MOMENTS: dict[str, Callable[[Path], bool]] = {
    "once the plan is written": has_state,
    "while the first part is sent": lambda source: any(
        part["status"] != "planned" for part in parts_of(source)
    ),
    "after the first part": lambda source: any(part["batch_ids"] for part in parts_of(source)),
    "after the last part": lambda source: (
        has_state(source) and all(part["batch_ids"] for part in parts_of(source))
    ),
    "after the first download": lambda source: any(part["fetched"] for part in parts_of(source)),
    "after the last download": lambda source: (
        has_state(source) and all(part["fetched"] for part in parts_of(source))
    ),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_kill_9_at_a_moment_that_matters(client: Client, tmp_path: Path, moment: str) -> None:
    source = write_input(tmp_path / "in.jsonl", COUNT)
    process = client.start("submit", source, "--model", MODEL, "--interval", "0.05")
    wait_until(lambda: process.poll() is not None or MOMENTS[moment](source), what=moment)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=120)
    assert submit(client, source).returncode == 0
    assert len(batches_of(client, source)) == PARTS
    assert_every_answer_is_home(source, COUNT)


def test_kill_9_at_random_moments_again_and_again(client: Client, tmp_path: Path) -> None:
    chance = random.Random(8001)
    source = write_input(tmp_path / "in.jsonl", 7 * 50)
    for _ in range(8):
        process = client.start("submit", source, "--model", MODEL, "--interval", "0.05")
        time.sleep(chance.uniform(0.2, 0.9))
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=120)
    done = submit(client, source)
    assert done.returncode == 0, done.stderr
    assert len(batches_of(client, source)) == 7
    assert_every_answer_is_home(source, 350)
