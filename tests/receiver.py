"""A web app's end of a webhook: a real HTTP server that answers as told and keeps what it was sent."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from tests.loopback import serving

SECRET = "whsec_" + "c2VjcmV0LW9mLTMyLWJ5dGVzLWZvci10aGUtdGVzdHM="


@dataclass
class Receiver:
    """`answers`: the status codes to give, one a call; 200 once they are used up. 0 never answers. Each takes
    `seconds`."""

    answers: list[int] = field(default_factory=list)
    seconds: float = 0
    calls: list[tuple[dict[str, str], str]] = field(default_factory=list)
    url: str = ""
    _released: threading.Event = field(default_factory=threading.Event)

    def event_ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _body in self.calls]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Hook(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                receiver.calls.append(({name.lower(): value for name, value in self.headers.items()}, body))
                receiver._released.wait(receiver.seconds)
                status = receiver.answers.pop(0) if receiver.answers else 200
                if status == 0:
                    receiver._released.wait()
                    return
                self.send_response(status)
                self.send_header("location", f"{receiver.url}/elsewhere")
                self.send_header("content-length", "0")
                self.end_headers()

        return Hook


@contextmanager
def receiving(*answers: int) -> Iterator[Receiver]:
    receiver = Receiver(list(answers))
    with serving(receiver._handler(), before_end=receiver._released.set) as address:
        receiver.url = f"{address}/hook?token=secret"
        yield receiver
