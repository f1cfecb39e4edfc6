"""Parts of a page that are fetched when first needed: what is done before they are there happens once they are, and
when they cannot be fetched the page says so and the next try fetches them again."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import hold
from tests.lines import chat_line, chat_lines, jsonl
from tests.processes.system import System

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
Open = Callable[[str], Page]
NOT_FETCHED = "cannot be fetched: the server of these pages does not answer"


def _file(folder: Path, count: int, name: str = "candidates.jsonl") -> Path:
    path = folder / name
    path.write_bytes(jsonl(chat_lines(count)))
    return path


# A new job


def test_of_two_files_chosen_before_the_check_is_there_the_later_is_checked(
    shared: System, open_page: Open, tmp_path: Path
) -> None:
    page = open_page("/submit_batch.html")
    held = hold(page, "**/input_rules.js")
    page.set_input_files("#file", _file(tmp_path, 3, "first.jsonl"))
    expect(page.locator("#check-state")).to_have_text("checking")
    page.set_input_files("#file", _file(tmp_path, 4, "second.jsonl"))
    page.get_by_role("button", name="Submit batch").click()
    expect(page.locator("#notices")).to_contain_text("still being checked")
    held.release()
    expect(page.locator("#check-state")).to_have_text("ready")
    expect(page.get_by_text("still being checked")).to_be_hidden()
    expect(page.locator("#found-facts")).to_contain_text("4 requests")
    expect(page.locator("#file-name")).to_have_text("second.jsonl")


def test_pressed_twice_before_the_sender_is_there_a_batch_is_submitted_once(
    shared: System, open_page: Open, tmp_path: Path
) -> None:
    before = shared.get("/v1/batches")["counts"]["all"]
    page = open_page("/submit_batch.html")
    held = hold(page, "**/upload.js")
    page.set_input_files("#file", _file(tmp_path, 3))
    expect(page.locator("#check-state")).to_have_text("ready")
    page.locator("#send").dblclick()
    expect(page.locator("#sending")).to_be_visible()
    held.release()
    expect(page.get_by_role("heading", name="3 requests queued")).to_be_focused()
    assert shared.get("/v1/batches")["counts"]["all"] == before + 1


def test_cancelled_before_the_sender_is_there_nothing_is_sent(
    shared: System, open_page: Open, tmp_path: Path
) -> None:
    before = shared.get("/v1/batches")["counts"]["all"]
    page = open_page("/submit_batch.html")
    held = hold(page, "**/upload.js")
    page.set_input_files("#file", _file(tmp_path, 3))
    expect(page.locator("#check-state")).to_have_text("ready")
    page.get_by_role("button", name="Submit batch").click()
    page.get_by_role("button", name="Cancel", exact=True).click()
    held.release()
    expect(page.locator("#notices")).to_contain_text("Cancelled.")
    assert shared.get("/v1/batches")["counts"]["all"] == before


def test_without_the_check_a_file_is_not_called_good_and_the_next_one_fetches_it_again(
    shared: System, open_page: Open, tmp_path: Path
) -> None:
    page = open_page("/submit_batch.html")
    page.watch.allow("ERR_FAILED")  # type: ignore[attr-defined]
    page.route("**/input_rules.js", lambda route: route.abort())
    page.set_input_files("#file", _file(tmp_path, 3))
    expect(page.locator("#problems-text")).to_contain_text(NOT_FETCHED)
    page.get_by_role("button", name="Submit batch").click()
    expect(page.locator("#notices")).to_contain_text("still being checked")
    page.unroute("**/input_rules.js")
    page.set_input_files("#file", _file(tmp_path, 3))
    expect(page.locator("#check-state")).to_have_text("ready")


def test_without_the_sender_the_page_says_so_and_the_next_press_fetches_it_again(
    shared: System, open_page: Open, tmp_path: Path
) -> None:
    page = open_page("/submit_batch.html")
    page.watch.allow("ERR_FAILED")  # type: ignore[attr-defined]
    page.route("**/upload.js", lambda route: route.abort())
    page.set_input_files("#file", _file(tmp_path, 3))
    expect(page.locator("#check-state")).to_have_text("ready")
    page.get_by_role("button", name="Submit batch").click()
    expect(page.locator("#notices")).to_contain_text(NOT_FETCHED)
    page.unroute("**/upload.js")
    page.get_by_role("button", name="Submit batch").click()
    expect(page.get_by_role("heading", name="3 requests queued")).to_be_focused()


def test_whoever_reaches_for_a_file_has_the_check_fetched_meanwhile(shared: System, open_page: Open) -> None:
    page = open_page("/submit_batch.html")
    expect(page.locator("#content")).not_to_have_class("loading")
    with page.expect_response("**/input_rules.js"):
        page.locator("#drop").hover()


@pytest.fixture(scope="module")
def answered(shared: System) -> list[str]:
    """Two batches that answered the same three requests in other words, and failed one."""
    found = []
    for words in ("a calm voice", "a loud voice"):
        lines = [chat_line(f"c-{n}", f"number {n}, {words}") for n in range(3)]
        found.append(shared.submit(jsonl([*lines, chat_line("fails", "[[fail 400]]")])))
    for batch_id in found:
        shared.wait_for_end(batch_id)
    return found


# One batch


def test_of_two_rows_pressed_before_the_drawer_is_there_the_later_opens(
    shared: System, open_page: Open, answered: list[str]
) -> None:
    page = open_page("/index.html")
    held = hold(page, "**/row_view.js")
    page.goto(f"/index.html?batch={answered[0]}")
    page.get_by_role("link", name="c-0").click()
    page.get_by_role("link", name="c-2").click()
    held.release()
    expect(page.get_by_role("dialog")).to_contain_text("number 2, a calm voice")
    expect(page.get_by_role("dialog")).to_have_count(1)


def test_without_the_drawer_the_page_says_so_and_the_next_press_fetches_it_again(
    shared: System, open_page: Open, answered: list[str]
) -> None:
    page = open_page(f"/index.html?batch={answered[0]}")
    page.watch.allow("ERR_FAILED")  # type: ignore[attr-defined]
    page.route("**/row_view.js", lambda route: route.abort())
    page.get_by_role("link", name="c-0").click()
    expect(page.locator("#notices")).to_contain_text(NOT_FETCHED)
    page.unroute("**/row_view.js")
    page.get_by_role("link", name="c-0").click()
    expect(page.get_by_role("dialog")).to_contain_text("number 0")


def test_without_its_question_a_retry_says_so_and_the_next_press_asks(
    shared: System, open_page: Open, answered: list[str]
) -> None:
    page = open_page(f"/index.html?batch={answered[0]}")
    page.watch.allow("ERR_FAILED")  # type: ignore[attr-defined]
    page.route("**/confirm.js", lambda route: route.abort())
    page.get_by_role("button", name="Retry").click()
    expect(page.locator("#notices")).to_contain_text(NOT_FETCHED)
    page.unroute("**/confirm.js")
    page.get_by_role("button", name="Retry").click()
    expect(page.get_by_role("dialog")).to_contain_text("Retry 1 request")


# A comparison


def _compared(ids: list[str]) -> str:
    return f"/compare_results.html?batch={ids[0]}&batch={ids[1]}"


def test_a_row_closed_before_what_it_has_besides_is_there_stays_closed(
    shared: System, open_page: Open, answered: list[str]
) -> None:
    page = open_page("/compare_results.html")
    held = hold(page, "**/compare/opened_row.js")
    page.goto(_compared(answered))
    first, second = (page.get_by_role("button", name=name) for name in ("c-0", "c-1"))
    first.click()
    expect(page.locator("tbody.open")).to_contain_text("Reading")
    second.click()
    held.release()
    expect(page.locator("tbody.open")).to_contain_text("tokens in")
    expect(page.locator("tbody.open")).to_have_count(1)
    expect(first).to_have_attribute("aria-expanded", "false")


def test_without_what_an_open_row_has_besides_it_says_so_and_opened_again_has_it(
    shared: System, open_page: Open, answered: list[str]
) -> None:
    page = open_page(_compared(answered))
    page.watch.allow("ERR_FAILED")  # type: ignore[attr-defined]
    page.route("**/compare/opened_row.js", lambda route: route.abort())
    row = page.get_by_role("button", name="c-0")
    row.click()
    expect(page.locator("tbody.open")).to_contain_text(NOT_FETCHED)
    page.unroute("**/compare/opened_row.js")
    row.click()
    expect(page.locator("tbody.open")).to_have_count(0)
    row.click()
    expect(page.locator("tbody.open")).to_contain_text("tokens in")


def test_without_what_finds_differences_the_texts_are_shown_and_later_ones_marked(
    shared: System, open_page: Open, answered: list[str]
) -> None:
    page = open_page("/compare_results.html")
    page.watch.allow("ERR_FAILED")  # type: ignore[attr-defined]
    page.route("**/compare/word_diffs.js", lambda route: route.abort())
    with page.expect_event("requestfailed"):
        page.goto(_compared(answered))
    expect(page.locator("#table tbody").first).to_contain_text("a calm voice")
    expect(page.locator("#table ins")).to_have_count(0)
    page.unroute("**/compare/word_diffs.js")
    page.get_by_role("tab", name="All").click()
    expect(page.locator("#table ins").first).to_have_text("loud")


def test_the_first_press_copies_the_link_already(
    shared: System, open_page: Open, answered: list[str]
) -> None:
    page = open_page(_compared(answered))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    button = page.get_by_role("button", name="Copy link")
    button.click()
    expect(page.get_by_role("button", name="Copied")).to_be_focused()
    assert page.evaluate("navigator.clipboard.readText()") == page.url
