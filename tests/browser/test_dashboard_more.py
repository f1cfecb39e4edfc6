"""What the dashboard offers beyond numbers and lists: charts, filter, keys, errors, commands, several at once."""

import json
import re
from collections.abc import Callable, Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.conftest import hold, polls, remember_samples, watched
from tests.lines import chat_line, chat_lines, jsonl
from tests.processes.forked import ForkedSystem, Nursery
from tests.processes.system import System

pytestmark = pytest.mark.browser
Open = Callable[[str], Page]


@pytest.fixture(scope="module")
def shared(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Two batches that ended, one of them with failures; two that run for ever; an hour of samples."""
    system = ForkedSystem(tmp_path_factory.mktemp("busy") / "data", {"GRACE_SECONDS": "0"}, nursery=nursery)
    system.start_all()
    failing = [chat_line(f"bad-{i}", "[[fail 400]]") for i in range(3)]
    for name, lines in (("Winter", chat_lines(4) + failing), ("Autumn", chat_lines(5))):
        system.wait_for_end(system.submit(jsonl(lines), metadata=json.dumps({"name": name})))
    system.stop(system.processes[1])
    system.settings["ECHO_LATENCY_MS"] = "3600000"
    system.start_worker()
    system.wait_for_worker()
    for name in ("Spring", "Summer"):
        system.submit(jsonl(chat_lines(40)), metadata=json.dumps({"name": name}))
    yield system
    system.stop_all()


_DRAWN = """
(canvas) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let drawn = 0;
  for (let i = 3; i < data.length; i += 4) if (data[i] > 0) drawn += 1;
  return drawn / (data.length / 4);
}
"""


def test_charts_are_drawn_and_stand_in_tables_too(shared: System, open_page: Open) -> None:
    remember_samples(shared, gpu=False)
    page = open_page("/dashboard.html")
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url))
    page.locator("#charts > summary").click()
    tokens = page.locator(".chart", has_text="Tokens per second")
    expect(tokens.get_by_role("img")).to_have_attribute("aria-label", re.compile(r"[\d,.]+ to 1,3\d\d, last"))
    expect(page.locator(".chart canvas")).to_have_count(3)
    page.wait_for_function(f"({_DRAWN})(document.querySelector('.chart canvas')) > 0.2")
    expect(page.locator("#charts-body")).to_contain_text("GPU: not present")
    expect(page.locator(".chart:visible")).to_have_count(3)
    tokens.locator("summary").click()
    expect(tokens.get_by_role("row")).to_have_count(13)
    expect(tokens.get_by_role("row").nth(6)).to_contain_text("1,")
    with page.expect_response("**/v1/samples?hours=24.0*"):
        page.get_by_role("button", name="24 h").click()
    expect(page.get_by_role("button", name="24 h")).to_have_attribute("aria-pressed", "true")
    expect(tokens.get_by_role("row").nth(3)).to_contain_text("–")  # noqa: RUF001  # four hours ago nothing was read
    assert any("uPlot.esm.js" in url for url in fetched)
    page.reload()
    expect(page.locator(".chart canvas").first).to_be_visible()  # the choice is remembered


def test_a_machine_with_a_gpu_has_its_charts(
    browser: Browser, nursery: Nursery, tmp_path_factory: pytest.TempPathFactory
) -> None:
    system = ForkedSystem(tmp_path_factory.mktemp("gpu") / "data", nursery=nursery)
    try:
        system.start_api()
        system.start_web()
        remember_samples(system, gpu=True)
        for scheme in ("light", "dark"):
            with watched(browser, system, color_scheme=scheme) as (context, _):
                page = context.new_page()
                page.goto("/dashboard.html")
                page.locator("#charts > summary").click()
                expect(page.locator(".chart:visible")).to_have_count(6)
                temperature = page.locator(".chart", has_text="GPU temperature").get_by_role("img")
                expect(temperature).to_have_attribute(
                    "aria-label", "GPU temperature: 71 °C to 71 °C, last 71 °C."
                )
                line = page.locator(".plot").first.evaluate(
                    "(at) => getComputedStyle(at).getPropertyValue('--chart-line')"
                )
                assert line == {"light": "rgb(59, 91, 219)", "dark": "rgb(143, 168, 255)"}[scheme]
    finally:
        system.stop_all()


def test_the_line_of_the_last_hour_outlives_a_turn_that_another_overtook(
    shared: System, open_page: Open
) -> None:
    remember_samples(shared, gpu=False)
    page = open_page("/dashboard.html")
    held = hold(page, "**/v1/samples?*")
    with page.expect_request("**/v1/samples?*"):
        page.reload()
    with page.expect_event("requestfailed", lambda request: "/v1/samples" in request.url):
        page.get_by_role("tab", name="Completed").click()
    held.release()
    sparkline = page.locator("#worker svg.spark")
    expect(sparkline).to_have_attribute("aria-label", re.compile(r"to 1,3\d\d, now"))


def test_charts_of_a_machine_that_slept_are_read_for_as_long_as_it_did(
    shared: System, open_page: Open
) -> None:
    """Its own clock stands still meanwhile; that of the API, on another machine, goes on."""
    remember_samples(shared, gpu=False)
    page = open_page("/dashboard.html")
    page.clock.install()
    page.reload()
    page.locator("#charts > summary").click()
    with page.expect_response(re.compile(r"/samples\?hours=6\.0+$")):
        page.get_by_role("button", name="6 h").click()
    expect(page.locator(".chart canvas").first).to_be_visible()

    def hours_later(route: Route) -> None:
        answer = route.fetch()
        health = answer.json()
        route.fulfill(response=answer, json={**health, "time": health["time"] + 2 * 3600})

    page.route("**/health", hours_later)
    with page.expect_request(re.compile(r"/samples\?hours=[\d.]+$")) as asked:
        page.clock.fast_forward(50_000)  # until the charts are due
    assert 2 <= float(asked.value.url.rpartition("=")[2]) < 3


def test_charts_say_that_they_could_not_be_read_until_they_can(shared: System, open_page: Open) -> None:
    remember_samples(shared, gpu=False)
    page = open_page("/dashboard.html")
    page.watch.allow("ERR_FAILED")  # type: ignore[attr-defined]
    page.select_option("#interval", "1000")
    expect(page.locator("#jobs .job")).to_have_count(2)
    page.route("**/v1/samples?hours=1.0*", lambda route: route.abort())
    page.locator("#charts > summary").click()
    said = page.locator("#charts-body").get_by_role("status")
    expect(said).to_contain_text("does not answer")
    page.unroute("**/v1/samples?hours=1.0*")
    expect(said).to_be_hidden()
    expect(page.locator(".chart canvas").first).to_be_visible()


def test_without_the_library_the_numbers_are_in_tables(shared: System, open_page: Open) -> None:
    remember_samples(shared, gpu=False)
    page = open_page("/dashboard.html")
    page.watch.allow("404|Failed to load|ERR_FAILED|vendor")  # type: ignore[attr-defined]
    page.route("**/vendor/**", lambda route: route.abort())
    page.locator("#charts > summary").click()
    expect(page.locator("#charts-body")).to_contain_text("the numbers are in the tables")
    expect(page.locator(".chart").first.get_by_role("row")).to_have_count(13)
    expect(page.locator(".chart canvas")).to_have_count(0)


def test_the_filter_narrows_the_lists_and_stays_in_the_address(shared: System, open_page: Open) -> None:
    page = open_page("/dashboard.html")
    expect(page.locator("#jobs .job")).to_have_count(2)
    page.keyboard.press("/")
    expect(page.locator("#filter")).to_be_focused()
    page.keyboard.type("name:spr")
    expect(page.locator("#jobs .job")).to_have_count(1)
    expect(page.locator("#matches")).to_have_text("1 of the 2 matches")
    expect(page).to_have_url(re.compile(r"q=name%3Aspr"))
    page.fill("#filter", "status:completed model:smollm -autumn")
    expect(page.get_by_role("tab", selected=True)).to_contain_text("All")
    expect(page.locator("#table tbody tr")).to_have_count(1)
    expect(page.locator("#table")).to_contain_text("Winter")
    page.reload()
    expect(page.locator("#table tbody tr")).to_have_count(1)
    expect(page.locator("#filter")).to_have_value("status:completed model:smollm -autumn")
    page.fill("#filter", "nobody")
    expect(page.get_by_role("heading", name="No batch matches")).to_be_visible()
    page.get_by_role("button", name="Clear the filter").click()
    expect(page.locator("#table tbody tr")).to_have_count(4)
    expect(page.locator("#filter")).to_be_focused()


def test_keys_move_open_and_explain(shared: System, open_page: Open) -> None:
    page = open_page("/dashboard.html")
    names = page.locator(".job h3 a, td.name a")
    expect(names).to_have_count(4)
    for key, index in (("j", 0), ("j", 1), ("j", 2), ("k", 1)):
        page.keyboard.press(key)
        expect(names.nth(index)).to_be_focused()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys and filter")).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keys and filter")).to_have_count(0)
    expect(names.nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"index\.html\?batch=batch_"))


def test_single_keys_can_be_switched_off_for_every_page(shared: System, open_page: Open) -> None:
    page = open_page("/dashboard.html")
    expect(page.locator("#jobs .job")).to_have_count(2)
    page.get_by_role("button", name="Keys and filter words").click()
    page.get_by_label("Single keys are on").uncheck()
    page.get_by_role("button", name="Close", exact=True).click()
    page.keyboard.press("j")
    expect(page.locator("#jobs h3 a:focus")).to_have_count(0)
    batch_id = shared.get("/v1/batches?status=completed")["data"][0]["id"]
    page.goto(f"/index.html?batch={batch_id}")
    expect(page.locator("#requests tbody tr").first).to_be_visible()
    for key in "/j":
        page.keyboard.press(key)
    expect(page.locator("#search:focus, #requests a:focus")).to_have_count(0)
    page.locator("#requests tbody a").first.click()
    expect(page.get_by_role("button", name="Next row")).to_be_enabled()
    for key in ("j", "ArrowRight"):  # an arrow is no character
        page.keyboard.press(key)
    expect(page).to_have_url(re.compile("line=2$"))
    page.goto(f"/table_view.html?batch={batch_id}")
    expect(page.locator("#rows tr").first).to_be_visible()
    for key in "/g":
        page.keyboard.press(key)
    expect(page.locator("#search:focus, #jump-to:focus")).to_have_count(0)


def test_errors_are_grouped_below_their_batch(shared: System, open_page: Open) -> None:
    page = open_page("/dashboard.html?tab=completed")
    page.select_option("#interval", "1000")
    switch = page.get_by_role("button", name="Error groups of Winter, 3 failed")
    switch.click()
    groups = page.locator(".errors-row")
    expect(groups).to_contain_text("as on line 5, bad-0")
    expect(groups.locator("li b")).to_have_text("3")
    polls(page)  # it is still open, and the same
    expect(switch).to_be_focused()
    expect(groups.get_by_role("button", name="Retry all 3 of Winter")).to_be_visible()
    groups.get_by_role("link", name=re.compile("Show what failed")).click()
    expect(page.locator("#requests tbody tr")).to_have_count(3)


def test_finished_answers_come_as_jsonl_and_csv_with_their_sizes(shared: System, open_page: Open) -> None:
    page = open_page("/dashboard.html?tab=completed")
    row = page.locator("#table tbody tr", has_text="Winter")
    expect(row.get_by_role("link", name="Download Results of Winter")).to_contain_text(
        re.compile(r"\d (KiB|B)")
    )
    expect(row.get_by_role("link", name="Errors of Winter")).to_contain_text(re.compile(r"\d (KiB|B)"))
    with page.expect_download() as download:
        row.get_by_role("link", name="CSV of Winter").click()
    text = download.value.path().read_text()
    assert text.startswith("line,custom_id,status")
    assert "candidate-0" in text


def test_a_batch_is_copied_as_a_command(browser: Browser, shared: System) -> None:
    with watched(browser, shared, permissions=["clipboard-read", "clipboard-write"]) as (context, _):
        page = context.new_page()
        page.goto("/dashboard.html?tab=completed")
        page.get_by_role("button", name="More for Winter").click()
        page.get_by_role("button", name="Copy as curl").click()
        expect(page.get_by_role("button", name="Copied")).to_be_visible()
        command = page.evaluate("navigator.clipboard.readText()")
        assert re.match(rf"curl -fsS {shared.url}/v1/batches/batch_\w+\n", command)
        assert "/results" in command
        page.get_by_role("button", name="Copy as Python").click()
        page.wait_for_function(
            "navigator.clipboard.readText().then((text) => text.startsWith('import requests'))"
        )
        page.keyboard.press("Escape")
        expect(page.locator("#row-menu")).to_be_hidden()
        expect(page.get_by_role("button", name="More for Winter")).to_be_focused()


def test_several_batches_are_retried_and_cancelled_after_one_question(
    system: System, open_page: Open
) -> None:
    system.settings |= {"GRACE_SECONDS": "0"}
    system.start_all()
    failing = [chat_line(f"bad-{i}", "[[fail 400]]") for i in range(2)]
    for name in ("One", "Two"):
        lines = chat_lines(3) + failing
        system.wait_for_end(system.submit(jsonl(lines), metadata=json.dumps({"name": name})))
    page = open_page("/dashboard.html")
    page.select_option("#interval", "1000")
    page.get_by_label("Select One").check()
    page.get_by_label("Select Two").check()
    page.get_by_role("button", name="Retry the failed of 2 batches (4 requests)").click()
    expect(page.get_by_role("dialog")).to_contain_text("Retry 4 requests?")
    expect(page.get_by_role("dialog")).to_contain_text("become 2 new batches")
    system.stop(system.processes[1])  # so that what is queued now stays to be cancelled
    page.get_by_role("button", name="Retry 4", exact=True).click()
    expect(page.locator("#notices")).to_contain_text("4 requests queued again from 2 batches.")
    expect(page.locator("#jobs .job")).to_have_count(2)
    for box in page.locator("#jobs").get_by_role("checkbox").all():
        box.check()
    page.get_by_role("button", name="Cancel 2 batches (4 requests unanswered)").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("4 requests will not run: “One”, “Two”")
    dialog.get_by_role("button", name="Keep them running").click()
    assert system.get("/v1/batches?status=active")["counts"]["active"] == 2
    polls(page)
    expect(page.locator("#bulk")).to_contain_text("2 selected")  # and a refresh later, too
    page.get_by_role("button", name="Cancel 2 batches (4 requests unanswered)").click()
    gone = system.get("/v1/batches?status=active")["data"][0]["id"]
    page.watch.allow("409")  # type: ignore[attr-defined]
    page.route(
        f"**/v1/batches/{gone}/cancel",
        lambda route: route.fulfill(status=409, json=_REFUSAL, headers=_ANY_ORIGIN),
    )
    page.get_by_role("button", name="Cancel 2 batches", exact=True).click()
    expect(page.locator("#notices")).to_contain_text("1 of 2 batches is being cancelled.")
    expect(page.locator("#notices")).to_contain_text("It is too late.")


_ANY_ORIGIN = {"access-control-allow-origin": "*"}
_REFUSAL = {
    "error": {"message": "It is too late.", "type": "x", "param": None, "code": "batch_not_cancellable"}
}


def test_a_refresh_moves_neither_focus_nor_scroll_nor_selection_nor_layout(
    shared: System, open_page: Open
) -> None:
    page = open_page("/dashboard.html")
    page.select_option("#interval", "1000")
    expect(page.locator("#jobs .job")).to_have_count(2)
    page.locator("#charts > summary").click()
    expect(page.locator(".chart canvas")).to_have_count(3)
    page.get_by_label("Select Spring").check()
    expect(page.locator("#bulk")).to_contain_text("1 selected")
    page.get_by_role("button", name="Cancel Summer").focus()
    page.evaluate(
        "scrollTo(0, 200);"
        "getSelection().selectAllChildren(document.querySelector('.job h3'));"
        "window.before = [document.activeElement, scrollY, String(getSelection())];"
    )
    polls(page)  # what was pressed has settled
    page.evaluate(
        "window.shifts = 0;"
        "new PerformanceObserver((list) => { for (const one of list.getEntries()) shifts += one.value; })"
        ".observe({ type: 'layout-shift' })"
    )
    polls(page, 3)
    after = "[document.activeElement, scrollY, String(getSelection())]"
    assert page.evaluate(f"{after}.every((one, index) => one === window.before[index])")
    assert page.evaluate("window.shifts") < 0.001
    expect(page.get_by_label("Select Spring")).to_be_checked()


@pytest.mark.parametrize("state", ["charts", "errors", "menu", "bulk", "help", "filtered"])
def test_what_opens_is_accessible_and_fits(browser: Browser, shared: System, state: str) -> None:
    remember_samples(shared, gpu=False)
    for scheme, width in (("light", 1280), ("dark", 320)):
        context = browser.new_context(
            base_url=shared.web_url,
            color_scheme=scheme,  # type: ignore[arg-type]
            viewport={"width": width, "height": 800},
            bypass_csp=True,
            reduced_motion="reduce",
        )
        page = context.new_page()
        page.goto("/dashboard.html?tab=all&q=nobody" if state == "filtered" else "/dashboard.html")
        _open(page, state)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
        found = Axe().run(page)
        assert found.violations_count == 0, f"{scheme}: {found.generate_report()}"
        context.close()


def _open(page: Page, state: str) -> None:
    match state:
        case "charts":
            page.locator("#charts > summary").click()
            page.locator(".chart .numbers summary").first.click()
            expect(page.locator(".chart").first.get_by_role("row")).to_have_count(13)
        case "errors":
            page.get_by_role("button", name="Error groups of Winter").click()
            expect(page.locator(".error-groups li")).to_have_count(1)
        case "menu":
            page.get_by_role("button", name="More for Spring").click()
            expect(page.get_by_role("button", name="Copy as curl")).to_be_visible()
        case "bulk":
            page.get_by_label("Select Spring").check()
            page.get_by_label("Select Winter").check()
            expect(page.locator("#bulk")).to_contain_text("2 selected")
        case "help":
            page.get_by_role("button", name="Keys and filter words").click()
            expect(page.get_by_role("dialog")).to_be_visible()
        case "filtered":
            expect(page.get_by_role("heading", name="No batch matches")).to_be_visible()


@pytest.mark.parametrize("width", [1121, 1200, 1280, 1600])
def test_the_table_shows_all_of_its_columns(browser: Browser, shared: System, width: int) -> None:
    with watched(browser, shared, viewport={"width": width, "height": 900}) as (context, _):
        page = context.new_page()
        page.goto("/dashboard.html?tab=all")
        expect(page.locator("#table tbody tr")).to_have_count(4)
        assert page.locator("#table table").evaluate(
            "(at) => at.getBoundingClientRect().right <= at.closest('.card').getBoundingClientRect().right"
        )


def test_a_poll_costs_little(shared: System, open_page: Open) -> None:
    page = open_page("/dashboard.html?tab=all")
    expect(page.locator("#table tbody tr")).to_have_count(4)
    client = page.context.new_cdp_session(page)
    client.send("Performance.enable")

    def script_seconds() -> float:
        metrics = client.send("Performance.getMetrics")["metrics"]
        return float(next(one["value"] for one in metrics if one["name"] == "ScriptDuration"))

    page.select_option("#interval", "0")
    page.wait_for_timeout(500)
    costs = []
    for _ in range(5):
        before = script_seconds()
        with page.expect_response("**/health"):
            page.locator("#refresh").click()
        page.wait_for_timeout(300)
        costs.append(script_seconds() - before)
    print(f"{[round(1000 * cost, 1) for cost in costs]} ms of script a poll")
    assert min(costs) < 0.05  # other processes can only add to it
