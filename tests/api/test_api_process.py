"""The API as a process of its own: the owner's calls, memory, many senders, starting."""

import http.client
import json
import shutil
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

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


def upload(port: int, head: bytes, piece: bytes, times: int, end: bytes = b"") -> tuple[int, dict[str, Any]]:
    """Sends a form of no declared length: its file begins with `head` and goes on with so many pieces. Without an
    `end` it has none in sight. The status and the error of the answer."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.putrequest("POST", "/v1/batches")
        connection.putheader("content-type", HEADERS["content-type"])
        connection.putheader("transfer-encoding", "chunked")
        connection.endheaders()
        opened = form(text("model", MODEL), file(b"\n"))["content"]
        begins, closes = opened[: opened.rindex(b"\n\r\n--")], opened[opened.rindex(b"\r\n--") :]
        for content in (begins + head, *[piece] * times, *([end + closes, b""] if end else [])):
            connection.send(b"%x\r\n%b\r\n" % (len(content), content))
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())["error"]


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak memory from /proc")
def test_a_file_of_201_mb_is_refused_at_the_limit_in_flat_memory(system: System) -> None:
    process = system.start_api()
    before = peak_memory(process.pid)

    piece = b'{"custom_id": "x"}\n' * (MIB // 19)
    status, error = upload(system.api_port, b"", piece + b"\n" * (MIB - len(piece)), 201)

    assert (status, error["code"]) == (413, "file_too_large")
    assert peak_memory(process.pid) - before <= 50 * MIB
    assert [path for path in system.data_dir.rglob("*") if path.is_file() and path.stat().st_size > MIB] == []
    assert system.health()["queue"]["active_batches"] == 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak memory from /proc")
def test_a_line_of_200_mb_and_json_100_000_deep_are_refused_in_flat_memory(system: System) -> None:
    process = system.start_api()
    before = peak_memory(process.pid)
    deep = b"[" * 100_000 + b"\n" + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"\n"

    status, error = upload(system.api_port, deep + b'{"custom_id": "', b"x" * MIB, 198, end=b'"}\n')

    assert (status, error["code"]) == (400, "invalid_batch_file")
    codes = [(item["line"], item["code"]) for item in error["errors"]]
    assert codes == [(1, "invalid_json_line"), (2, "invalid_json_line"), (3, "line_too_long")]
    assert peak_memory(process.pid) - before <= 50 * MIB
    assert requests.get(f"{system.url}/livez", timeout=60).ok


def test_twenty_senders_at_once_get_five_batches_accepted(system: System) -> None:
    system.start_api()

    def submit(_number: int) -> int:
        files = {"file": jsonl(chat_lines(3))}
        answer = requests.post(f"{system.url}/v1/batches", files=files, data={"model": MODEL}, timeout=60)
        return answer.status_code

    with ThreadPoolExecutor(20) as senders:
        statuses = list(senders.map(submit, range(20)))

    assert (statuses.count(200), statuses.count(429)) == (5, 15)
    assert system.health()["queue"]["active_batches"] == 5
    assert len(list((system.data_dir / "files").iterdir())) == 5


def curl(*arguments: str) -> bytes:
    return subprocess.check_output(["curl", "--silent", "--fail-with-body", *arguments])


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


def test_a_taken_port_ends_the_start_with_one_line_and_status_1(system: System) -> None:
    command = [sys.executable, "-m", "batch_app.api_server"]
    with socket.create_server(("127.0.0.1", system.api_port)):
        ended = subprocess.run(
            command, cwd=PROJECT_DIR, env=system.environment(), capture_output=True, timeout=60, check=False
        )

    assert (ended.returncode, ended.stdout) == (1, b"")
    [line] = ended.stderr.decode().splitlines()
    assert line.startswith("error: ")
    assert f"lsof -i :{system.api_port}" in line


STARTED = """
import json, sys, time
from batch_app.api_server import create_app
from batch_app.settings import load_settings
app = create_app(load_settings())
app.state.context.database.close()
heavy = {"vllm", "torch", "transformers", "numpy", "batch_app.worker", "batch_app.inference"} & sys.modules.keys()
print(json.dumps([sorted(heavy), time.process_time()]))
"""


def test_the_api_is_ready_within_seconds_and_without_an_engine(system: System) -> None:
    """About one second of processor time on a quiet machine; importing an engine would take ten."""
    command = [sys.executable, "-c", STARTED]
    output = subprocess.check_output(command, cwd=PROJECT_DIR, env=system.environment(), timeout=60)

    heavy, seconds = json.loads(output)

    assert heavy == []
    assert seconds < 8
