"""A web app's end of a webhook: a real HTTP server that answers as told and keeps what it was sent."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

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

        class Handler(BaseHTTPRequestHandler):
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

            def log_message(self, *_arguments: object) -> None:
                """Nothing on the tests' terminal."""

        return Handler


@contextmanager
def receiving(*answers: int) -> Iterator[Receiver]:
    receiver = Receiver(list(answers))
    with ThreadingHTTPServer(("127.0.0.1", 0), receiver._handler()) as server:
        receiver.url = f"http://127.0.0.1:{server.server_port}/hook?token=secret"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield receiver
        finally:
            receiver._released.set()
            server.shutdown()
            thread.join()
