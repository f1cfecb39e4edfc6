"""Promises of `make demo`: it ends with answers or says why not, and leaves no process behind either way."""

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from batch_app.settings import PROJECT_DIR
from tests.client.command_line import clean_environment
from tests.client.inputs import custom_ids
from tests.processes.system import free_port
from tests.waiting import wait_until

pytestmark = pytest.mark.process


class Demo:
    """The script with the echo engine, its own ports and its own data folder."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.ports = [free_port(), free_port()]
        self._process: subprocess.Popen[str] | None = None

    def start(self, *arguments: str, **settings: str) -> "subprocess.Popen[str]":
        environment = {
            "BATCH_ENGINE": "echo",
            "BATCH_DATA_DIR": str(self.data),
            "BATCH_API_PORT": str(self.ports[0]),
            "BATCH_WEB_PORT": str(self.ports[1]),
        }
        self._process = subprocess.Popen(
            [sys.executable, str(PROJECT_DIR / "scripts" / "demo.py"), *arguments],
            env=clean_environment(**{**environment, **settings}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return self._process

    def run(self, *arguments: str, **settings: str) -> tuple[int, str]:
        process = self.start(*arguments, **settings)
        out, _ = process.communicate(timeout=120)
        return process.returncode, out

    def processes(self) -> list[psutil.Process]:
        """Everything that runs with this demo's data folder, however it came to be."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get("BATCH_DATA_DIR") == str(self.data) and process.pid != os.getpid()
        except (psutil.Error, OSError):
            return False

    def wait_for_the_last(self) -> None:
        """A worker's watcher looks every half second whether it is needed, and ends a moment after the others."""
        wait_until(lambda: not self.processes(), what="every process of the demo to end")

    def service(self, module: str) -> psutil.Process:
        """The Python process of a service, once it is there."""
        found: list[psutil.Process] = []

        def is_there() -> bool:
            with suppress(psutil.Error):
                found[:] = [process for process in self.processes() if module in process.cmdline()]
            return bool(found)

        wait_until(is_there, what=f"{module} to run")
        return found[0]

    def clean_up(self) -> None:
        for process in self.processes():
            with suppress(psutil.Error):
                process.kill()
        if self._process is not None:
            self._process.communicate()


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    demo = Demo(tmp_path / "data")
    try:
        yield demo
    finally:
        demo.clean_up()


def read_until(process: "subprocess.Popen[str]", text: str) -> str:
    assert process.stdout is not None
    seen = ""
    for row in process.stdout:
        seen += row
        if text in row:
            return seen
    raise AssertionError(f"{text!r} was never said: {seen}")


def test_once_ends_with_twenty_answers_that_nobody_else_can_read_and_no_process(demo: Demo) -> None:
    code, out = demo.run("--once")
    assert code == 0, out
    assert "20 of 20 answered" in out
    assert sum("(candidate-" in row for row in out.splitlines()) == 3
    results = demo.data / "demo" / "results.jsonl"
    assert str(results) in out
    assert custom_ids(results) == [f"candidate-{n}" for n in range(1, 21)]
    demo.wait_for_the_last()
    folders = [demo.data, *(path for path in demo.data.rglob("*") if path.is_dir())]
    assert demo.data / "demo" in folders
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o700}


def test_it_keeps_running_for_the_dashboard_until_ctrl_c(demo: Demo) -> None:
    process = demo.start()
    out = read_until(process, "Ctrl-C stops everything")
    assert f"http://localhost:{demo.ports[1]}/dashboard.html" in out
    assert demo.service("batch_app.worker").is_running()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=120) == 0
    demo.wait_for_the_last()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_the_middle_stops_everything(demo: Demo, number: signal.Signals) -> None:
    process = demo.start("--once", BATCH_ECHO_LATENCY_MS="600000", BATCH_GRACE_SECONDS="1")
    read_until(process, "sending 20")
    process.send_signal(number)
    assert process.wait(timeout=120) == 130
    demo.wait_for_the_last()


def test_kill_9_of_the_demo_takes_its_services_along(demo: Demo) -> None:
    process = demo.start("--once", BATCH_ECHO_LATENCY_MS="600000", BATCH_GRACE_SECONDS="1")
    read_until(process, "sending 20")
    process.send_signal(signal.SIGKILL)
    demo.wait_for_the_last()


def test_a_service_that_dies_is_reported_with_the_end_of_its_log(demo: Demo) -> None:
    process = demo.start("--once", BATCH_ECHO_LATENCY_MS="600000", BATCH_GRACE_SECONDS="1")
    read_until(process, "sending 20")
    demo.service("batch_app.worker").kill()
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "error: a service ended" in out
    assert "worker.1 stopped (rc=-9)" in out
    demo.wait_for_the_last()


def test_services_that_cannot_start_say_why(demo: Demo, tmp_path: Path) -> None:
    code, out = demo.run("--once", BATCH_MODELS_FILE=str(tmp_path / "missing.toml"))
    assert code == 1
    assert "missing.toml does not exist" in out
    demo.wait_for_the_last()


def test_a_model_that_cannot_be_loaded_is_named_with_the_reason(demo: Demo, tmp_path: Path) -> None:
    """By the real engine, before it imports vLLM."""
    (tmp_path / "empty").mkdir()
    models = tmp_path / "models.toml"
    models.write_text('[[models]]\nname = "mine"\npath = "empty"\n')
    code, out = demo.run("--once", "--model", "mine", BATCH_ENGINE="vllm", BATCH_MODELS_FILE=str(models))
    assert code == 1
    assert "0 of 20 answered" in out
    assert (
        f"(failed): model mine could not be loaded: folder {tmp_path / 'empty'} holds no config.json" in out
    )
    demo.wait_for_the_last()


def test_a_demo_that_takes_too_long_ends(demo: Demo) -> None:
    settings = {"BATCH_ECHO_LATENCY_MS": "600000", "BATCH_GRACE_SECONDS": "1"}
    code, out = demo.run("--once", "--deadline", "8", **settings)
    assert (code, "deadline" in out) == (1, True)
    demo.wait_for_the_last()


@pytest.mark.parametrize(("which", "name"), [(0, "BATCH_API_PORT"), (1, "BATCH_WEB_PORT")])
def test_a_taken_port_is_named_before_anything_starts(demo: Demo, which: int, name: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", demo.ports[which]))
        other.listen()
        code, out = demo.run("--once")
    assert code == 1
    (row,) = out.splitlines()
    assert f"port {demo.ports[which]} is not free" in row
    assert name in row
    assert not demo.data.exists()
