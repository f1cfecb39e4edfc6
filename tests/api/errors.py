"""The one error shape, checked the same way everywhere."""

from typing import Any

import httpx


def error_of(answer: httpx.Response, status: int, code: str | None = None) -> dict[str, Any]:
    """The error object of an answer, after its shape was checked."""
    assert answer.status_code == status, answer.text
    assert answer.headers["x-request-id"]
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert list(body) == ["error"]
    error: dict[str, Any] = body["error"]
    assert {"message", "type", "param", "code"} <= error.keys()
    assert error["param"] is None or isinstance(error["param"], str)
    assert all(isinstance(error[name], str) and error[name] for name in ("message", "type", "code"))
    if code is not None:
        assert error["code"] == code
    return error


def bad_lines(answer: httpx.Response) -> list[tuple[int, str | None, str]]:
    """(line, param, code) of every error that a refused file's answer lists."""
    error = error_of(answer, 400, "invalid_batch_file")
    assert all(item["message"] for item in error["errors"])
    return [(item["line"], item["param"], item["code"]) for item in error["errors"]]
