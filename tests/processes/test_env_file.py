"""What stands in `.env` counts the same however the processes are started, and never in a test."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests

from batch_app.settings import PROJECT_DIR
from scripts.bench.system import System as BenchSystem
from tests.client.command_line import clean_environment
from tests.processes.system import System
from tests.waiting import wait_until

pytestmark = pytest.mark.process

KEY = "what a shell would cut off: a#b"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A checkout of its own, in a folder with a space, as a person may have it."""
    ours = tmp_path / "our batch"
    ours.mkdir()
    for name in ("batch_app", "migrations", "scripts", "web"):
        ignored = shutil.ignore_patterns("__pycache__", "node_modules", "vendor")
        shutil.copytree(PROJECT_DIR / name, ours / name, ignore=ignored)
    for name in ("Procfile", "models.toml", "serve_results.py"):
        shutil.copy(PROJECT_DIR / name, ours)
    return ours


def environments(process: psutil.Process, module: str) -> Iterator[dict[str, str]]:
    for child in process.children(recursive=True):
        if module in child.cmdline():
            yield child.environ()


def test_make_start_takes_the_environment_before_the_file_and_the_rest_goes_to_the_worker(
    spawned: System, tree: Path, tmp_path: Path
) -> None:
    of_the_file = tmp_path / "of the file"
    (tree / ".env").write_text(
        f"BATCH_DATA_DIR={of_the_file}\nBATCH_API_PORT=1\nBATCH_API_KEY={KEY}\nHF_TOKEN=it's mine\n"
    )
    spawned.settings["ENV_FILE"] = ".env"
    started = spawned.start(str(tree / "scripts" / "start.py"), cwd=tmp_path)

    def works() -> bool:
        assert started.poll() is None, spawned.log.read_text()[-2000:]
        try:
            health = requests.get(
                f"{spawned.url}/health", headers={"authorization": f"Bearer {KEY}"}, timeout=5
            )
            pages = requests.get(f"{spawned.web_url}/dashboard.html", timeout=5)
        except requests.RequestException:
            return False
        return pages.ok and health.status_code == 200 and health.json()["worker"]["heartbeat"] == "fresh"

    wait_until(works, what="all three to run as the environment has it")
    assert spawned.data_dir.is_dir()
    assert not of_the_file.exists()
    ours = psutil.Process(started.pid)
    [lent] = environments(ours, "batch_app.processing.orphans")  # started by the worker, as an engine is
    assert lent["HF_TOKEN"] == "it's mine"
    [api] = environments(ours, "batch_app.api_server")
    assert "HF_TOKEN" not in api


def test_no_process_of_a_test_or_a_measurement_reads_the_file_of_the_developer(
    spawned: System, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("BATCH_LOG_FORMAT=json\n")
    for environment in (
        spawned.environment(),
        clean_environment(),
        BenchSystem(tmp_path, settings={})._environment,
    ):
        check = [sys.executable, str(PROJECT_DIR / "serve_results.py"), "--check"]
        shown = subprocess.check_output(check, cwd=tmp_path, env=environment, text=True)
        rows = {row.split()[0]: row.split()[1] for row in shown.splitlines()}
        assert (rows["BATCH_ENV_FILE"], rows["BATCH_LOG_FORMAT"]) == (os.devnull, "text")
