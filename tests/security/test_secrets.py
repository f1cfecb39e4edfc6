"""Keys, prompts and answers: who can read them. A real run of all processes, with a key, and all it leaves behind."""

import hmac
import inspect
import logging
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import requests

from batch_app.api import access_control
from batch_app.disk.files import make_folder
from batch_app.logs import JsonFormatter, TextFormatter
from batch_app.settings import PROJECT_DIR, Settings, describe
from tests.api.served import Api
from tests.lines import chat_line, jsonl
from tests.processes.system import MODEL, System
from tests.receiver import SECRET, receiving
from tests.waiting import wait_until

KEY = "key-4f1d0c5e9b"
PROMPT = "prompt-nobody-else-may-read"
TOKEN = "token-of-the-receiver"


@dataclass
class Ran:
    """What a run has shown: the terminals' lines, the processes' titles, answers to callers."""

    system: System
    said: str
    titles: str
    told: str


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """A batch with a failing line worked on, calls with and without the key, one that has it in the wrong place."""
    with receiving() as receiver:
        system = System(tmp_path_factory.mktemp("secrets") / "data")
        urls = f"{receiver.url.partition('?')[0]}?{TOKEN}"
        system.settings |= {"API_KEY": KEY, "WEBHOOK_SECRET": SECRET, "WEBHOOK_URLS": urls}
        try:
            for process in ("batch_app.api_server", "batch_app.worker"):
                system.start("-m", process)
            system.start_web()
            yield _run(system, requests.Session())
        finally:
            system.stop_all()


def _run(system: System, client: requests.Session) -> Ran:
    def answers(path: str) -> requests.Response | None:
        try:
            return client.get(f"{system.url}{path}", timeout=60)
        except requests.ConnectionError:
            return None

    wait_until(lambda: answers("/livez"), what="the API to answer")
    told = [
        client.get(
            f"{system.url}/health?key={KEY}", headers={"authorization": f"Bearer {KEY}x"}, timeout=60
        ).text
    ]
    client.headers["authorization"] = f"Bearer {KEY}"
    lines = jsonl([chat_line("a", PROMPT), chat_line("b", f"{PROMPT} [[fail 400]]")])
    sent = client.post(f"{system.url}/v1/batches", files={"file": lines}, data={"model": MODEL}, timeout=60)
    path = f"/v1/batches/{sent.json()['batch_id']}"
    wait_until(
        lambda: client.get(system.url + path, timeout=60).json()["status"] == "completed", what="its end"
    )
    deliveries = lambda: client.get(f"{system.url}/v1/webhook_deliveries", timeout=60)  # noqa: E731
    wait_until(lambda: '"delivered"' in deliveries().text, what="the webhook")
    told += [
        client.get(system.url + part, timeout=60).text
        for part in ("/health", "/metrics", "/openapi.json", path)
    ]
    told += [deliveries().text, requests.get(f"{system.web_url}/config.json", timeout=60).text]
    check = [sys.executable, "-m", "batch_app.api_server", "--check"]
    told.append(subprocess.check_output(check, cwd=PROJECT_DIR, env=system.environment(), text=True))
    family = [process for started in system.processes for process in _with_children(started.pid)]
    titles = "\n".join(" ".join([process.name(), *process.cmdline()]) for process in family)
    return Ran(system, system.log.read_text(), titles, "\n".join(told))


def _with_children(pid: int) -> list[psutil.Process]:
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


@pytest.mark.process
@pytest.mark.parametrize("secret", [KEY, SECRET, SECRET.removeprefix("whsec_"), TOKEN])
def test_no_secret_is_logged_told_or_in_a_title(ran: Ran, secret: str) -> None:
    for shown in (ran.said, ran.told, ran.titles):
        assert len(shown) > 100
        assert secret not in shown


@pytest.mark.process
def test_no_prompt_is_logged(ran: Ran) -> None:
    assert "batch_accepted" in ran.said or "batch_claimed" in ran.said
    assert PROMPT not in ran.said


@pytest.mark.process
def test_nobody_else_can_look_into_the_data_folder(ran: Ran) -> None:
    folders = [ran.system.data_dir, *(path for path in ran.system.data_dir.rglob("*") if path.is_dir())]
    assert len(folders) >= 4
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o700}


def test_a_folder_that_is_there_already_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir(mode=0o750)
    make_folder(tmp_path / "shared" / "inner")
    assert stat.S_IMODE((tmp_path / "shared").stat().st_mode) == 0o750
    assert stat.S_IMODE((tmp_path / "shared" / "inner").stat().st_mode) == 0o700


def test_a_description_has_no_secret_not_even_in_a_url() -> None:
    settings = Settings(
        api_key="the-key",
        webhook_secret=SECRET,
        webhook_urls="https://a.example/x?token=1, http://b.example/y",
    )  # type: ignore[arg-type]
    described = describe(settings)
    assert "https://a.example/x?…, http://b.example/y" in described
    assert not any(secret in described for secret in ("the-key", SECRET, "token=1"))
    assert "the-key" not in repr(settings)


def test_keys_are_compared_in_constant_time(
    serve: Callable[..., Api], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the one function that does; a comparison by `==` would not come past here."""
    assert access_control.compare_digest is hmac.compare_digest
    assert "==" not in inspect.getsource(access_control.Guards._has_key).replace(
        'scheme.lower() == "bearer"', ""
    )
    compared: list[tuple[bytes, bytes]] = []
    monkeypatch.setattr(access_control, "compare_digest", lambda *both: compared.append(both) or False)
    api = serve(api_key="secret")
    assert api.get("/health", headers={"authorization": "Bearer guess"}).status_code == 401
    assert compared == [(b"guess", b"secret")]


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
@pytest.mark.parametrize(
    "hostile", ["a\nforged_line  key=1", "a\r\nb", "\x1b[2J\x1b]0;title\x07", "a\u2028b", "\u202egnp"]
)
def test_no_value_makes_a_log_line_of_its_own_or_moves_the_cursor(
    formatter: logging.Formatter, hostile: str
) -> None:
    record = logging.makeLogRecord({"msg": "request_crashed", "levelname": "ERROR", "path": hostile})
    line = formatter.format(record)
    assert line.isprintable()
    assert len(line.splitlines()) == 1
