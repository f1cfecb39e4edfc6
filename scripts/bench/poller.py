"""Asks one URL over and over, in a process of its own, until its standard input ends; prints each answer's seconds.

`python -m scripts.bench.poller PORT PATH` says "ready" after its first answer.
"""

import http.client
import json
import sys
import threading
import time

_PAUSE_SECONDS = 0.02


def main() -> int:
    port, path = int(sys.argv[1]), sys.argv[2]
    ended = threading.Event()

    def wait_for_the_end() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    seconds: list[float] = []
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    while not seconds or not ended.wait(_PAUSE_SECONDS):
        began = time.monotonic()
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        seconds.append(time.monotonic() - began)
        if answer.status != 200:
            raise SystemExit(f"{path} answered {answer.status}")
        if len(seconds) == 1:
            print("ready", flush=True)
    print(json.dumps(seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
