"""What holds for each page: accessible in both themes, fit for narrow screens, deaf to hostile data."""

import json
from collections.abc import Iterator
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import watched
from tests.browser.hostile import HOSTILE
from tests.lines import chat_line, chat_lines, jsonl
from tests.processes.system import System

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def lived_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system with batches in several states, named and filled by an enemy."""
    system = System(tmp_path_factory.mktemp("lived-in") / "data", {"GRACE_SECONDS": "0"})
    system.start_all()
    answers = [
        chat_line(f"{i}-{text[:200]}", f'{text} {{"score": {i}, "why": {json.dumps(text)}}}')
        for i, text in enumerate(HOSTILE)
        if text.isprintable()
    ]
    first = system.submit(
        jsonl([*answers, chat_line("bad", "[[fail 400]]")]), metadata=json.dumps({"name": HOSTILE[0]})
    )
    second = system.submit(jsonl(answers[:-1]), metadata=json.dumps({"name": HOSTILE[8][:80]}))
    system.wait_for_end(first)
    system.wait_for_end(second)
    worker = system.processes[1]
    system.stop(worker)
    system.settings["ECHO_LATENCY_MS"] = "3600000"
    system.start_worker()
    system.wait_for_worker()
    system.submit(jsonl(chat_lines(40)), metadata=json.dumps({"name": "Running"}))
    system.first, system.second = first, second  # type: ignore[attr-defined]
    yield system
    system.stop_all()


VIEWS = [
    "/dashboard.html",
    "/dashboard.html?tab=completed",
    "/dashboard.html?tab=all",
    "/dashboard.html?tab=expired",
    "/submit_batch.html",
    "/index.html",
    "/index.html?batch={first}",
    "/table_view.html",
    "/table_view.html?batch={first}",
    "/compare_results.html",
    "/compare_results.html?batch={first}&batch={second}&only=all",
]


def _visit(page: Page, system: System, view: str) -> None:
    page.goto(view.format(first=system.first, second=system.second))  # type: ignore[attr-defined]
    page.wait_for_load_state("networkidle")
    expect(page.locator("main")).not_to_have_class("loading")


@pytest.mark.parametrize("view", VIEWS)
def test_a_page_is_accessible_in_light_and_dark(browser: Browser, lived_in: System, view: str) -> None:
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for scheme in schemes:
        # axe itself writes markup, which the pages' policy forbids; the other tests keep the policy.
        context = browser.new_context(
            base_url=lived_in.web_url, color_scheme=scheme, bypass_csp=True, reduced_motion="reduce"
        )
        page = context.new_page()
        _visit(page, lived_in, view)
        found = Axe().run(page)
        assert found.violations_count == 0, f"{scheme}: {found.generate_report()}"
        context.close()


@pytest.mark.parametrize("view", VIEWS)
def test_a_page_fits_a_narrow_screen_and_does_nothing_wrong(
    browser: Browser, lived_in: System, view: str
) -> None:
    with watched(browser, lived_in, viewport={"width": 320, "height": 640}) as (context, _):
        page = context.new_page()
        _visit(page, lived_in, view)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.locator("main :is(img, iframe, script, object, [onerror], [onload])").count() == 0
        assert page.locator("[style]").count() == 0


@pytest.mark.parametrize("state", ["problems", "dialog", "receipt", "lost", "key"])
def test_states_between_are_accessible(browser: Browser, lived_in: System, state: str) -> None:
    for scheme in ("light", "dark"):
        context = browser.new_context(
            base_url=lived_in.web_url,
            color_scheme=scheme,  # type: ignore[arg-type]
            bypass_csp=True,
            reduced_motion="reduce",
        )
        page = context.new_page()
        _into(page, state)
        found = Axe().run(page)
        assert found.violations_count == 0, f"{scheme}: {found.generate_report()}"
        context.close()


def _into(page: Page, state: str) -> None:
    match state:
        case "problems":
            page.goto("/submit_batch.html")
            file = {"name": "bad.jsonl", "mimeType": "", "buffer": b"{broken\n" + HOSTILE[0].encode()}
            page.set_input_files("#file", file)  # type: ignore[arg-type]
            expect(page.locator("#check-state")).to_have_text("2 problems")
        case "receipt":
            page.goto("/submit_batch.html")
            page.get_by_role("button", name="Use this example").click()
            expect(page.locator("#check-state")).to_have_text("ready")
            page.route("**/v1/batches", lambda route: route.fulfill(json=_RECEIPT, headers=_ANY_ORIGIN))
            page.get_by_role("button", name="Submit batch").click()
            expect(page.locator("#receipt")).to_be_visible()
        case "dialog":
            page.goto("/dashboard.html")
            page.get_by_role("button", name="Cancel Running").click()
            expect(page.get_by_role("dialog")).to_be_visible()
        case "lost":
            page.goto("/dashboard.html")
            expect(page.locator("#jobs .job")).to_have_count(1)
            page.context.set_offline(True)
            page.select_option("#interval", "1000")
            expect(page.locator("#notices .bad")).to_contain_text("does not answer", timeout=15_000)
        case "key":
            refusal = {
                "error": {
                    "message": "A key is needed.",
                    "type": "x",
                    "param": None,
                    "code": "invalid_api_key",
                }
            }
            page.route(
                "**/health", lambda route: route.fulfill(status=401, json=refusal, headers=_ANY_ORIGIN)
            )
            page.goto("/dashboard.html")
            expect(page.get_by_role("dialog")).to_be_visible()


_ANY_ORIGIN = {"access-control-allow-origin": "*", "access-control-allow-headers": "*"}
_RECEIPT = {"batch_id": "batch_1", "model": "m", "total_requests": 3, "status": "pending"}


_LOADED_BYTES = """
performance.getEntriesByType("resource")
  .filter((entry) => entry.name.includes("/static/"))
  .reduce((sum, entry) => sum + entry.encodedBodySize, 0)
"""


def test_a_first_visit_is_light(browser: Browser, lived_in: System) -> None:
    with watched(browser, lived_in) as (context, _):
        page = context.new_page()
        _visit(page, lived_in, "/dashboard.html")
        assert page.evaluate("document.querySelectorAll('*').length") < 1500
        assert page.evaluate(_LOADED_BYTES) < 120 * 1024
