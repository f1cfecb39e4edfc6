"""Parts of a page that are fetched when first needed: what is done before they are there happens once they are, and
when they cannot be fetched the page says so and the next try fetches them again."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import hold
from tests.lines import chat_lines, jsonl
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
