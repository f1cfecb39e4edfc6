"""What holds for each page: accessible in both themes, fit for narrow screens, deaf to hostile data."""

import gzip
import json
import re
from collections.abc import Iterator
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Response, expect

from tests.browser.conftest import ASKED_ONCE, after_drawing, remember_samples, watched
from tests.browser.hostile import HOSTILE
from tests.lines import chat_line, chat_lines, jsonl
from tests.processes.forked import ForkedSystem, Nursery
from tests.processes.system import System

MOST_BYTES = 120 * 1024
pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def lived_in(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system with batches in several states, named and filled by an enemy."""
    system = ForkedSystem(
        tmp_path_factory.mktemp("lived-in") / "data", {"GRACE_SECONDS": "0"}, nursery=nursery
    )
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
    remember_samples(system, gpu=True, hours=24)
    running = system.submit(jsonl(chat_lines(40)), metadata=json.dumps({"name": "Running"}))
    system.names = {"first": first, "second": second, "running": running}  # type: ignore[attr-defined]
    yield system
    system.stop_all()


PAGES = [
    "/dashboard.html",
    "/submit_batch.html",
    "/index.html",
    "/index.html?batch={first}",
    "/table_view.html?batch={first}",
    "/compare_results.html?batch={first}&batch={second}",
]
# Requests of a first visit. There is no bundler: a page that lays much side by side has a module for each part of it.
FIRST_VISITS = {
    "/dashboard.html": 20,
    "/submit_batch.html": 20,
    "/index.html": 20,
    "/index.html?batch={first}": 20,
    "/table_view.html?batch={first}": 20,
    "/compare_results.html?batch={first}&batch={second}": 20,
}
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
    page.goto(view.format(**system.names))  # type: ignore[attr-defined]
    page.wait_for_load_state("networkidle")
    expect(page.locator("main")).not_to_have_class("loading")


@pytest.mark.parametrize(("view", "most_requests"), FIRST_VISITS.items())
def test_a_first_visit_stays_within_its_budget(
    browser: Browser, lived_in: System, view: str, most_requests: int
) -> None:
    """Counted is all until the page is quiet: its own file and styles, the modules, what it asks the API."""
    with watched(browser, lived_in) as (context, _):
        context.add_init_script(ASKED_ONCE)
        page = context.new_page()
        answers: list[Response] = []
        page.on("response", lambda answer: answers.append(answer))  # noqa: PLW0108  # Playwright marks what it is given
        _visit(page, lived_in, view)
        size = sum(len(gzip.compress(answer.body())) for answer in answers)
        listed = "\n".join(answer.url for answer in answers)
        print(f"{len(answers)} requests, {size} bytes gzipped:\n{listed}")
        assert "/v1/" in listed
        assert "/vendor/" not in listed
        assert len(answers) <= most_requests
        assert size <= MOST_BYTES


@pytest.mark.parametrize("view", VIEWS)
def test_a_page_is_accessible_in_light_and_dark(browser: Browser, lived_in: System, view: str) -> None:
    for page in _in_light_and_dark(browser, lived_in):
        _visit(page, lived_in, view)
        _assert_accessible(page)


def _in_light_and_dark(browser: Browser, system: System) -> Iterator[Page]:
    """axe itself writes markup, which the pages' policy forbids; the other tests keep the policy."""
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for scheme in schemes:
        context = browser.new_context(
            base_url=system.web_url, color_scheme=scheme, bypass_csp=True, reduced_motion="reduce"
        )
        try:
            yield context.new_page()
        finally:
            context.close()


def _assert_accessible(page: Page, state: str = "") -> None:
    found = Axe().run(page)
    assert found.violations_count == 0, f"{page.url} {state}: {found.generate_report()}"


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
    for page in _in_light_and_dark(browser, lived_in):
        _into(page, state)
        _assert_accessible(page, state)


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
            expect(page.locator("#notices .bad")).to_contain_text("does not answer")
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


@pytest.mark.parametrize("view", PAGES)
def test_a_page_that_waits_or_is_refused_is_accessible_and_says_so(
    browser: Browser, lived_in: System, view: str
) -> None:
    for page in _in_light_and_dark(browser, lived_in):
        page.route(_API, lambda _: None)  # no answer yet
        page.goto(view.format(**lived_in.names))  # type: ignore[attr-defined]
        _assert_accessible(page, "loading")
        page.unroute(_API)
        page.route(_API, lambda route: route.fulfill(status=500, json=_BROKEN, headers=_ANY_ORIGIN))
        page.goto(view.format(**lived_in.names))  # type: ignore[attr-defined]
        expect(page.locator("#notices")).to_contain_text("Something broke in here.")
        _assert_accessible(page, "error")


_BROKEN = {
    "error": {"message": "Something broke in here.", "type": "server_error", "param": None, "code": "x"}
}


@pytest.mark.parametrize(
    "view", ["/dashboard.html", "/index.html", "/table_view.html", "/compare_results.html"]
)
def test_a_page_without_any_batch_says_what_to_do(browser: Browser, bare: System, view: str) -> None:
    for page in _in_light_and_dark(browser, bare):
        page.goto(view)
        expect(page.locator("#empty")).to_be_visible()
        expect(page.locator("#empty")).to_contain_text(_NEXT_STEPS[view])
        page.wait_for_load_state("networkidle")
        _assert_accessible(page, "empty")


_NEXT_STEPS = {
    "/dashboard.html": "Submit a batch",
    "/index.html": "Submit a batch",
    "/table_view.html": "Submit a batch",
    "/compare_results.html": "Submit a batch",
}


@pytest.fixture(scope="module")
def bare(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """API and pages, and nothing else yet."""
    system = ForkedSystem(tmp_path_factory.mktemp("bare") / "data", nursery=nursery)
    system.start_api()
    system.start_web()
    yield system
    system.stop_all()


@pytest.mark.parametrize(
    "view",
    [
        "/dashboard.html",
        "/index.html?status=all",
        "/index.html?batch={running}",
        "/table_view.html?batch={first}",
        "/compare_results.html?batch={first}&batch={second}&only=all",
    ],
)
def test_without_the_api_what_is_shown_is_said_to_be_old_until_it_answers_again(
    browser: Browser, lived_in: System, view: str
) -> None:
    for page in _in_light_and_dark(browser, lived_in):
        _visit(page, lived_in, view)
        page.route(_API, lambda route: route.abort())
        _ask_again(page)
        notice = page.locator("#notices > .bad")
        expect(notice).to_contain_text("does not answer")
        expect(page.locator("#content")).to_have_class(_STALE)
        _assert_accessible(page, "stale")
        page.unroute(_API)
        notice.get_by_role("button", name="ry").click()  # Try now, Try again
        expect(page.locator("#content")).not_to_have_class(_STALE)
        expect(notice).to_be_hidden()


def _ask_again(page: Page) -> None:
    """As time would: the poll of a page that has one, else what a person does next. Twice, for one may be chance."""
    if "table_view" in page.url:
        page.get_by_role("combobox", name="Status").select_option("failed")
    elif "compare" in page.url:
        page.get_by_role("tab", name="Same").click()
    else:
        for _ in range(2):
            with page.expect_event("requestfailed"):
                page.evaluate("void document.dispatchEvent(new Event('visibilitychange'))")
            after_drawing(page)


@pytest.mark.parametrize("view", ["/dashboard.html", "/index.html?batch={first}"])
def test_a_question_that_nothing_repeats_says_at_once_that_it_found_no_answer(
    browser: Browser, lived_in: System, view: str
) -> None:
    with watched(browser, lived_in) as (context, watch):
        context.add_init_script(ASKED_ONCE)  # so that nothing is tried again
        watch.allow("ERR_FAILED")
        page = context.new_page()
        _visit(page, lived_in, view)
        if "dashboard" in view:
            page.select_option("#interval", "0")
        page.route(_API, lambda route: route.abort())
        _ask_by_hand(page)
        expect(page.locator("#notices > .bad")).to_contain_text("does not answer")
        expect(page.locator("#content")).to_have_class(_STALE)


@pytest.mark.parametrize(
    ("view", "rows"),
    [
        ("/index.html?batch={first}", "#requests tbody tr"),
        ("/table_view.html?batch={first}", "#rows tr"),
        ("/compare_results.html?batch={first}&batch={second}", "#table tbody"),
    ],
)
def test_a_batch_that_ended_is_asked_for_until_its_page_is_whole_again(
    browser: Browser, lived_in: System, view: str, rows: str
) -> None:
    with watched(browser, lived_in) as (context, watch):
        watch.allow("ERR_FAILED")
        page = context.new_page()
        _visit(page, lived_in, view)
        page.route(_API, lambda route: route.abort())
        _ask_by_hand(page)
        expect(page.locator("#content")).to_have_class(_STALE)
        page.unroute(_API)
        expect(page.locator("#content")).not_to_have_class(_STALE)
        expect(page.locator("#notices > .bad")).to_be_hidden()
        if "compare" not in view:
            expect(page.locator(rows)).to_have_count(1)
        expect(page.locator(rows).last).to_contain_text("bad")


def _ask_by_hand(page: Page) -> None:
    """Once; of a batch for what failed, of a comparison for what is only in some."""
    if "dashboard" in page.url:
        page.locator("#refresh").click()
    elif "table_view" in page.url:
        page.get_by_role("combobox", name="Status").select_option("failed")
    elif "compare" in page.url:
        page.get_by_role("tab", name="Only in some").click()
    else:
        page.locator("#request-status").select_option("failed")


@pytest.mark.parametrize(
    ("view", "shown", "choices"),
    [
        ("/table_view.html", "#choices", "#choices li a"),
        ("/table_view.html?batch={first}", "#scroll", "#rows tr"),
        ("/compare_results.html", "#empty", "#batch-1 option[value^=batch_]"),
        ("/compare_results.html?batch={first}&batch={second}", "#overview", "#batch-1 option[value^=batch_]"),
    ],
)
def test_a_page_opened_while_the_api_is_away_is_whole_once_it_answers(
    browser: Browser, lived_in: System, view: str, shown: str, choices: str
) -> None:
    with watched(browser, lived_in) as (context, watch):
        watch.allow("ERR_FAILED")
        context.route(_API, lambda route: route.abort())
        page = context.new_page()
        page.goto(view.format(**lived_in.names))  # type: ignore[attr-defined]
        expect(page.locator("#notices > .bad")).to_contain_text("does not answer")
        expect(page.locator("#pickers")).not_to_contain_text("No batch")
        context.unroute(_API)
        expect(page.locator(shown)).to_be_visible()
        expect(page.locator(choices).nth(1)).to_be_attached()
        expect(page.locator("#notices > .bad:visible")).to_have_count(0)
        expect(page.locator("#content")).not_to_have_class(_STALE)


_ANY_ORIGIN = {"access-control-allow-origin": "*", "access-control-allow-headers": "*"}
_STALE = re.compile(r"\bstale\b")
_API = re.compile(r"/(v1/|health)")
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
