"""`make demo`: the whole system with a small model on twenty invented candidates.

Starts the three services, sends the sample, shows progress and three answers, then keeps everything running
for the dashboard until Ctrl-C. With `--once` it stops everything instead: exit code 0 when all twenty are
answered.
"""

import json
import os
import shutil
import signal
import socket
import sys
import time
from argparse import ArgumentParser, Namespace
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import requests

from batch_app.disk.files import make_folder
from batch_app.errors import ConfigurationError
from batch_app.settings import PROJECT_DIR, Settings, load_settings
from scripts import sample_candidates
from scripts.client import state as states
from scripts.client.api import Api
from scripts.client.console import failure_lines, print_error
from scripts.client.errors import EXIT_DONE, EXIT_ERROR, EXIT_INTERRUPTED, ClientError, UnavailableError
from scripts.client.progress import Progress, Standing
from scripts.client.state import State, Summary
from scripts.client.submission import Submission
from scripts.client.submitting import Order, finish, prepare
from scripts.client.waiting import Patience, run_to_end
from scripts.services import Services

COUNT: Final = 20
_READY_SECONDS: Final = 180
_LOG_LINES: Final = 20


class DemoError(ClientError):
    """The demo cannot go on."""


class Demo:
    """The services and the sample's way through them."""

    def __init__(self, settings: Settings, model: str, deadline: float) -> None:
        self._settings, self.model, self._deadline = settings, model, deadline
        self.services = Services(settings.data_dir / "demo.log")
        key = settings.api_key.get_secret_value() if settings.api_key else None
        self._api = Api(settings.api_url, key)
        self._folder = settings.data_dir / "demo"

    @property
    def dashboard(self) -> str:
        return f"http://localhost:{self._settings.web_port}/dashboard.html"

    def check_alive(self) -> None:
        if not self.services.are_running:
            raise DemoError("a service ended; the end of its log is above")
        if time.monotonic() > self._deadline:
            raise DemoError("the demo took longer than its deadline; the end of the log is above")

    def wait_until_ready(self) -> None:
        until = time.monotonic() + _READY_SECONDS
        for what, is_ready in (
            ("API", self._api.is_alive),
            ("dashboard", self._is_dashboard_up),
            ("worker", self._has_worker),
        ):
            say(f"waiting for the {what} …")
            while not is_ready():
                self.check_alive()
                if time.monotonic() > until:
                    raise DemoError(f"the {what} was not ready after {_READY_SECONDS} s")
                time.sleep(0.3)

    def run_sample(self) -> tuple[Summary, State]:
        """Send the sample and wait for it, as `batch.py submit` does."""
        shutil.rmtree(self._folder, ignore_errors=True)
        make_folder(self._folder)
        source = self._folder / "candidates.jsonl"
        source.write_text("".join(f"{line}\n" for line in sample_candidates.requests(COUNT, self.model)))
        path = states.state_path(source, self._folder)
        order = Order(source=source, model=self.model, name="demo", fresh=True)
        submission = Submission(self._api, prepare(order, self._api, quiet=True), path)
        say(f"sending {COUNT} invented candidates to {self.model}")
        run_to_end(_Guarded(submission, self), Progress(), interval_seconds=0.5, patience=Patience(30))
        return finish(submission, path), submission.state

    def _is_dashboard_up(self) -> bool:
        try:
            return requests.get(self.dashboard, timeout=2).ok
        except requests.RequestException:
            return False

    def _has_worker(self) -> bool:
        try:
            return bool(self._api.health()["worker"]["heartbeat"] == "fresh")
        except UnavailableError:
            return False


class _Guarded:
    """A submission that ends with the services, not after them."""

    def __init__(self, submission: Submission, demo: Demo) -> None:
        self._submission, self._demo = submission, demo

    @property
    def finished(self) -> bool:
        return self._submission.finished

    def run_once(self, now: float) -> bool:
        self._demo.check_alive()
        return self._submission.run_once(now)

    def standing(self) -> Standing:
        return self._submission.standing()


def main() -> int:
    options = _options()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _as_interrupt)
    os.chdir(PROJECT_DIR)
    try:
        settings = load_settings()
        check_ports(settings)
    except (ConfigurationError, DemoError) as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_ERROR
    deadline = time.monotonic() + options.deadline if options.once else float("inf")
    demo = Demo(settings, options.model, deadline)
    try:
        return show(demo, once=options.once)
    except ClientError as error:
        print("\n".join(demo.services.last_lines(_LOG_LINES)), file=sys.stderr)
        print_error(error)
        return EXIT_ERROR
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    finally:
        # A second Ctrl-C must not leave half of it running.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        say("stopping the services …")
        demo.services.stop()
        say("stopped")


def show(demo: Demo, *, once: bool) -> int:
    demo.services.start()
    say(f"starting the services; what they print goes to {demo.services.log}")
    demo.wait_until_ready()
    summary, state = demo.run_sample()
    print_answers(summary, state)
    if not once:
        keep_running(demo)
    return EXIT_DONE if summary.answered == COUNT else EXIT_ERROR


def print_answers(summary: Summary, state: State) -> None:
    say(f"{summary.answered} of {summary.requests} answered in {summary.seconds:.0f} s")
    with Path(summary.results).open() as results:
        for line in islice(results, 3):
            answer = json.loads(line)
            number = int(answer["custom_id"].removeprefix("candidate-"))
            text = " ".join(answer["response"]["body"]["choices"][0]["message"]["content"].split())
            print(f"\n  {sample_candidates.candidate_name(number)} ({answer['custom_id']})\n    {text[:200]}")
    if summary.answered and state.model == sample_candidates.DEFAULT_MODEL:
        print("\nA model this small shows that it works, not how well it judges.")
    print(f"\nresults    {summary.results}")
    if summary.failed:
        print(f"failures   {summary.errors}")
        print("\n".join(f"           {line}" for line in failure_lines(state)))


def keep_running(demo: Demo) -> None:
    try:
        print(f"dashboard  {demo.dashboard}\n\nCtrl-C stops everything.", flush=True)
        while True:
            time.sleep(1)
            demo.check_alive()
    except KeyboardInterrupt:
        print()


def check_ports(settings: Settings) -> None:
    """Raises DemoError when a port of ours is taken."""
    for host, port, name in (
        (settings.api_host, settings.api_port, "BATCH_API_PORT"),
        (settings.web_host, settings.web_port, "BATCH_WEB_PORT"),
    ):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                raise DemoError(
                    f"port {port} is not free ({error.strerror}): stop what uses it "
                    f"(`lsof -i :{port}` shows it), or choose another with {name}"
                ) from None


def say(text: str) -> None:
    print(text, flush=True)


def _options() -> Namespace:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--once", action="store_true", help="stop everything when the results are there")
    parser.add_argument("--model", default=sample_candidates.DEFAULT_MODEL, metavar="M")
    parser.add_argument("--deadline", type=float, default=900, metavar="SECONDS", help="for --once")
    return parser.parse_args()


def _as_interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
