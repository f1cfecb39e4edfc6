"""The real API as a client meets it while the server's disk is full: an upload gets 507, all else is passed on."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler

import requests

from tests.loopback import serving

_OF_ONE_HOP = {
    "host",
    "connection",
    "content-length",
    "content-encoding",
    "transfer-encoding",
    "date",
    "server",
}
_ERROR = {"message": "The disk is full.", "type": "server_error", "param": None, "code": "disk_full"}

Answer = tuple[int, Mapping[str, str], bytes]


@dataclass
class FullDisk:
    """`room_for`: how many uploads it takes in all. `free_bytes`: what /health says; None passes on the truth."""

    behind: str
    room_for: int
    free_bytes: int | None = None
    taken: int = 0
    refused: int = 0
    asked_for_health: int = 0
    url: str = ""

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        if (method, path) == ("POST", "/v1/batches"):
            if self.taken >= self.room_for:
                self.refused += 1
                refusal = {"content-type": "application/json", "retry-after": "0"}
                return 507, refusal, json.dumps({"error": _ERROR}).encode()
            self.taken += 1
        answer = requests.request(method, self.behind + path, headers=headers, data=body, timeout=60)
        content = answer.content
        if path == "/health":
            self.asked_for_health += 1
            if self.free_bytes is not None:
                health = answer.json()
                health["disk"]["free_bytes"] = self.free_bytes
                content = json.dumps(health).encode()
        return answer.status_code, answer.headers, content


@contextmanager
def full_disk(api_url: str, *, room_for: int = 0, free_bytes: int | None = None) -> Iterator[FullDisk]:
    disk = FullDisk(api_url, room_for, free_bytes)

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            passed_on = _passed_on(dict(self.headers.items()))
            status, headers, content = disk.answer(self.command, self.path, passed_on, body)
            self.send_response(status)
            for name, value in _passed_on(headers).items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            self.do_GET()

    with serving(Proxy) as disk.url:
        yield disk


def _passed_on(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _OF_ONE_HOP}
