"""The API as a process of its own: the owner's calls, memory, limits under many senders, starts that must fail."""

import http.client
import json
import shutil
import socket
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from batch_app.settings import PROJECT_DIR
from tests.api.forms import HEADERS, file, form, text
from tests.lines import chat_lines, jsonl
from tests.processes.system import MODEL, System

pytestmark = pytest.mark.process

MIB = 1024 * 1024


def peak_memory(pid: int) -> int:
    """The most memory, in bytes, that a process has ever held."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def upload_without_end(port: int, mebibytes: int) -> http.client.HTTPResponse:
    """Sends a form whose file has no end in sight and no declared length; the answer after so much of it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.putrequest("POST", "/v1/batches")
    connection.putheader("content-type", HEADERS["content-type"])
    connection.putheader("transfer-encoding", "chunked")
    connection.endheaders()
    opened = form(text("model", MODEL), file(b"\n"))["content"]
    head, piece = opened[: opened.rindex(b"\n\r\n--")], b'{"custom_id": "x"}\n' * (MIB // 19)
    for content in (head, *[piece + b"\n" * (MIB - len(piece))] * mebibytes):
        connection.send(b"%x\r\n%b\r\n" % (len(content), content))
    return connection.getresponse()


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak memory from /proc")
def test_a_file_of_201_mb_is_refused_at_the_limit_in_flat_memory(system: System) -> None:
    process = system.start_api()
    before = peak_memory(process.pid)

    answer = upload_without_end(system.api_port, 201)

    assert answer.status == 413
    assert json.loads(answer.read())["error"]["code"] == "file_too_large"
    assert peak_memory(process.pid) - before <= 50 * MIB
    assert [path for path in system.data_dir.rglob("*") if path.is_file() and path.stat().st_size > MIB] == []
    assert system.health()["queue"]["active_batches"] == 0


@pytest.mark.parametrize(
    ("limits", "accepted"),
    [({}, 5), ({"MAX_ACTIVE_BATCHES": "100", "MAX_QUEUED_REQUESTS": "10"}, 3)],
    ids=["5 active batches", "10 queued requests"],
)
def test_twenty_senders_at_once_keep_to_the_limits(system: System, limits: dict[str, str], accepted: int) -> None:
    system.settings |= limits
    system.start_api()

    def submit(_number: int) -> requests.Response:
        files = {"file": jsonl(chat_lines(3))}
        return requests.post(f"{system.url}/v1/batches", files=files, data={"model": MODEL}, timeout=60)

    with ThreadPoolExecutor(20) as senders:
        answers = list(senders.map(submit, range(20)))

    statuses = [answer.status_code for answer in answers]
    assert (statuses.count(200), statuses.count(429)) == (accepted, 20 - accepted)
    queue = system.health()["queue"]
    assert (queue["active_batches"], queue["queued_requests"]) == (accepted, 3 * accepted)
    assert len(list((system.data_dir / "files").iterdir())) == accepted


def curl(*arguments: str) -> bytes:
    return subprocess.run(["curl", "--silent", "--fail-with-body", *arguments], stdout=subprocess.PIPE, check=True).stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_owners_curl_calls_work(system: System, tmp_path: Path) -> None:
    candidates, results = tmp_path / "batch_candidates.jsonl", tmp_path / "results.jsonl"
    candidates.write_bytes(jsonl(chat_lines(20)))
    system.start_api()
    system.start_worker()
    batches = f"{system.url}/v1/batches"

    receipt = json.loads(curl("-X", "POST", batches, "-F", f"file=@{candidates}", "-F", f"model={MODEL}"))
    assert (receipt["status"], receipt["total_requests"]) == ("pending", 20)
    system.wait_for_end(receipt["batch_id"])

    assert json.loads(curl(f"{batches}/{receipt['batch_id']}"))["status"] == "completed"
    assert json.loads(curl(batches))["data"][0]["id"] == receipt["batch_id"]
    assert "worker" in json.loads(curl(f"{system.url}/health"))
    curl(f"{batches}/{receipt['batch_id']}/results", "-o", str(results))
    assert len(results.read_bytes().splitlines()) == 20


def refused_start(system: System) -> str:
    """What the API says when it does not start: one line, and no traceback."""
    ended = subprocess.run(
        [sys.executable, "-m", "batch_app.api_server"],
        cwd=PROJECT_DIR,
        env=system.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (1, ""), ended.stderr
    [line] = ended.stderr.splitlines()
    assert line.startswith("error: ")
    return line


def test_a_taken_port_is_named_and_how_to_find_who_has_it(system: System) -> None:
    with socket.create_server(("127.0.0.1", system.api_port)):
        assert f"lsof -i :{system.api_port}" in refused_start(system)


def test_an_older_database_is_left_alone_until_it_is_migrated(system: System) -> None:
    system.data_dir.mkdir()
    database = sqlite3.connect(system.data_dir / "batch.db")
    database.executescript("CREATE TABLE alembic_version (version_num TEXT); INSERT INTO alembic_version VALUES ('0000')")
    database.close()

    assert "migrate" in refused_start(system)

    database = sqlite3.connect(system.data_dir / "batch.db")
    assert [row[0] for row in database.execute("SELECT name FROM sqlite_master")] == ["alembic_version"]
    database.close()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"API_PROT": "4080"}, ["BATCH_API_PROT", "--check"]),
        ({"API_PORT": "many"}, ["BATCH_API_PORT", "many"]),
        ({"API_HOST": "0.0.0.0"}, ["BATCH_API_HOST", "BATCH_API_KEY"]),
        ({"MODELS_FILE": "nowhere.toml"}, ["nowhere.toml", "BATCH_MODELS_FILE"]),
    ],
    ids=["unknown name", "malformed value", "open network without a key", "no models file"],
)
def test_a_setting_that_cannot_be_meant_is_named(system: System, settings: dict[str, str], words: list[str]) -> None:
    system.settings |= settings
    line = refused_start(system)
    assert [word for word in words if word not in line] == []
    assert not system.data_dir.exists()


STARTED = """
import json, sys, time
from batch_app.api_server import create_app
from batch_app.settings import load_settings
app = create_app(load_settings())
app.state.context.database.close()
heavy = {"vllm", "torch", "transformers", "numpy", "batch_app.worker", "batch_app.inference"} & sys.modules.keys()
print(json.dumps([sorted(heavy), time.process_time()]))
"""


def test_the_api_is_ready_within_two_seconds_and_without_an_engine(system: System) -> None:
    """In processor time: how busy the machine is does not count."""
    command = [sys.executable, "-c", STARTED]
    output = subprocess.check_output(command, cwd=PROJECT_DIR, env=system.environment(), timeout=60)

    heavy, seconds = json.loads(output)

    assert heavy == []
    assert seconds < 2
