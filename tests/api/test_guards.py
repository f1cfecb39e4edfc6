"""Who may talk to the API: host names, origins, and the key."""

from collections.abc import Callable

import pytest

from tests.api.errors import error_of
from tests.api.forms import file, form, text
from tests.api.served import MODEL, Api
from tests.lines import chat_lines, jsonl

FOREIGN_ORIGINS = [
    "https://evil.example", "http://evil.example:8001", "http://localhost:9999", "http://localhost.evil.example:8001",
    "http://localhost:8001.evil.example", "null", "file://", "", "http://127.0.0.1:80011",
    "not an origin",
]  # fmt: skip
OWN_ORIGINS = [
    "http://localhost:8001", "http://127.0.0.1:8001", "http://localhost:4080", "http://127.0.0.1:4080", "http://[::1]:8001",
]  # fmt: skip
EVERYTHING = [
    "/health", "/readyz", "/metrics", "/docs", "/openapi.json", "/v1/batches", "/v1/models", "/v1/samples",
    f"/v1/batches/batch_{'0' * 24}", f"/v1/files/file-{'0' * 24}/content", "/v1/nothing",
]  # fmt: skip


def test_this_machine_may_be_called_by_its_own_names_and_by_address(api: Api) -> None:
    own = ["localhost", "localhost:4080", "LOCALHOST:1", "127.0.0.1:4080", "[::1]:4080", "192.168.1.5:4080"]
    assert {api.get("/livez", headers={"host": host}).status_code for host in own} == {200}


@pytest.mark.parametrize("path", ["/health", "/v1/batches", "/livez", "/docs"])
def test_another_host_name_is_refused_whatever_is_asked(api: Api, path: str) -> None:
    """A page whose name was bound to this address must not read anything."""
    for host in ("evil.example", "localhost.evil.example:4080", "127.0.0.1.evil.example", "", "localhost:x"):
        error = error_of(api.get(path, headers={"host": host}), 403, "host_not_allowed")
        assert "BATCH_ALLOWED_HOSTS" in error["message"]
        assert api.submit(headers={"host": host}).status_code == 403
    assert api.has_stored_nothing()


def test_further_host_names_can_be_allowed(serve: Callable[..., Api]) -> None:
    api = serve(allowed_hosts="gpu-box, batch.example.org")
    for host in ("gpu-box:4080", "BATCH.example.org"):
        assert api.get("/health", headers={"host": host}).status_code == 200
    assert api.get("/health", headers={"host": "example.org"}).status_code == 403


def test_foreign_pages_can_change_nothing(api: Api) -> None:
    batch_id = api.accepted()
    before = api.stored()

    for origin in FOREIGN_ORIGINS:
        headers = [("origin", origin.encode("latin-1"))]
        form_headers = {"origin": origin.encode("latin-1")}
        submitted = api.post("/v1/batches", **form(file(jsonl(chat_lines(1))), headers=form_headers))
        error_of(submitted, 403, "origin_not_allowed")
        error_of(api.delete(f"/v1/batches/{batch_id}", headers=headers), 403, "origin_not_allowed")
        error_of(api.post(f"/v1/batches/{batch_id}/cancel", headers=headers), 403, "origin_not_allowed")
        error_of(api.post(f"/v1/batches/{batch_id}/retry", headers=headers), 403, "origin_not_allowed")

    assert api.stored() == before
    assert api.batch(batch_id)["status"] == "pending"


@pytest.mark.parametrize("origin", ["http://[", "http://localhost:\xb2"])
def test_an_origin_that_is_none_is_refused_too(api: Api, origin: str) -> None:
    answer = api.submit(headers={"origin": origin.encode("latin-1")})
    error_of(answer, 403, "origin_not_allowed")
    assert api.has_stored_nothing()


def test_foreign_pages_are_not_shown_anything(api: Api) -> None:
    for origin in FOREIGN_ORIGINS:
        answer = api.get("/v1/batches", headers=[("origin", origin.encode("latin-1"))])
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("origin", OWN_ORIGINS)
def test_our_pages_may_do_everything(api: Api, origin: str) -> None:
    parts = (file(jsonl(chat_lines(1))), text("model", MODEL))
    answers = [api.post("/v1/batches", **form(*parts, headers={"origin": origin}))]
    answers += [api.get("/health", headers={"origin": origin})]
    answers += [api.delete(f"/v1/batches/{answers[0].json()['batch_id']}", headers={"origin": origin})]

    for answer in answers:
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == origin
        exposed = {
            name.strip().lower() for name in answer.headers["access-control-expose-headers"].split(",")
        }
        assert exposed >= {
            "x-request-id", "retry-after", "etag", "content-range", "content-disposition",
            "x-incomplete", "x-last-line",
        }  # fmt: skip
        assert "origin" in answer.headers["vary"].lower()


def test_our_pages_can_read_refusals_too(api: Api) -> None:
    answer = api.get("/v1/nothing", headers={"origin": OWN_ORIGINS[0]})
    assert answer.status_code == 404
    assert answer.headers["access-control-allow-origin"] == OWN_ORIGINS[0]


def test_the_pages_port_is_the_operators(serve: Callable[..., Api]) -> None:
    api = serve(web_port=9001)
    headers = {"origin": "http://localhost:9001"}
    assert api.get("/health", headers=headers).headers["access-control-allow-origin"] == headers["origin"]
    assert "access-control-allow-origin" not in api.get("/health", headers={"origin": OWN_ORIGINS[0]}).headers


def preflight(api: Api, origin: str, method: str) -> tuple[int, dict[str, str]]:
    headers = {
        "origin": origin,
        "access-control-request-method": method,
        "access-control-request-headers": "authorization, idempotency-key",
    }
    answer = api.call("OPTIONS", "/v1/batches", headers=headers)
    return answer.status_code, dict(answer.headers)


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_a_browser_may_ask_before_it_sends(serve: Callable[..., Api], method: str) -> None:
    """The question itself comes without a key."""
    status, headers = preflight(serve(api_key="secret"), OWN_ORIGINS[0], method)

    assert status == 200
    assert headers["access-control-allow-origin"] == OWN_ORIGINS[0]
    assert method in headers["access-control-allow-methods"]
    assert {"authorization", "idempotency-key"} <= {
        name.strip() for name in headers["access-control-allow-headers"].lower().split(",")
    }


def test_a_foreign_page_that_asks_is_told_no(api: Api) -> None:
    status, headers = preflight(api, "https://evil.example", "DELETE")
    assert status == 400
    assert "access-control-allow-origin" not in headers


def test_without_the_key_only_liveness_is_told(serve: Callable[..., Api]) -> None:
    api = serve(api_key="secret")

    for path in EVERYTHING:
        answer = api.get(path)
        error_of(answer, 401, "invalid_api_key")
        assert answer.headers["www-authenticate"] == "Bearer"
    assert api.submit().status_code == 401
    assert api.delete("/v1/batches/batch_" + "0" * 24).status_code == 401
    assert api.get("/livez").status_code == 200
    assert api.has_stored_nothing()


def test_another_key_is_no_key(serve: Callable[..., Api]) -> None:
    api = serve(api_key="secret")
    for given in (
        "secret",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        "Bearer secretsecret",
        "Basic secret",
        "Bearer é",
    ):
        error_of(api.get("/health", headers={"authorization": given.encode()}), 401, "invalid_api_key")


def test_the_key_opens_everything(serve: Callable[..., Api]) -> None:
    api = serve(api_key="secret")
    api.register_worker()
    for scheme in ("Bearer", "bearer"):
        headers = {"authorization": f"{scheme} secret"}
        statuses = {path: api.get(path, headers=headers).status_code for path in EVERYTHING}
        assert set(statuses.values()) == {200, 404}
    assert api.submit(headers=headers).status_code == 200


def test_our_pages_can_read_that_a_key_is_missing(serve: Callable[..., Api]) -> None:
    answer = serve(api_key="secret").get("/health", headers={"origin": OWN_ORIGINS[0]})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (401, OWN_ORIGINS[0])


def test_a_key_does_not_open_the_door_to_foreign_pages(serve: Callable[..., Api]) -> None:
    headers = {"authorization": "Bearer secret", "origin": "https://evil.example"}
    error_of(serve(api_key="secret").submit(headers=headers), 403, "origin_not_allowed")
