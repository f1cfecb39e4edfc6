"""A real Chromium on the real processes. Every page a test opens is watched for what must never happen."""

import os
import re
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Error,
    Page,
    Request,
    Route,
    expect,
    sync_playwright,
)

from tests.processes.forked import ForkedSystem, Nursery
from tests.processes.system import System

# What a test waits for comes in the end, on a busy machine too; only what never comes takes this long.
expect.set_options(timeout=60_000)

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
    "--no-pings",
]
_REPORT_VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy violation: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""
# What a page would ask again after a while is not asked, however long its first visit takes.
ASKED_ONCE = """{
  const later = setTimeout;
  window.setTimeout = (turn, milliseconds, ...rest) => (milliseconds >= 2000 ? 0 : later(turn, milliseconds, ...rest));
}"""


@dataclass
class Watch:
    """What the pages of one context did wrong; `allow` names what a test provokes on purpose."""

    hosts: set[str]
    wrongs: list[str] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)

    def allow(self, pattern: str) -> None:
        self.allowed.append(pattern)

    def on(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.wrongs.append(f"uncaught: {error}"))
        page.on("dialog", self._dialog)
        page.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.wrongs.append(f"{message.type}: {message.text} {message.location.get('url', '')}")

    def _dialog(self, dialog: Dialog) -> None:
        if dialog.type != "beforeunload":
            self.wrongs.append(f"a script ran: {dialog.message}")
        dialog.accept()

    def _request(self, request: Request) -> None:
        match = re.match(r"https?://([^/]+)", request.url)
        if match and match[1] not in self.hosts:
            self.wrongs.append(f"request to another host: {request.url}")

    def remaining(self) -> list[str]:
        return [
            wrong for wrong in self.wrongs if not any(re.search(pattern, wrong) for pattern in self.allowed)
        ]


def patience() -> float:
    """How many times as long something may take while the machine does other things too; 1 on a quiet one."""
    return max(1.0, 4 * os.getloadavg()[0] / (os.cpu_count() or 1))


@dataclass
class Held:
    """Requests that wait for their answers until they are released, so that a test decides what comes when."""

    routes: list[Route] = field(default_factory=list)
    is_over: bool = False

    def take(self, route: Route) -> None:
        if self.is_over or route.request.method == "HEAD":
            route.continue_()
        else:
            self.routes.append(route)

    def release(self) -> None:
        self.is_over = True
        for route in self.routes:
            with suppress(Error):  # the page may have given this one up
                route.continue_()


def start_with_second_attempts_far_off(system: System) -> None:
    """What the engine fails once, as `[[flaky 1]]` asks for, keeps its batch running until `let_them_come`."""
    system.settings |= {"RETRY_BACKOFF_SECONDS": "3600", "GRACE_SECONDS": "0"}
    system.start_all()


def let_them_come(system: System) -> None:
    """The second attempts, all at once, from another worker; the first one is stopped before."""
    with closing(sqlite3.connect(system.data_dir / "batch.db", timeout=60)) as connection, connection:
        connection.execute("UPDATE requests SET retry_at = 0 WHERE retry_at IS NOT NULL")
    system.settings["RETRY_BACKOFF_SECONDS"] = "0.1"
    system.start_worker()


def polls(page: Page, count: int = 2) -> None:
    """So many refreshes of the dashboard, from the first request to what is drawn of the last."""
    for _ in range(count):
        with page.expect_response("**/health"):
            pass
    after_drawing(page)


def after_drawing(page: Page) -> None:
    """Whatever the page has heard of is drawn."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")


def hold(page: Page, pattern: str | re.Pattern[str]) -> Held:
    held = Held()
    page.route(pattern, held.take)
    return held


def remember_samples(system: System, *, gpu: bool, hours: int = 1) -> None:
    """So many hours of readings, as if the worker had been at work; every ten seconds one."""
    now = time.time()
    readings = (8 * 2**30, 97.0, 71.0, 250.0) if gpu else (None, None, None, None)
    count = 360 * hours
    rows = [(now - 10 * (count - i), 40 + i, 16, 1000 + i, 5.0, *readings) for i in range(count)]
    with closing(sqlite3.connect(next(system.data_dir.glob("*.db")), timeout=60)) as connection, connection:
        connection.executemany("INSERT OR REPLACE INTO samples VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next((found for found in map(shutil.which, names) if found), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def watched(browser: Browser, system: System, **options: object) -> Iterator[tuple[BrowserContext, Watch]]:
    """A browser context whose pages may do nothing wrong; says at its end what they did."""
    hosts = {
        f"{host}:{port}" for host in ("127.0.0.1", "localhost") for port in (system.web_port, system.api_port)
    }
    watch = Watch(hosts)
    context = browser.new_context(base_url=system.web_url, accept_downloads=True, **options)  # type: ignore[arg-type]
    context.set_default_timeout(60_000)
    context.add_init_script(_REPORT_VIOLATIONS)
    context.on("page", watch.on)
    try:
        yield context, watch
    finally:
        for page in context.pages:  # a route that is about to forward something may find the page gone
            page.unroute_all(behavior="ignoreErrors")
        context.close()
    assert watch.remaining() == []


@pytest.fixture(scope="module")
def shared(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Everything runs and echoes at once; for tests of one module that do not mind each other's batches."""
    system = ForkedSystem(tmp_path_factory.mktemp("shared") / "data", nursery=nursery)
    system.start_all()
    yield system
    system.stop_all()


@pytest.fixture
def open_page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Callable[[str], Page]]:
    """Opens a page of the test's system, with the watch as its attribute `watch`."""
    system = request.getfixturevalue("shared" if "shared" in request.fixturenames else "system")
    with watched(browser, system, viewport={"width": 1280, "height": 900}) as (context, watch):

        def open_path(path: str) -> Page:
            page = context.new_page()
            page.watch = watch  # type: ignore[attr-defined]
            page.goto(path)
            return page

        yield open_path


@pytest.fixture
def full_system(system: System) -> System:
    """Everything runs, and echoes at once."""
    system.start_all()
    return system
