"""Ids and paths that lead elsewhere: each is a 404, on both servers, and no byte of another file comes out."""

from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from starlette.testclient import TestClient

import serve_results
from batch_app.settings import Settings
from tests.api.errors import error_of
from tests.api.served import Api

TRAVERSALS = [
    "..", "../batch.db", "../../batch.db", "..%2f..%2fbatch.db", "%2e%2e%2fbatch.db", "%252e%252e%252fbatch.db",
    "..%5cbatch.db", "....//batch.db", "%c0%ae%c0%ae%c0%afbatch.db", "%2fetc%2fpasswd", "/etc/passwd",
    "file:%2f%2f%2fetc%2fpasswd", "batch.db", "%00", "batch_%00", "batch_" + "0" * 23 + "%0a", "batch_*", "file-*",
    "batch_%25", "file-' OR '1'='1", "batch_" + "\N{FULLWIDTH DIGIT ZERO}" * 24,
    "BATCH_" + "0" * 24, "batch_" + "0" * 25, "~", "%20", "None", "null", "-1", "x" * 5000,
]  # fmt: skip


def with_ids(api: Api) -> list[tuple[str, str]]:
    """Every call of the published document that takes an id, as method and path."""
    paths = api.app.openapi()["paths"]
    return [(method.upper(), path) for path in paths if "_id}" in path for method in paths[path]]


def filled(path: str, odd: str) -> str:
    given = path.replace("{batch_id}", odd).replace("{file_id}", odd).replace("{line}", "1")
    return f"{given}?column=line" if "/distribution" in given else given


def raw_call(api: Api, method: str, path: str) -> httpx.Response:
    """With the path as it is written: a client would tidy it up."""
    raw = quote(path, safe="/%?=:;,*'@").encode()
    return api.call(method, httpx.URL("http://localhost:4080").copy_with(raw_path=raw))


def test_an_odd_id_is_not_found_at_any_endpoint_that_takes_one(api: Api) -> None:
    api.finished(1)
    before = api.stored()
    calls = with_ids(api)
    assert len(calls) >= 15
    for method, path in calls:
        for odd in TRAVERSALS:
            answer = raw_call(api, method, filled(path, odd))
            assert answer.status_code in {404, 405}, (method, path, odd)
            assert b"SQLite format" not in answer.content
            assert b"root:" not in answer.content
            if method != "HEAD":
                error_of(answer, answer.status_code)
    assert api.stored() == before


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_an_odd_id_in_a_query_or_a_body_finds_nothing(api: Api, method: str) -> None:
    batch_id = api.finished(1)
    for odd in TRAVERSALS:
        if method == "GET":
            answer = api.get("/v1/compare", params={"batch": [batch_id, odd]})
            assert answer.status_code in {400, 404}, odd
            assert api.get("/v1/batches", params={"after": odd}).status_code in {400, 404}
            assert api.get("/v1/files", params={"after": odd}).status_code in {400, 404}
        else:
            order = {"input_file_id": odd, "endpoint": "/v1/chat/completions", "completion_window": "24h"}
            answer = api.post("/v1/batches", json=order)
            if answer.status_code == 400:  # longer than any id
                assert len(odd) > 256
                error_of(answer, 400, "invalid_value")
                continue
            failed = api.batch(answer.json()["id"])
            assert (failed["status"], failed["errors"]["data"][0]["param"]) == ("failed", "file_id")


@pytest.fixture
def pages(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """The pages' server on a folder of its own: a page, a file beside the served ones, a hidden one, and links."""
    web = tmp_path / "web"
    (web / "static").mkdir(parents=True)
    (web / "dashboard.html").write_text("the page")
    (web / "package.json").write_text("secret")
    (web / "static" / "a.css").write_text("the style")
    (web / "static" / ".env").write_text("hidden")
    (tmp_path / "secret.txt").write_text("secret")
    (web / "static" / "link.txt").symlink_to(tmp_path / "secret.txt")
    (web / "static" / "folder").symlink_to(tmp_path)
    monkeypatch.setattr(serve_results, "WEB_DIR", web)
    return TestClient(serve_results.create_app(settings), base_url="http://localhost:8001")


PAGE_PATHS = [
    "/package.json", "/static/../package.json", "/static/..%2fpackage.json", "/static/%2e%2e/package.json",
    "/static/%2e%2e%2fpackage.json", "/static/..%5cpackage.json", "/static/....//package.json", "/static//etc/passwd",
    "/static/%2fetc%2fpasswd", "/static/a.css/../../package.json", "/static/%00", "/static/a.css%00.html",
    "/static/link.txt", "/static/folder/secret.txt", "/static/", "/static", "/.env", "/web/package.json",
    "/dashboard.html/", "/dashboard.html%2f..%2fpackage.json", "//package.json", "/static/" + "x" * 5000,
]  # fmt: skip


@pytest.mark.parametrize("path", PAGE_PATHS)
def test_the_pages_server_gives_out_pages_and_static_files_alone(pages: TestClient, path: str) -> None:
    answer = pages.get(path, follow_redirects=False)
    assert answer.status_code in {307, 404}
    assert "secret" not in answer.text


def test_the_pages_server_gives_out_what_it_should(pages: TestClient) -> None:
    assert pages.get("/dashboard.html").text == "the page"
    assert pages.get("/static/a.css").text == "the style"


def test_hidden_files_among_the_static_ones_are_not_given_out(pages: TestClient) -> None:
    assert pages.get("/static/.env").status_code == 404
