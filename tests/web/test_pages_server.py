"""`python serve_results.py`: what the owner sees, and what every answer carries."""

import subprocess
from collections.abc import Iterator

import pytest
import requests

from tests.processes.system import System

pytestmark = pytest.mark.process
PAGES = ("dashboard.html", "submit_batch.html", "index.html", "table_view.html", "compare_results.html")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    system = System(tmp_path_factory.mktemp("pages") / "data")
    system.start_web()
    yield system
    system.stop_all()


def _get(pages: System, path: str, **headers: str) -> requests.Response:
    return requests.get(f"{pages.web_url}{path}", headers=headers, timeout=60, allow_redirects=False)


def _run(system: System, *arguments: str) -> subprocess.CompletedProcess[str]:
    process = system.start("serve_results.py", *arguments)
    code = process.wait(timeout=120)
    return subprocess.CompletedProcess(arguments, code, system.log.read_text())


def test_the_first_line_says_where_the_pages_are(pages: System) -> None:
    assert pages.log.read_text() == f"Serving on http://localhost:{pages.web_port}\n"


@pytest.mark.parametrize("page", PAGES)
def test_every_page_is_served_and_asked_for_again(pages: System, page: str) -> None:
    answer = _get(pages, f"/{page}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    again = _get(pages, f"/{page}", **{"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_the_start_is_the_dashboard(pages: System) -> None:
    answer = _get(pages, "/")
    assert (answer.status_code, answer.headers["location"]) == (307, "/dashboard.html")


def test_the_pages_learn_the_apis_port(pages: System) -> None:
    assert _get(pages, "/config.json").json() == {"apiUrl": None, "apiPort": pages.api_port}


@pytest.mark.parametrize("path", ["/", "/dashboard.html", "/static/js/shared/api.js", "/config.json", "/nothing"])
def test_every_answer_carries_the_policy(pages: System, path: str) -> None:
    headers = _get(pages, path).headers
    policy = headers["content-security-policy"].split("; ")
    assert policy[0] == "default-src 'none'"
    assert "script-src 'self'" in policy
    assert f"connect-src 'self' http://127.0.0.1:{pages.api_port}" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"


def test_the_policy_follows_the_name_the_page_was_asked_under(pages: System) -> None:
    policy = _get(pages, "/", host=f"localhost:{pages.web_port}").headers["content-security-policy"]
    assert f"connect-src 'self' http://localhost:{pages.api_port};" in policy


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost; script-src *", "", "a b", "[::1", "localhost:99:1"]
)
def test_a_foreign_or_malformed_host_is_refused(pages: System, host: str) -> None:
    answer = _get(pages, "/dashboard.html", host=host)
    assert answer.status_code == 400
    assert "*" not in answer.headers.get("content-security-policy", "")


@pytest.mark.parametrize(
    "path",
    [
        "/package.json",
        "/tsconfig.json",
        "/node_modules/",
        "/static/",
        "/static/../package.json",
        "/../serve_results.py",
    ],
)
def test_only_pages_and_static_files_are_served(pages: System, path: str) -> None:
    request = requests.Request("GET", pages.web_url).prepare()
    request.url = f"{pages.web_url}{path}"  # as written, dots included
    assert requests.Session().send(request, timeout=60).status_code == 404


def test_a_taken_port_is_one_clear_line(pages: System, system: System) -> None:
    system.web_port = pages.web_port
    done = _run(system)
    assert done.returncode == 1
    assert done.stdout.count("\n") == 1
    assert f"cannot listen on 127.0.0.1:{pages.web_port}" in done.stdout
    assert "BATCH_WEB_PORT" in done.stdout


def test_a_bad_setting_is_one_clear_line(system: System) -> None:
    system.settings["WEB_PRT"] = "1"
    done = _run(system)
    assert done.returncode == 1
    assert done.stdout.count("\n") == 1
    assert "BATCH_WEB_PRT" in done.stdout


def test_check_prints_the_settings(system: System) -> None:
    done = _run(system, "--check")
    assert done.returncode == 0
    assert "BATCH_WEB_PORT" in done.stdout
    assert str(system.web_port) in done.stdout


def test_an_api_on_another_address_is_named(system: System) -> None:
    system.settings |= {"API_HOST": "192.0.2.7", "API_KEY": "secret"}
    system.start_web()
    assert _get(system, "/config.json").json()["apiUrl"] == f"http://192.0.2.7:{system.api_port}"
    policy = _get(system, "/").headers["content-security-policy"]
    assert f"connect-src 'self' http://192.0.2.7:{system.api_port};" in policy


def test_sigterm_is_an_orderly_end(spawned: System) -> None:
    process = spawned.start_web()
    assert spawned.stop(process) == 0
    assert "Traceback" not in spawned.log.read_text()
