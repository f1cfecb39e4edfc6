"""The dashboard shows what is, says what is missing, and never shows old numbers as new."""

import json
import re
from collections.abc import Callable

import pytest
import requests
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Held
from tests.browser.hostile import HOSTILE
from tests.lines import chat_line, chat_lines, jsonl
from tests.processes.system import System

pytestmark = pytest.mark.browser
Open = Callable[[str], Page]
_API = re.compile(r"/(health|v1/)")


def test_an_empty_machine_says_what_to_do(system: System, open_page: Open) -> None:
    system.start_api()
    system.start_web()
    page = open_page("/dashboard.html")
    expect(page.locator("#worker")).to_contain_text("No worker")
    expect(page.locator("#worker code")).to_have_text("make worker")
    expect(page.locator("#gpu .state")).to_have_text("not present")
    expect(page.get_by_role("heading", name="No batches yet")).to_be_visible()
    page.get_by_role("link", name="Submit a batch").click()
    expect(page).to_have_url(f"{system.web_url}/submit_batch.html")


def test_a_silent_api_shows_within_two_polls_and_its_return_too(full_system: System, open_page: Open) -> None:
    page = open_page("/dashboard.html")
    page.watch.allow("ERR_CONNECTION_REFUSED|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET")  # type: ignore[attr-defined]
    page.select_option("#interval", "1000")
    expect(page.locator("#worker .state")).to_have_text("idle")
    failed: list[str] = []
    page.on("requestfailed", lambda request: failed.append(request.url) if "health" in request.url else None)
    held = Held()  # whatever is asked after two polls
    page.route(_API, lambda route: held.take(route) if len(failed) >= 2 else route.continue_())
    full_system.kill(full_system.processes[0])
    banner = page.locator("#notices .bad")
    expect(banner).to_contain_text("does not answer")
    expect(banner).to_contain_text("old")
    expect(page.locator("#content")).to_have_class("stale")
    full_system.start_api()
    banner.get_by_role("button", name="Try now").click()
    held.release()
    expect(banner).to_be_hidden()
    expect(page.locator("#content")).not_to_have_class("stale")


def test_a_running_batch_is_shown_and_cancelled_after_a_question(system: System, open_page: Open) -> None:
    system.settings |= {"ECHO_LATENCY_MS": "60000", "GRACE_SECONDS": "0"}
    system.start_all()
    batch_id = system.submit(jsonl(chat_lines(50)), metadata=json.dumps({"name": "Spring intake"}))
    page = open_page("/dashboard.html")
    page.select_option("#interval", "1000")
    job = page.locator("#jobs .job")
    expect(job).to_contain_text("Spring intake")
    expect(job.locator(".state")).to_have_text("running")
    expect(job.locator("progress")).to_have_attribute("max", "50")
    expect(job).to_contain_text("chunk 1 of 1")
    cancel = job.get_by_role("button", name="Cancel Spring intake")
    cancel.click()
    expect(page.get_by_role("dialog")).to_contain_text("50 requests will not run")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert system.batch(batch_id)["status"] == "in_progress"
    cancel.click()
    page.get_by_role("button", name="Cancel batch").click()
    expect(page.locator("#notices")).to_contain_text("is being cancelled")
    expect(page.locator("#recent .state")).to_have_text("cancelled")


def test_the_question_before_a_cancel_counts_what_is_there_now(system: System, open_page: Open) -> None:
    system.start_api()
    system.start_web()
    batch_id = system.submit(jsonl(chat_lines(50)), metadata=json.dumps({"name": "Spring intake"}))
    page = open_page("/dashboard.html")
    page.select_option("#interval", "0")
    cancel = page.get_by_role("button", name="Cancel Spring intake")
    expect(cancel).to_be_visible()

    def half_failed(route: Route) -> None:
        answer = route.fetch()
        counts = {"total": 50, "completed": 0, "failed": 40}
        route.fulfill(response=answer, json={**answer.json(), "request_counts": counts})

    page.route(f"**/v1/batches/{batch_id}", half_failed)  # as it went on since the page read it
    cancel.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("10 requests will not run. Nothing has been answered yet.")
    dialog.get_by_role("button", name="Keep it running").click()
    page.unroute(f"**/v1/batches/{batch_id}")
    requests.post(f"{system.url}/v1/batches/{batch_id}/cancel", timeout=30).raise_for_status()
    cancel.click()
    expect(page.locator("#notices")).to_contain_text("“Spring intake” cannot be cancelled any more.")
    expect(page.locator("#jobs .state")).to_have_text("cancelling")
    expect(dialog).to_have_count(0)


def test_focus_selection_and_elements_survive_a_refresh(system: System, open_page: Open) -> None:
    system.settings |= {"ECHO_LATENCY_MS": "60000", "GRACE_SECONDS": "0"}
    system.start_all()
    system.submit(jsonl(chat_lines(5)), metadata=json.dumps({"name": "First"}))
    page = open_page("/dashboard.html")
    page.select_option("#interval", "1000")
    cancel = page.get_by_role("button", name="Cancel First")
    expect(page.locator("#jobs .state")).to_have_text("running")
    cancel.focus()
    page.evaluate("window.before = document.activeElement")
    system.submit(jsonl(chat_lines(5)), metadata=json.dumps({"name": "Second"}))
    expect(page.locator("#jobs .job")).to_have_count(2)
    assert page.evaluate("window.before === document.activeElement && window.before.isConnected")


def test_tabs_are_kept_in_the_address_and_moved_with_arrows(shared: System, open_page: Open) -> None:
    shared.wait_for_end(shared.submit(jsonl(chat_lines(2)), metadata=json.dumps({"name": "Done"})))
    page = open_page("/dashboard.html?tab=completed")
    expect(page.get_by_role("tab", selected=True)).to_contain_text("Completed")
    expect(page.locator("#table tbody tr").first).to_contain_text("Done")
    page.get_by_role("tab", selected=True).press("ArrowRight")
    expect(page).to_have_url(f"{shared.web_url}/dashboard.html?tab=failed")
    expect(page.get_by_role("tab", name="Failed")).to_be_focused()
    expect(page.get_by_role("heading", name="No batch has failed")).to_be_visible()
    page.go_back()
    expect(page.locator("#table tbody tr").first).to_contain_text("Done")


def test_older_batches_are_a_page_away(shared: System, open_page: Open) -> None:
    for i in range(21):
        name = json.dumps({"name": f"Number {i}"})
        shared.wait_for_end(shared.submit(jsonl([chat_line("only")]), metadata=name))
    page = open_page("/dashboard.html?tab=completed")
    expect(page.locator("#table tbody tr")).to_have_count(20)
    expect(page.locator("#table")).not_to_contain_text("Number 0")
    page.get_by_role("button", name="Older").click()
    expect(page.locator("#table tbody tr").first).to_contain_text("Number 0")
    page.get_by_role("button", name="Newest").click()
    expect(page.locator("#table tbody tr")).to_have_count(20)


def test_failed_requests_are_retried_as_a_new_batch(shared: System, open_page: Open) -> None:
    lines = [chat_line("good"), chat_line("bad", "[[fail 400]]"), chat_line("worse", "[[fail 422]]")]
    shared.wait_for_end(shared.submit(jsonl(lines), metadata=json.dumps({"name": "Mixed"})))
    page = open_page("/dashboard.html?tab=completed")
    row = page.locator("#table tbody tr", has_text="Mixed")
    with page.expect_download() as download:
        row.get_by_role("link", name="Errors of Mixed").click()
    assert len(download.value.path().read_text().splitlines()) == 2
    row.get_by_role("button", name="Retry").click()
    expect(page.get_by_role("dialog")).to_contain_text("Retry 2 requests of “Mixed”?")
    page.get_by_role("button", name="Retry 2", exact=True).click()
    expect(page.locator("#notices")).to_contain_text("2 requests queued again as batch_")
    page.locator("#notices a").click()
    expect(page.locator("#details")).to_contain_text("retries")


def test_a_batch_that_was_retried_links_to_its_retry_and_says_so_before_another(
    shared: System, open_page: Open
) -> None:
    lines = [chat_line("good"), chat_line("bad", "[[fail 400]]")]
    parent = shared.submit(jsonl(lines), metadata=json.dumps({"name": "Once"}))
    shared.wait_for_end(parent)
    page = open_page(f"/index.html?batch={parent}")
    expect(page.locator("#batch-state")).to_have_text("completed")
    elsewhere = requests.post(f"{shared.url}/v1/batches/{parent}/retry", timeout=30)  # meanwhile
    child = elsewhere.json()["batch_id"]
    page.get_by_role("button", name="Retry").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"Already retried as {child}: this runs them again.")
    dialog.get_by_role("button", name="Retry 1", exact=True).click()
    expect(page.locator("#notices")).to_contain_text("1 request queued again as batch_")
    again = page.locator("#notices a").inner_text()
    retried = page.locator("#details div", has_text="retried as")
    expect(retried.get_by_role("link")).to_have_text([child, again])
    retried.get_by_role("link", name=child).click()
    expect(page.locator("#details div", has_text="retries")).to_contain_text(parent)

    page.goto("/dashboard.html?tab=completed&q=Once")
    page.get_by_label("Select Once").last.check()  # the oldest
    page.get_by_role("button", name="Retry the failed of 1 batch (1 request)").click()
    expect(page.get_by_role("dialog")).to_contain_text(
        f"Already retried as {child}, {again}: this runs them again."
    )


def test_a_retry_whose_answer_was_lost_counts_once_when_it_is_tried_again(
    shared: System, open_page: Open
) -> None:
    parent = shared.submit(jsonl([chat_line("bad", "[[fail 400]]")]), metadata=json.dumps({"name": "Lost"}))
    shared.wait_for_end(parent)
    page = open_page("/dashboard.html?tab=completed")
    page.watch.allow("ERR_FAILED")  # type: ignore[attr-defined]
    made: list[str] = []

    def lose_the_answer(route: Route) -> None:
        made.append(route.fetch().json()["batch_id"])
        route.abort()

    page.route(f"**/{parent}/retry", lose_the_answer, times=1)
    retry = page.locator("#table").get_by_role("button", name="Retry Lost")
    for said in ("retry again and it counts once", "1 request queued again as batch_"):
        retry.last.click()
        page.get_by_role("button", name="Retry 1", exact=True).click()
        expect(page.locator("#notices")).to_contain_text(said)
    expect(page.locator("#notices a")).to_have_text(made[0])
    assert shared.batch(parent)["retried_by"] == made


def test_polling_pauses_while_the_tab_is_hidden(shared: System, open_page: Open) -> None:
    page = open_page("/dashboard.html")
    page.clock.install()
    page.reload()
    page.select_option("#interval", "1000")
    expect(page.locator("#worker .state")).to_have_text("idle")
    asked: list[str] = []
    page.evaluate(
        "Object.defineProperty(document, 'hidden', { value: true, configurable: true });"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    with page.expect_response("**/config.json?last"):  # what was under way has been asked before this
        page.evaluate("void fetch('config.json?last')")
    page.on("request", lambda request: asked.append(request.url))
    page.clock.run_for(60_000)
    assert asked == []
    page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator("#age")).to_have_text("just now")
    assert asked


def test_the_interval_is_remembered(shared: System, open_page: Open) -> None:
    page = open_page("/dashboard.html")
    page.select_option("#interval", "0")
    page.reload()
    expect(page.locator("#interval")).to_have_value("0")
    expect(page.locator("#worker .state")).to_have_text("idle")


def test_hostile_names_stay_text(shared: System, open_page: Open) -> None:
    for text in HOSTILE[:4]:
        shared.wait_for_end(shared.submit(jsonl([chat_line("a")]), metadata=json.dumps({"name": text})))
    page = open_page("/dashboard.html?tab=completed")
    names = page.locator("#table tbody td.name a")
    expect(names.first).to_have_text(HOSTILE[3])
    assert names.all_inner_texts()[:4] == HOSTILE[3::-1]
    assert page.locator("main img, main iframe, main script, main svg[onload]").count() == 0
