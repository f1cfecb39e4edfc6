"""What answers late, is overtaken, or is pressed twice never makes a page show or do something that was not asked for.

Answers are held back until the test lets them go: the order is forced, whatever the machine's speed.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Held, after_drawing, hold
from tests.lines import chat_line, chat_lines, jsonl
from tests.processes.forked import ForkedSystem, Nursery
from tests.processes.system import System

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
Open = Callable[[str], Page]


@pytest.fixture(scope="module")
def shared(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Two batches that ended, and two that wait for ever: the worker is gone."""
    system = ForkedSystem(tmp_path_factory.mktemp("order") / "data", {"GRACE_SECONDS": "0"}, nursery=nursery)
    system.start_all()
    answers = [
        chat_line(f"c-{i:03d}", json.dumps({"score": i * 37 % 101, "verdict": "hold"})) for i in range(130)
    ]
    failing = [chat_line("refused", "[[fail 400]]")]
    for name in ("Winter", "Autumn"):
        found = system.submit(jsonl(answers + failing), metadata=json.dumps({"name": name}))
        system.wait_for_end(found)
        system.done = [*getattr(system, "done", []), found]  # type: ignore[attr-defined]
    system.stop(system.processes[1])
    for name in ("First", "Second"):
        system.submit(jsonl(chat_lines(5)), metadata=json.dumps({"name": name}))
    yield system
    system.stop_all()


@pytest.fixture
def done(shared: System) -> str:
    return str(shared.done[0])  # type: ignore[attr-defined]


def _asked(page: Page, held: Held, count: int) -> None:
    """Waits until so many requests are held; the page's clock goes on meanwhile."""
    for _ in range(300):
        if len(held.routes) >= count:
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"{len(held.routes)} requests instead of {count}")


# The dashboard


def test_a_tab_shows_nothing_of_the_one_before(shared: System, open_page: Open) -> None:
    page = open_page("/dashboard.html")
    expect(page.locator("#recent tbody tr")).to_have_count(2)
    held = hold(page, re.compile(r"/v1/batches\?status=failed&"))
    page.get_by_role("tab", name="Failed").click()
    page.get_by_label("Select Winter").click()  # draws what is there again
    expect(page.locator("#panel")).to_have_class("loading")
    expect(page.locator("#table tbody tr")).to_have_count(0)
    expect(page.get_by_role("heading", name="No batch has failed")).to_be_hidden()
    held.release()
    expect(page.get_by_role("heading", name="No batch has failed")).to_be_visible()


def test_the_rows_of_an_older_filter_are_not_those_of_the_new_one(shared: System, open_page: Open) -> None:
    page = open_page("/dashboard.html?tab=completed")
    expect(page.locator("#table tbody tr")).to_have_count(2)
    held = hold(page, re.compile(r"/v1/batches\?status=expired"))
    page.fill("#filter", "status:expired")
    _asked(page, held, 1)
    expect(page.get_by_role("heading", name="No batch matches")).to_be_hidden()
    held.release()
    expect(page.get_by_role("heading", name="No batch matches")).to_be_visible()


def test_the_way_back_fills_the_filter_though_it_has_the_focus(shared: System, open_page: Open) -> None:
    page = open_page("/dashboard.html?tab=all&q=winter")
    expect(page.locator("#table tbody tr")).to_have_count(1)
    page.get_by_role("tab", name="Completed").click()
    page.fill("#filter", "autumn")
    expect(page).to_have_url(re.compile("q=autumn"))
    page.go_back()
    expect(page.locator("#filter")).to_have_value("winter")


def test_two_clicks_ask_one_question(shared: System, open_page: Open) -> None:
    page = open_page("/dashboard.html")
    held = hold(page, "**/batch_actions.js")
    page.get_by_role("button", name="Cancel First").click()
    page.get_by_role("button", name="Cancel First").click()
    _asked(page, held, 1)
    held.release()
    expect(page.locator("dialog")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)
    assert shared.get("/v1/batches?status=active")["counts"]["active"] == 2


def test_a_retry_under_way_is_not_asked_for_again(shared: System, open_page: Open) -> None:
    page = open_page("/dashboard.html?tab=completed")
    held: list[Route] = []
    page.route("**/retry", lambda route: held.append(route))  # noqa: PLW0108  # Playwright asks the function for its parameters
    retry = page.locator("#table").get_by_role("button", name="Retry Winter")
    retry.click()
    with page.expect_request("**/retry"):
        page.get_by_role("button", name="Retry 1", exact=True).click()
    retry.click()
    after_drawing(page)
    expect(page.locator("dialog")).to_have_count(0)
    page.watch.allow("ERR_FAILED")  # type: ignore[attr-defined]
    held[0].abort()
    expect(page.locator("#notices")).to_contain_text("does not answer")
    retry.click()
    expect(page.locator("dialog")).to_have_count(1)


def test_a_new_order_takes_the_focus_along(shared: System, open_page: Open) -> None:
    page = open_page("/dashboard.html")
    page.select_option("#interval", "1000")
    names = page.locator("#jobs h3")
    expect(names).to_have_text(["First", "Second"])
    page.get_by_role("button", name="Cancel Second").focus()
    page.evaluate("window.focused = document.activeElement")

    def the_other_way_round(route: Route) -> None:
        answer = route.fetch()
        found = answer.json()
        for batch in found["data"]:
            batch["progress"]["queue_position"] = 3 - batch["progress"]["queue_position"]
        route.fulfill(response=answer, json=found)

    page.route("**/v1/batches?status=active&*", the_other_way_round)
    expect(names).to_have_text(["Second", "First"])
    assert page.evaluate("document.activeElement === window.focused")


def test_what_is_wrong_stays_selected_through_a_refresh(shared: System, open_page: Open) -> None:
    page = open_page("/dashboard.html")
    code = page.locator("#problems code").first
    expect(code).to_have_text("make worker")
    node = code.element_handle()
    for _ in range(2):
        with page.expect_response("**/health"):
            page.locator("#refresh").click()
        after_drawing(page)
    assert node.evaluate("(node) => node.isConnected")


def test_errors_read_before_newer_numbers_do_not_replace_them(shared: System, open_page: Open) -> None:
    page = open_page("/dashboard.html?tab=completed")
    page.select_option("#interval", "0")
    held = hold(page, "**/errors")
    page.get_by_role("button", name="Error groups of Winter").click()
    _asked(page, held, 1)

    def more(route: Route) -> None:
        answer = route.fetch()
        found = answer.json()
        for batch in found["data"]:
            batch["request_counts"]["failed"] += 4
        route.fulfill(response=answer, json=found)

    page.route("**/v1/batches?*", more)
    page.route("**/errors", _five_errors)
    page.locator("#refresh").click()
    count = page.locator(".errors-row li b").first
    expect(count).to_have_text("5")
    with page.expect_response(re.compile("/errors$")):
        held.release()
    after_drawing(page)
    expect(count).to_have_text("5")


def _five_errors(route: Route) -> None:
    answer = route.fetch()
    found = answer.json()
    found["data"][0]["count"] = found["total"] = 5
    route.fulfill(response=answer, json=found)


def test_older_pressed_twice_is_one_step_for_the_way_back(shared: System, open_page: Open) -> None:
    page = open_page("/dashboard.html?tab=all")
    first = shared.get("/v1/batches?limit=2")

    def two_at_a_time(route: Route) -> None:
        route.fulfill(response=route.fetch(url=route.request.url.replace("limit=20", "limit=2")))

    page.route("**/v1/batches?limit=20*", two_at_a_time)
    page.locator("#refresh").click()
    rows = page.locator("#table tbody tr")
    expect(rows).to_have_count(2)
    held = hold(page, "**/v1/batches?limit=20&after=*")
    steps = page.evaluate("history.length")
    page.locator("#older").dblclick()
    _asked(page, held, 1)
    assert page.evaluate("history.length") == steps + 1
    expect(page).to_have_url(re.compile(f"after={first['last_id']}"))


# One batch


def test_a_heading_pressed_twice_before_the_rows_came(shared: System, open_page: Open, done: str) -> None:
    page = open_page(f"/index.html?batch={done}")
    expect(page.locator("#requests tbody tr")).to_have_count(50)
    held = hold(page, "**/answers?**sort=**")
    head = page.get_by_role("button", name="Tokens out")
    head.click()
    head.click()
    expect(page).to_have_url(re.compile("sort=output_tokens"))
    held.release()
    expect(page.get_by_role("columnheader", name="Tokens out")).to_have_attribute("aria-sort", "ascending")


def test_next_pressed_again_ends_at_the_last_page(shared: System, open_page: Open, done: str) -> None:
    page = open_page(f"/index.html?batch={done}")
    expect(page.locator("#range")).to_contain_text("50 of 131")
    held = hold(page, "**/answers?**")
    for _ in range(4):
        page.get_by_role("button", name="Next").click()
    expect(page).to_have_url(re.compile("offset=100"))
    held.release()
    expect(page.locator("#range")).to_contain_text("131 of 131")


def test_what_was_typed_counts_before_what_is_pressed_next(
    shared: System, open_page: Open, done: str
) -> None:
    page = open_page(f"/index.html?batch={done}")
    failed = page.get_by_role("list", name="Status").get_by_role("button", name="failed")
    expect(failed).to_contain_text("1")
    page.clock.install()  # so that the pause after typing does not end by itself
    page.get_by_label("custom_id begins with").fill("ref")
    failed.click()
    expect(page).to_have_url(re.compile("status=failed&custom_id=ref"))
    page.clock.resume()
    expect(page.locator("#requests tbody tr")).to_have_count(1)
    expect(page.get_by_label("custom_id begins with")).to_have_value("ref")


def test_the_export_is_what_is_filtered_by_now(shared: System, open_page: Open, done: str) -> None:
    page = open_page(f"/index.html?batch={done}")
    expect(page.locator("#range")).to_contain_text("50 of 131")
    held = hold(page, "**/answers?**")
    page.locator("#request-status").select_option("failed")
    _asked(page, held, 1)
    expect(page.locator("#export-csv")).to_have_attribute("href", re.compile("status=failed"))


def test_a_row_that_was_left_is_not_shown_when_it_comes(shared: System, open_page: Open, done: str) -> None:
    page = open_page(f"/index.html?batch={done}&line=1")
    heading = page.get_by_role("dialog").get_by_role("heading", level=2)
    expect(heading).to_have_text("c-000")
    expect(page.get_by_role("button", name="Next row")).to_be_enabled()
    held = hold(page, "**/answers/2")
    page.keyboard.press("j")
    _asked(page, held, 1)
    with page.expect_event("requestfailed", lambda request: request.url.endswith("/answers/2")):
        page.keyboard.press("k")
    held.release()
    expect(page).to_have_url(re.compile("line=1$"))
    expect(heading).to_have_text("c-000")
    expect(page.locator(".drawer-body")).not_to_have_attribute("aria-busy", "true")


def test_a_row_that_could_not_be_read_is_said_once_and_shown_when_it_can(
    shared: System, open_page: Open, done: str
) -> None:
    page = open_page("/index.html")
    page.watch.allow("ERR_FAILED")  # type: ignore[attr-defined]
    page.route("**/answers/7", lambda route: route.abort())
    page.goto(f"/index.html?batch={done}&line=7")
    alert = page.get_by_role("dialog").get_by_role("alert")
    expect(alert).to_contain_text("does not answer")
    node = alert.element_handle()
    for _ in range(2):  # it is asked for again
        with page.expect_event("requestfailed"):
            page.evaluate("void document.dispatchEvent(new Event('visibilitychange'))")
    after_drawing(page)
    assert node.evaluate("(node) => node.isConnected")
    page.unroute("**/answers/7")
    expect(page.get_by_role("dialog").get_by_role("heading", level=2)).to_have_text("c-006")
    expect(alert).to_have_count(0)


def test_a_page_that_the_drawer_could_not_turn_is_turned_when_the_api_answers_again(
    shared: System, open_page: Open, done: str
) -> None:
    page = open_page(f"/index.html?batch={done}&line=50")
    page.watch.allow("ERR_FAILED")  # type: ignore[attr-defined]
    heading = page.get_by_role("dialog").get_by_role("heading", level=2)
    expect(heading).to_have_text("c-049")
    expect(page.locator("#range")).to_contain_text("50 of 131")
    page.route(_ROWS, lambda route: route.abort())
    page.keyboard.press("j")
    expect(page.locator("#notices .bad")).to_contain_text("does not answer")
    page.keyboard.press("j")  # the step under way, not one more
    page.unroute(_ROWS)
    expect(heading).to_have_text("c-050")
    expect(page.locator("#range")).to_contain_text("100 of 131")


def test_a_row_opened_while_the_page_turns_stays_open(shared: System, open_page: Open, done: str) -> None:
    page = open_page(f"/index.html?batch={done}&line=50")
    heading = page.get_by_role("dialog").get_by_role("heading", level=2)
    expect(heading).to_have_text("c-049")
    expect(page.locator("#range")).to_contain_text("50 of 131")
    held = hold(page, _ROWS)
    page.keyboard.press("j")
    _asked(page, held, 1)
    page.keyboard.press("k")
    expect(heading).to_have_text("c-048")
    held.release()
    expect(page.locator("#range")).to_contain_text("100 of 131")
    expect(page).to_have_url(re.compile("line=49$"))
    expect(heading).to_have_text("c-048")


_ROWS = re.compile(r"/answers\?")


def test_neighbours_that_come_after_the_list_can_be_stepped_to(
    shared: System, open_page: Open, done: str
) -> None:
    page = open_page("/index.html")
    held = hold(page, "**/answers/7")
    page.goto(f"/index.html?batch={done}&status=failed&line=7")
    expect(page.locator("#requests tbody tr")).to_have_count(1)
    expect(page.get_by_role("button", name="Next row")).to_be_disabled()
    held.release()
    page.get_by_role("button", name="Next row").click()
    expect(page.get_by_role("dialog").get_by_role("heading", level=2)).to_have_text("c-007")


def test_an_answer_shown_as_text_stays_text_when_its_markdown_is_ready(
    shared: System, open_page: Open, done: str
) -> None:
    page = open_page("/index.html")
    held = hold(page, "**/marked.esm.js")
    page.goto(f"/index.html?batch={done}&line=1")
    page.get_by_role("button", name="Markdown").click()
    _asked(page, held, 1)
    page.get_by_role("button", name="Text", exact=True).click()
    with page.expect_event("requestfinished", lambda request: request.url.endswith("marked.esm.js")):
        held.release()
    assert page.evaluate(f"import('{held.routes[0].request.url}').then(() => true)")
    after_drawing(page)
    expect(page.locator(".markdown")).to_have_count(0)
    expect(page.get_by_role("region", name="Answer", exact=True)).to_contain_text('"score": 0')


def test_errors_read_before_the_batch_ended_are_not_the_last_word(
    shared: System, open_page: Open, done: str
) -> None:
    page = open_page("/index.html")
    _until_the_batch_is_read(page, re.compile("/errors$"), {"data": [], "total": 0})
    page.goto(f"/index.html?batch={done}")
    _end(page)
    expect(page.locator("#error-groups")).to_contain_text("The text asked for a 400.")


def _until_the_batch_is_read(page: Page, pattern: re.Pattern[str], early: object) -> None:
    """The batch is held until `_end`; who asks for more meanwhile gets what there was before it ended."""
    page.held = held = hold(page, re.compile(r"/v1/batches/batch_\w+$"))  # type: ignore[attr-defined]

    def too_early(route: Route) -> None:
        if held.is_over:
            route.continue_()
        else:
            route.fulfill(json=early, headers=_ANY_ORIGIN)

    page.route(pattern, too_early)


def _end(page: Page) -> None:
    _asked(page, page.held, 1)  # type: ignore[attr-defined]
    page.wait_for_timeout(300)  # what is asked beside it is asked by now
    page.held.release()  # type: ignore[attr-defined]


# The table


def test_fields_read_before_the_batch_ended_are_not_the_last_word(
    shared: System, open_page: Open, done: str
) -> None:
    page = open_page("/index.html")
    _until_the_batch_is_read(page, re.compile("/fields$"), {"data": [], "indexed": 0, "complete": True})
    page.goto(f"/table_view.html?batch={done}")
    _end(page)
    expect(page.locator("#rows")).to_contain_text("c-000")
    expect(page.locator("#head")).to_contain_text("verdict")


def _table(open_page: Open, batch_id: str) -> Page:
    page = open_page(f"/table_view.html?batch={batch_id}&column=score&row=80")
    expect(page.locator("#rows")).to_contain_text("c-079")
    return page


def _is_scrolled(page: Page) -> bool:
    return bool(page.locator("#scroll").evaluate("(at) => at.scrollTop > 1000"))


def test_another_column_leaves_one_at_the_row_where_one_is(
    shared: System, open_page: Open, done: str
) -> None:
    page = _table(open_page, done)
    page.get_by_role("button", name="Columns").click()
    page.get_by_role("dialog", name="Columns").get_by_label("verdict").check()
    page.keyboard.press("Escape")
    expect(page.locator("#rows")).to_contain_text("hold")
    expect(page.locator("#rows")).to_contain_text("c-079")
    assert _is_scrolled(page)


def test_a_refresh_while_a_new_order_is_read_leads_to_its_beginning(
    shared: System, open_page: Open, done: str
) -> None:
    page = open_page("/table_view.html")

    def incomplete(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "complete": False})

    page.route("**/answers?*sort=line*", incomplete)  # so that the table is read again and again
    page.goto(f"/table_view.html?batch={done}&row=80")
    expect(page.locator("#rows")).to_contain_text("c-079")
    held = hold(page, "**/answers?*sort=score*")
    page.get_by_role("button", name="score", exact=True).click()
    _asked(page, held, 2)
    held.release()
    expect(page.locator("#rows tr").first).to_contain_text("c-000")
    assert not _is_scrolled(page)


def test_a_row_found_late_is_not_gone_to_in_another_list(shared: System, open_page: Open, done: str) -> None:
    page = _table(open_page, done)
    held = hold(page, "**/answers?*find=c-12*")
    page.get_by_label("What to go to").select_option("custom_id")
    page.get_by_label("Go to", exact=True).fill("c-12")
    page.keyboard.press("Enter")
    _asked(page, held, 1)
    page.get_by_role("combobox", name="Status").select_option("completed")
    expect(page.locator("#count")).to_have_text("130 of 131 answers")
    with page.expect_event("requestfinished"):
        held.release()
    after_drawing(page)
    expect(page.locator("#rows .found")).to_have_count(0)
    expect(page.locator("#rows tr").first).to_contain_text("c-000")


# The comparison


def test_while_more_is_indexed_rows_that_stay_are_not_made_anew(shared: System, open_page: Open) -> None:
    page = open_page("/compare_results.html")
    seen: list[str] = []

    def incomplete(route: Route) -> None:
        answer = route.fetch()
        seen.append(route.request.url)
        route.fulfill(response=answer, json={**answer.json(), "complete": False})

    page.route("**/v1/compare?*", incomplete)
    batches = "&".join(f"batch={one}" for one in shared.done)  # type: ignore[attr-defined]
    page.goto(f"/compare_results.html?{batches}&only=all")
    row = page.locator("#table tbody").first
    expect(row).to_contain_text("c-000")
    node = row.element_handle()
    before = len(seen)
    for _ in range(300):
        if len(seen) > before + 4:
            break
        page.wait_for_timeout(100)
    assert len(seen) > before + 4
    assert node.evaluate("(node) => node.isConnected")


# A new job


def _file(folder: Path, count: int, name: str = "candidates.jsonl") -> Path:
    path = folder / name
    path.write_bytes(jsonl(chat_lines(count)))
    return path


def test_a_late_list_of_models_does_not_make_a_second_submission_of_the_first(
    shared: System, open_page: Open, tmp_path: Path
) -> None:
    page = open_page("/submit_batch.html")
    page.watch.allow("ERR_FAILED")  # type: ignore[attr-defined]
    held = hold(page, "**/v1/models")
    keys: list[str] = []

    def lose(route: Route) -> None:
        if route.request.method != "POST":
            route.continue_()
            return
        keys.append(route.request.headers["idempotency-key"])
        route.abort()

    page.route("**/v1/batches", lose)
    page.reload()
    page.set_input_files("#file", _file(tmp_path, 3))
    expect(page.locator("#check-state")).to_have_text("ready")
    page.select_option("#model", "")
    page.locator("#other-model").fill("smollm2")
    page.get_by_role("button", name="Submit batch").click()
    expect(page.locator("#notices")).to_contain_text("counts once")
    held.release()
    expect(page.locator("#model option")).not_to_have_count(1)
    with page.expect_event("requestfailed"):
        page.get_by_role("button", name="Submit batch").click()
    page.locator("#other-model").fill("another")
    with page.expect_event("requestfailed"):
        page.get_by_role("button", name="Submit batch").click()
    assert keys[0] == keys[1] != keys[2]


def test_a_copy_that_comes_late_leaves_the_chosen_file(
    shared: System, open_page: Open, tmp_path: Path, done: str
) -> None:
    page = open_page("/submit_batch.html")
    held = hold(page, "**/content")
    page.goto(f"/submit_batch.html?clone={done}")
    _asked(page, held, 1)
    page.set_input_files("#file", _file(tmp_path, 3, "mine.jsonl"))
    expect(page.locator("#check-state")).to_have_text("ready")
    held.release()
    expect(page.locator("#name")).to_have_value("Winter")
    expect(page.locator("#content")).not_to_have_class("loading")
    expect(page.locator("#file-name")).to_have_text("mine.jsonl")


def test_one_more_batch_begins_with_an_empty_form(shared: System, open_page: Open, tmp_path: Path) -> None:
    page = open_page("/submit_batch.html")
    expect(page.locator("#content")).not_to_have_class("loading")
    usual = page.locator("#model").input_value()
    page.set_input_files("#file", _file(tmp_path, 3))
    expect(page.locator("#check-state")).to_have_text("ready")
    page.select_option("#model", "")
    page.locator("#other-model").fill("some/other")
    receipt = {"batch_id": "batch_1", "model": "some/other", "total_requests": 3, "status": "pending"}
    page.route("**/v1/batches", lambda route: route.fulfill(json=receipt, headers=_ANY_ORIGIN))
    page.get_by_role("button", name="Submit batch").click()
    expect(page.locator("#receipt")).to_be_visible()
    page.locator("#again").click()
    expect(page.locator("#model")).to_have_value(usual)
    expect(page.locator("#other-field")).to_be_hidden()


def test_answers_of_a_trial_read_before_it_ended_are_not_the_last_word(
    shared: System, open_page: Open, tmp_path: Path, done: str
) -> None:
    page = open_page("/submit_batch.html")
    page.set_input_files("#file", _file(tmp_path, 9))
    expect(page.locator("#check-state")).to_have_text("ready")
    receipt = {"batch_id": done, "model": "smollm2", "total_requests": 5, "status": "pending"}
    page.route("**/v1/batches", lambda route: route.fulfill(json=receipt, headers=_ANY_ORIGIN))
    nothing = {"data": [], "total": 0, "offset": 0, "found": None, "indexed": 0, "complete": True}
    _until_the_batch_is_read(page, _ROWS, nothing)
    page.get_by_role("button", name="Try the first 5").click()
    _end(page)
    expect(page.locator("#trial-answers li")).to_have_count(5)
    expect(page.locator("#trial-said")).to_be_hidden()


_ANY_ORIGIN = {"access-control-allow-origin": "*", "access-control-allow-headers": "*"}
