"""Pictures of every page into `screenshots/`, light and dark, empty and at work: `make screenshots`. Or the two that
README.md shows, into `docs/images/`: `make pictures`.

Runs the whole system with the echo engine on invented data in a temporary folder; nothing of it stays.
"""

import argparse
import base64
import json
import os
import random
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import requests
from playwright.sync_api import Browser, sync_playwright

from batch_app.settings import PREFIX, PROJECT_DIR
from scripts.sample_candidates import candidate_name
from scripts.services import Services

OUT: Final = PROJECT_DIR / "screenshots"
DOCUMENTED: Final = PROJECT_DIR / "docs" / "images"
MODEL: Final = "HuggingFaceTB/SmolLM2-135M-Instruct"
OTHER_MODEL: Final = "google/gemma-3-4b-it"
SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
WIDE, NARROW = 1280, 320
_START_SECONDS = 120

# Slow enough that the batches at work are still at work when their picture is taken.
_AT_WORK = {"ECHO_LATENCY_MS": "2000", "WINDOW": "96"}


class Machine:
    """The system on a data folder and ports of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._api_port, self._web_port = _free_port(), _free_port()
        self.api = f"http://127.0.0.1:{self._api_port}"
        self.pages = f"http://127.0.0.1:{self._web_port}"

    @contextmanager
    def running(self, **settings: str) -> Iterator[None]:
        own = {"DATA_DIR": str(self._folder / "data"), "API_PORT": str(self._api_port), "GRACE_SECONDS": "0"}
        own |= {"WEB_PORT": str(self._web_port), "ENGINE": "echo", "HEARTBEAT_SECONDS": "2"}
        own |= {"ENV_FILE": os.devnull, **settings}
        for name in [name for name in os.environ if name.startswith(PREFIX)]:
            del os.environ[name]
        os.environ.update({PREFIX + name: value for name, value in own.items()})
        services = Services(self._folder / "services.log")
        services.start()
        try:
            _wait(self._is_ready, "the system to start")
            yield
        finally:
            services.stop()

    def _is_ready(self) -> bool:
        try:
            fresh = self._get("/health")["worker"]["heartbeat"] == "fresh"
            return bool(fresh and requests.get(f"{self.pages}/dashboard.html", timeout=5).ok)
        except requests.RequestException:
            return False

    def _get(self, path: str) -> Any:
        return requests.get(f"{self.api}{path}", timeout=30).json()

    def submit(self, name: str, lines: list[str], model: str = MODEL) -> str:
        answer = requests.post(
            f"{self.api}/v1/batches",
            files={"file": (f"{name.lower().replace(' ', '-')}.jsonl", "\n".join(lines).encode())},
            data={"model": model, "metadata": json.dumps({"name": name})},
            timeout=60,
        )
        answer.raise_for_status()
        return str(answer.json()["batch_id"])

    def cancel(self, batch_id: str) -> None:
        requests.post(f"{self.api}/v1/batches/{batch_id}/cancel", timeout=30).raise_for_status()

    def wait_for_end(self, *batch_ids: str) -> None:
        final = {"completed", "failed", "cancelled", "expired"}
        for batch_id in batch_ids:
            _wait(lambda: self._get(f"/v1/batches/{batch_id}")["status"] in final, batch_id)  # noqa: B023

    def wait_for_answers(self, batch_id: str, count: int) -> None:
        def answered() -> bool:
            return int(self._get(f"/v1/batches/{batch_id}")["request_counts"]["completed"]) >= count

        _wait(answered, f"{count} answers of {batch_id}")


def main() -> int:
    parser = argparse.ArgumentParser(description="Take pictures of the pages, at work on invented data.")
    parser.add_argument("--docs", action="store_true", help="only those of README.md, into docs/images/")
    is_for_docs = parser.parse_args().docs
    out = DOCUMENTED if is_for_docs else OUT
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        machine = Machine(Path(folder))
        with machine.running():
            if not is_for_docs:
                _take(browser, machine, _EMPTY)
            past = _fill_past(machine)
        with machine.running(**_AT_WORK):
            _fill_present(machine)
            if is_for_docs:
                _document(browser, machine, *past)
            else:
                _take(browser, machine, _views(*past))
                _take(browser, machine, _views(*past), width=NARROW)
        browser.close()
    print(f"{len(list(out.iterdir()))} pictures in {out.relative_to(PROJECT_DIR)}/")
    return 0


_EMPTY: Final = {
    "dashboard-empty": "dashboard.html",
    "submit": "submit_batch.html",
    "results-empty": "index.html",
    "table-empty": "table_view.html",
    "compare-empty": "compare_results.html",
}


def _views(first: str, second: str) -> dict[str, str]:
    return {
        "dashboard": "dashboard.html",
        "dashboard-completed": "dashboard.html?tab=completed",
        "dashboard-all": "dashboard.html?tab=all",
        "results": "index.html",
        "results-batch": f"index.html?batch={first}",
        "table": f"table_view.html?batch={first}",
        "table-of-two": f"table_view.html?batch={first}&batch={second}",
        "compare": f"compare_results.html?batch={first}&batch={second}",
    }


def _fill_past(machine: Machine) -> tuple[str, str]:
    """Batches that ended; the two to be compared."""
    first = machine.submit("Rubric v3 control", _verdicts(240, "v3", failing=7))
    second = machine.submit("Rubric v4 trial", _verdicts(236, "v4"))
    machine.wait_for_end(first, second)
    machine.wait_for_end(machine.submit("Labels for support tickets", _verdicts(1800, "labels")))
    machine.wait_for_end(machine.submit("Candidates winter intake", _verdicts(5200, "winter", failing=3)))
    return first, second


def _fill_present(machine: Machine) -> None:
    """Batches at work, one that waits for another model, and one that was cancelled."""
    cancelled = machine.submit("Nightly summaries", _verdicts(900, "night"))
    machine.wait_for_answers(cancelled, 90)
    machine.cancel(cancelled)
    machine.wait_for_end(cancelled)
    spring = machine.submit("Candidates spring intake", _verdicts(9000, "spring", failing=40))
    machine.submit("Product descriptions", _verdicts(2400, "product"))
    machine.submit("Evaluation with a larger model", _verdicts(640, "larger"), OTHER_MODEL)
    machine.wait_for_answers(spring, 400)


def _verdicts(count: int, kind: str, failing: int = 0) -> list[str]:
    """Requests whose echo is an answer worth looking at; the first `failing` of them fail."""
    return [_verdict(number, kind, fails=number <= failing) for number in range(1, count + 1)]


def _verdict(number: int, kind: str, *, fails: bool) -> str:
    chance = random.Random(f"{number} {kind}")
    score = min(10, max(1, random.Random(number).randint(2, 9) + chance.choice((-1, 0, 0, 0, 1))))
    praise = chance.choice(("Clear communicator", "Solid background", "Deep experience", "Fast learner"))
    doubt = chance.choice(
        ("no production work yet", "little database experience", "short tenures", "no tests")
    )
    answer = {
        "score": score,
        "verdict": "advance" if score > 5 else "reject",
        "reason": f"{praise} in {candidate_name(number).split()[0]}'s last role, but {doubt}.",
    }
    text = "[[fail 400]]" if fails else json.dumps(answer)
    body = {"messages": [{"role": "user", "content": text}]}
    line = {
        "custom_id": f"candidate-{number:04d}",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": body,
    }
    return json.dumps(line)


def _take(browser: Browser, machine: Machine, views: dict[str, str], width: int = WIDE) -> None:
    for scheme in SCHEMES:
        context = browser.new_context(
            viewport={"width": width, "height": 860}, color_scheme=scheme, reduced_motion="reduce"
        )
        page = context.new_page()
        for name, path in views.items():
            page.goto(f"{machine.pages}/{path}", wait_until="networkidle")
            narrow = f"-{width}" if width != WIDE else ""
            page.screenshot(path=OUT / f"{name}{narrow}-{scheme}.png", full_page=width == WIDE)
        context.close()


def _document(browser: Browser, machine: Machine, first: str, second: str) -> None:
    """As WebP, which takes a third of the bytes."""
    views = {
        "dashboard": "dashboard.html",
        "compare": f"compare_results.html?batch={first}&batch={second}&only=flipped",
    }
    for scheme in SCHEMES:
        context = browser.new_context(
            viewport={"width": WIDE, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
        )
        page = context.new_page()
        for name, path in views.items():
            page.goto(f"{machine.pages}/{path}", wait_until="networkidle")
            client = context.new_cdp_session(page)
            taken = client.send("Page.captureScreenshot", {"format": "webp", "quality": 88})
            (DOCUMENTED / f"{name}-{scheme}.webp").write_bytes(base64.b64decode(taken["data"]))
        context.close()


def _wait(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {_START_SECONDS} s in vain for {what}")
        time.sleep(0.2)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
