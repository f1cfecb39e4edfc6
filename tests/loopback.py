"""A real HTTP server of a test's own, on a free port of this machine, for as long as a block lasts."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def serving(
    handler: type[BaseHTTPRequestHandler], *, before_end: Callable[[], object] = lambda: None
) -> Iterator[str]:
    """Its address. `before_end` releases calls that are not answered yet: the end waits for all of them."""
    # Nothing on the tests' terminal.
    quiet = type("Quiet", (handler,), {"log_message": lambda *_arguments: None})
    with ThreadingHTTPServer(("127.0.0.1", 0), quiet) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            before_end()
            server.shutdown()
            thread.join()
